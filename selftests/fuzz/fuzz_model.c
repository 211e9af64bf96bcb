// SPDX-License-Identifier: GPL-2.0-only
/* A checkpoint folder: what is loaded can be saved, and loads again as the same. */
#include "lib/run.h"
#include "model/model.h"
#include "selftests/fuzz/folder.h"

static void check_links(const struct checkpoint *cp)
{
	struct fdtable **table;
	struct task **t;
	struct mm **mm;
	struct vma *v;
	struct fd *fd;

	must(cp->tasks.n && cp->inventory && cp->tasks.n == cp->by_pid.n);
	vec_for_each (&cp->tasks, t) {
		must((*t)->threads.n && task_core(*t)->tc);
		must(checkpoint_task(cp, task_pid(*t)) == *t);
		must(!(*t)->parent == (t == cp->tasks.at));
		if (!task_is_zombie(*t))
			must((*t)->mm && (*t)->fdtable && (*t)->fs && (*t)->cwd && (*t)->root);
	}
	vec_for_each (&cp->fdtables, table)
		vec_for_each (&(*table)->fds, fd)
			must(fd->file && fd->file->msg && fd->file->n_uses);
	vec_for_each (&cp->mms, mm)
		vec_for_each (&(*mm)->vmas, v)
			must(v->msg->start < v->msg->end);
}

/* Empty the folder of saved images. */
static void clean(int dirfd)
{
	DIR *d = fdopendir(dup(dirfd));
	struct dirent *e;

	must(d);
	rewinddir(d);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			unlinkat(dirfd, e->d_name, 0);
	closedir(d);
}

static void save_and_load(struct checkpoint *cp, int dirfd)
{
	struct run run = {.images_dirfd = dirfd, .log = {.fd = -1}};
	struct checkpoint *again;

	must(!checkpoint_save(&run, cp));
	must(!checkpoint_load(&run, &again));
	must(again->tasks.n == cp->tasks.n && again->files.n == cp->files.n);
	must(again->mms.n == cp->mms.n && again->fdtables.n == cp->fdtables.n);
	checkpoint_free(again);
	clean(dirfd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct folder in = {.dirfd = -1};
	static int out = -1;
	struct run run = {.log = {.fd = -1}};
	struct checkpoint *cp;

	if (in.dirfd < 0) {
		in.dirfd = folder_create();
		out = folder_create();
	}
	folder_fill(&in, data, size);
	run.images_dirfd = in.dirfd;
	if (!checkpoint_look(&run, &cp))
		checkpoint_free(cp);
	error_clear(&run.err);
	if (!checkpoint_load(&run, &cp)) {
		check_links(cp);
		save_and_load(cp, out);
		checkpoint_free(cp);
	} else {
		must(run.err.code && run.err.text[0]);
	}
	folder_empty(&in);
	return 0;
}
