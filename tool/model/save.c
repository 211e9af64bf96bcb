// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "image/image.h"
#include "lib/cleanup.h"
#include "lib/parallel.h"
#include "lib/run.h"
#include "model/manifest.h"
#include "model/model.h"

int checkpoint_discard(struct run *run)
{
	char name[64];

	image_name(IMG_INVENTORY, 0, name, sizeof(name));
	if (unlinkat(run->images_dirfd, name, 0) && errno != ENOENT) {
		fail(&run->err, -errno, "image %s: cannot remove the old one", name);
		return fail_hint(&run->err, "use an empty folder for --images-dir");
	}
	return 0;
}

static int save_pstree(struct run *run, struct checkpoint *cp)
{
	struct image_writer *w;
	struct task **t;
	int ret = image_create(run->images_dirfd, IMG_PSTREE, 0, &run->err, &w);

	if (ret)
		return ret;
	vec_for_each (&cp->tasks, t)
		image_write(w, &(*t)->msg->base);
	return image_close(w);
}

static int save_files(struct run *run, struct checkpoint *cp)
{
	struct image_writer *w;
	struct file **f;
	int ret = image_create(run->images_dirfd, IMG_FILES, 0, &run->err, &w);

	if (ret)
		return ret;
	vec_for_each (&cp->files, f)
		image_write(w, &(*f)->msg->base);
	return image_close(w);
}

static int save_fdtable(struct run *run, struct fdtable *table)
{
	struct image_writer *w;
	struct fd *fd;
	int ret = image_create(run->images_dirfd, IMG_FDINFO, table->id, &run->err, &w);

	if (ret)
		return ret;
	vec_for_each (&table->fds, fd)
		image_write(w, &fd->msg->base);
	return image_close(w);
}

/* CRIU looks for the ids in a file of their own and not in the core. */
static int save_core(struct run *run, struct thread *th)
{
	const int dir = run->images_dirfd;
	TaskKobjIdsEntry *ids = th->core->ids;
	int ret;

	th->core->ids = NULL;
	ret = image_put(dir, IMG_CORE, th->tid, &th->core->base, &run->err);
	th->core->ids = ids;
	if (!ret && ids)
		ret = image_put(dir, IMG_IDS, th->tid, &ids->base, &run->err);
	return ret;
}

static int save_mm(struct run *run, const struct mm *mm)
{
	return image_put(run->images_dirfd, IMG_MM, task_pid(mm->owner), &mm->msg->base, &run->err);
}

static int save_task(struct run *run, struct task *t)
{
	struct thread *th;
	int ret;

	vec_for_each (&t->threads, th) {
		ret = save_core(run, th);
		if (ret)
			return ret;
	}
	if (!t->fs)
		return 0;
	return image_put(run->images_dirfd, IMG_FS, task_pid(t), &t->fs->base, &run->err);
}

int checkpoint_save_task(struct run *run, struct task *t)
{
	struct fdtable *table = t->fdtable && t->fdtable->asked_of == t ? t->fdtable : NULL;
	int ret = save_task(run, t);

	if (!ret && table)
		ret = save_fdtable(run, table);
	if (!ret && t->mm)
		ret = save_mm(run, t->mm);
	if (ret)
		return ret;
	task_forget(t);
	if (table)
		fdtable_forget(table);
	if (t->mm)
		mm_forget(t->mm);
	t->saved = true;
	return 0;
}

static int save_locks(struct run *run, struct checkpoint *cp)
{
	struct image_writer *w;
	struct file_lock *l;
	int ret;

	if (!cp->locks.n)
		return 0;
	ret = image_create(run->images_dirfd, IMG_FILE_LOCKS, 0, &run->err, &w);
	if (ret)
		return ret;
	vec_for_each (&cp->locks, l)
		image_write(w, &l->msg->base);
	return image_close(w);
}

static int save_inventory(struct run *run, struct checkpoint *cp)
{
	struct image_writer *w;
	int ret = cp->list_images ? manifest_make(run, cp->inventory) : 0;

	if (!ret)
		ret = image_create(run->images_dirfd, IMG_INVENTORY, 0, &run->err, &w);
	if (ret)
		return ret;
	image_write(w, &cp->inventory->base);
	ret = image_close(w);
	if (ret)
		checkpoint_discard(run);
	return ret;
}

int checkpoint_sync(struct run *run)
{
	_cleanup_close_ int fd = -1;
	char name[64];
	int code;

	image_name(IMG_INVENTORY, 0, name, sizeof(name));
	fd = openat(run->images_dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && !fsync(fd) && !fsync(run->images_dirfd))
		return 0;
	code = -errno;
	checkpoint_discard(run);
	return fail(&run->err, code, "image %s: cannot sync", name);
}

/* One of two threads that save what there is one of for many tasks. */
struct saver {
	struct run *run;
	struct checkpoint *cp;
};

static int save_nth(void *context, size_t i)
{
	const struct saver *s = context;
	struct checkpoint *cp = s->cp;
	int ret = 0;

	if (i < cp->tasks.n)
		ret = save_task(s->run, cp->tasks.at[i]);
	if (!ret && i < cp->fdtables.n)
		ret = save_fdtable(s->run, cp->fdtables.at[i]);
	if (!ret && i < cp->mms.n)
		ret = save_mm(s->run, cp->mms.at[i]);
	return ret;
}

static int save_each(struct run *run, struct checkpoint *cp)
{
	struct run second = *run;
	size_t n = cp->tasks.n;
	int ret;

	if (n && cp->tasks.at[0]->saved)
		return 0; /* one by one, all of them */
	if (n < cp->fdtables.n)
		n = cp->fdtables.n;
	if (n < cp->mms.n)
		n = cp->mms.n;
	ret = parallel_for(n, save_nth, &(struct saver){run, cp}, &(struct saver){&second, cp});
	if (!run->err.code)
		run->err = second.err;
	return ret;
}

int checkpoint_save(struct run *run, struct checkpoint *cp)
{
	int ret = save_pstree(run, cp);

	if (!ret)
		ret = save_files(run, cp);
	if (!ret)
		ret = save_each(run, cp);
	if (!ret)
		ret = save_locks(run, cp);
	if (!ret && cp->seccomp)
		ret = image_put(run->images_dirfd, IMG_SECCOMP, 0, &cp->seccomp->base, &run->err);
	return ret ? ret : save_inventory(run, cp);
}
