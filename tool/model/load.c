// SPDX-License-Identifier: GPL-2.0-only
/* Reading a checkpoint: every image, every id that one image names of another. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "image/image.h"
#include "lib/cleanup.h"
#include "lib/run.h"
#include "model/check.h"
#include "model/model.h"
#include "resource/resource.h"

/* CRIU's numbers of image versions: 1.1, the first with head magics, and the one we write. */
#define IMG_VERSION_1_1 2

static int load_seccomp(struct run *run, struct checkpoint *cp)
{
	ProtobufCMessage *msg;
	int ret = image_get(run->images_dirfd, IMG_SECCOMP, 0, true, &run->err, &msg);

	if (ret == -ENOENT)
		return 0;
	if (!ret)
		cp->seccomp = (SeccompEntry *)msg;
	return ret;
}

static int load_inventory(struct run *run, struct checkpoint *cp)
{
	ProtobufCMessage *msg;
	InventoryEntry *inv;
	int ret = image_get(run->images_dirfd, IMG_INVENTORY, 0, true, &run->err, &msg);

	if (ret == -ENOENT) {
		fail(&run->err, ret, "image inventory.img");
		fail_hint(&run->err, "the folder holds no finished checkpoint: the dump failed or "
				     "still runs, or --images-dir names another folder");
	}
	if (ret)
		return ret;
	cp->inventory = inv = (InventoryEntry *)msg;
	if (inv->img_version != IMG_VERSION_1_1) {
		fail_text(&run->err, -EPROTONOSUPPORT,
			  "image inventory.img: images of version %u, only %u is supported",
			  inv->img_version, IMG_VERSION_1_1);
		return fail_hint(&run->err, "restore with the program that wrote them");
	}
	if (!inv->fdinfo_per_id || !inv->ns_per_id)
		return fail_text(
			&run->err, -EPROTONOSUPPORT,
			"image inventory.img: the layout of CRIU before 1.0 is not supported");
	if (inv->plugins_entry && inv->plugins_entry->n_plugins) {
		fail_text(&run->err, -EPROTONOSUPPORT,
			  "image inventory.img: the checkpoint was made with CRIU's plugin %s",
			  inv->plugins_entry->plugins[0]);
		return fail_hint(&run->err, "restore it with criu and that plugin");
	}
	return 0;
}

static int add_file(struct run *run, struct checkpoint *cp, FileEntry *e)
{
	struct file *f = calloc(1, sizeof(*f));
	char name[16];
	int ret = f ? 0 : -ENOMEM;

	if (f) {
		f->msg = e;
		f->res = resource_by_type(e->type);
		ret = checkpoint_add_file(cp, f);
	}
	if (ret) {
		protobuf_c_message_free_unpacked(&e->base, NULL);
		free(f);
		return ret == -EEXIST ? bad_image(run, "files.img: id %u occurs twice", e->id)
				      : fail(&run->err, ret, "image files.img");
	}
	ret = check_file(run, e);
	if (ret)
		return ret;
	if (!f->res) {
		fail_text(&run->err, -EOPNOTSUPP,
			  "image files.img: kind %s of file id %u is not supported",
			  file_type_name(e->type, name), e->id);
		return fail_hint(&run->err, "restore with criu, or close it before the dump");
	}
	return 0;
}

static int load_files(struct run *run, struct checkpoint *cp)
{
	struct image_reader *r;
	ProtobufCMessage *msg;
	int ret = image_open(run->images_dirfd, IMG_FILES, 0, false, &run->err, &r);

	if (ret)
		return ret;
	while ((ret = image_read(r, &msg)) == 1) {
		ret = add_file(run, cp, (FileEntry *)msg);
		if (ret)
			break;
	}
	image_reader_free(r);
	return ret;
}

/* Count a use of file @id by @what, or say that there is none. */
static int use_file(struct run *run, struct checkpoint *cp, uint32_t id, enum image_id image,
		    uint32_t n, const char *what, struct file **ret)
{
	struct file *f = checkpoint_file(cp, id);
	char name[64];

	if (!f) {
		image_name(image, n, name, sizeof(name));
		return bad_image(run, "%s: %s is file id %u, which files.img does not have", name,
				 what, id);
	}
	f->n_uses++;
	*ret = f;
	return 0;
}

static int compare_fds(const void *a, const void *b)
{
	const struct fd *x = a, *y = b;

	return (x->msg->fd > y->msg->fd) - (x->msg->fd < y->msg->fd);
}

static int add_fd(struct run *run, struct checkpoint *cp, struct fdtable *table, FdinfoEntry *e)
{
	struct fd *fd = vec_add(&table->fds);
	char what[48], t1[16], t2[16];
	int ret;

	if (!fd) {
		protobuf_c_message_free_unpacked(&e->base, NULL);
		return fail(&run->err, -ENOMEM, "image fdinfo-%u.img", table->id);
	}
	fd->msg = e;
	if (e->fd > INT32_MAX)
		return bad_image(run, "fdinfo-%u.img: descriptor %u", table->id, e->fd);
	snprintf(what, sizeof(what), "descriptor %u", e->fd);
	ret = use_file(run, cp, e->id, IMG_FDINFO, table->id, what, &fd->file);
	if (ret)
		return ret;
	if (fd->file->msg->type != e->type)
		return bad_image(
			run, "fdinfo-%u.img: descriptor %u is a %s, file id %u in files.img a %s",
			table->id, e->fd, file_type_name(e->type, t1), e->id,
			file_type_name(fd->file->msg->type, t2));
	return 0;
}

static int read_fdtable(struct run *run, struct checkpoint *cp, struct fdtable *table)
{
	struct image_reader *r;
	ProtobufCMessage *msg;
	int ret = image_open(run->images_dirfd, IMG_FDINFO, table->id, false, &run->err, &r);

	if (ret)
		return ret;
	while ((ret = image_read(r, &msg)) == 1) {
		ret = add_fd(run, cp, table, (FdinfoEntry *)msg);
		if (ret)
			break;
	}
	image_reader_free(r);
	if (ret)
		return ret;
	if (table->fds.n)
		qsort(table->fds.at, table->fds.n, sizeof(table->fds.at[0]), compare_fds);
	for (size_t i = 1; i < table->fds.n; i++)
		if (table->fds.at[i].msg->fd == table->fds.at[i - 1].msg->fd)
			return bad_image(run, "fdinfo-%u.img: descriptor %u occurs twice",
					 table->id, table->fds.at[i].msg->fd);
	return 0;
}

/* What tasks share is found by its id. */
struct shared {
	VEC(struct fdtable *) fdtables; /* ascending by id */
	VEC(struct mm *) mms;
};

/* Place of @id in an array of pointers to structs that begin with their u32 id. */
static size_t id_place(void *at, size_t n, uint32_t id, bool *found)
{
	uint32_t **ids = at;
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (*ids[mid] < id)
			low = mid + 1;
		else
			high = mid;
	}
	*found = low < n && *ids[low] == id;
	return low;
}

/* Insert into such an array, keeping its order. */
#define id_insert(v, place, value)                                              \
	(vec_reserve(v, 1) ? -ENOMEM                                            \
			   : (memmove((v)->at + (place) + 1, (v)->at + (place), \
				      ((v)->n - (place)) * sizeof(*(v)->at)),   \
			      (v)->n++, (v)->at[place] = (value), 0))

static int load_fdtable(struct run *run, struct checkpoint *cp, struct shared *sh, uint32_t id,
			struct fdtable **ret)
{
	struct fdtable *table;
	bool found;
	size_t place = id_place(sh->fdtables.at, sh->fdtables.n, id, &found);
	int code;

	if (found) {
		*ret = sh->fdtables.at[place];
		return 0;
	}
	table = calloc(1, sizeof(*table));
	if (!table || vec_push(&cp->fdtables, table)) {
		free(table);
		return fail(&run->err, -ENOMEM, "image fdinfo-%u.img", id);
	}
	table->id = id;
	if (id_insert(&sh->fdtables, place, table))
		return fail(&run->err, -ENOMEM, "image fdinfo-%u.img", id);
	code = read_fdtable(run, cp, table);
	if (!code)
		*ret = table;
	return code;
}

static int link_vma(struct run *run, struct checkpoint *cp, struct mm *mm, VmaEntry *e)
{
	struct vma *v = vec_add(&mm->vmas);
	char what[64];

	if (!v)
		return fail(&run->err, -ENOMEM, "image mm-%d.img", task_pid(mm->owner));
	v->msg = e;
	if (!(e->status & (VMA_FILE_PRIVATE | VMA_FILE_SHARED | VMA_MEMFD)))
		return 0;
	snprintf(what, sizeof(what), "mapping 0x%" PRIx64 "-0x%" PRIx64, e->start, e->end);
	if (e->shmid > UINT32_MAX)
		return bad_image(run, "mm-%d.img: %s of file id 0x%" PRIx64, task_pid(mm->owner),
				 what, e->shmid);
	return use_file(run, cp, e->shmid, IMG_MM, task_pid(mm->owner), what, &v->file);
}

static int read_mm(struct run *run, struct checkpoint *cp, struct mm *mm)
{
	const pid_t pid = task_pid(mm->owner);
	ProtobufCMessage *msg;
	int ret = image_get(run->images_dirfd, IMG_MM, pid, false, &run->err, &msg);

	if (ret)
		return ret;
	mm->msg = (MmEntry *)msg;
	ret = check_mm(run, pid, mm->msg);
	if (!ret)
		ret = use_file(run, cp, mm->msg->exe_file_id, IMG_MM, pid, "the executable",
			       &mm->exe);
	for (size_t i = 0; !ret && i < mm->msg->n_vmas; i++)
		ret = link_vma(run, cp, mm, mm->msg->vmas[i]);
	return ret;
}

static int load_mm(struct run *run, struct checkpoint *cp, struct shared *sh, struct task *t,
		   uint32_t id)
{
	bool found;
	size_t place = id_place(sh->mms.at, sh->mms.n, id, &found);
	struct mm *mm;

	if (found) {
		t->mm = sh->mms.at[place];
		return 0;
	}
	mm = calloc(1, sizeof(*mm));
	if (!mm || vec_push(&cp->mms, mm)) {
		free(mm);
		return fail(&run->err, -ENOMEM, "image mm-%d.img", task_pid(t));
	}
	mm->id = id;
	mm->owner = t;
	t->mm = mm;
	if (id_insert(&sh->mms, place, mm))
		return fail(&run->err, -ENOMEM, "image mm-%d.img", task_pid(t));
	return read_mm(run, cp, mm);
}

static int load_core(struct run *run, struct task *t, pid_t tid)
{
	struct thread *th = vec_add(&t->threads);
	ProtobufCMessage *msg;
	int ret;

	if (!th)
		return fail(&run->err, -ENOMEM, "image core-%d.img", tid);
	th->tid = tid;
	th->task = t;
	ret = image_get(run->images_dirfd, IMG_CORE, tid, false, &run->err, &msg);
	if (ret)
		return ret;
	th->core = (CoreEntry *)msg;
	return check_core(run, th, t->threads.n == 1);
}

static int load_threads(struct run *run, struct task *t)
{
	PstreeEntry *e = t->msg;
	int ret;

	if (!e->n_threads || e->threads[0] != e->pid)
		return bad_image(run, "pstree.img: task %u is not the first of its threads",
				 e->pid);
	for (size_t i = 1; i < e->n_threads; i++) {
		if (!e->threads[i] || e->threads[i] > CHECK_PID_MAX)
			return bad_image(run, "pstree.img: thread id %u of task %u", e->threads[i],
					 e->pid);
		ret = load_core(run, t, e->threads[i]);
		if (ret)
			return ret;
	}
	return 0;
}

/* In the leader's core or, as CRIU writes it, a file of its own. */
static int load_ids(struct run *run, struct task *t)
{
	CoreEntry *core = t->threads.at[0].core;
	ProtobufCMessage *msg;
	int ret;

	if (core->ids)
		return 0;
	ret = image_get(run->images_dirfd, IMG_IDS, task_pid(t), false, &run->err, &msg);
	if (!ret)
		core->ids = (TaskKobjIdsEntry *)msg;
	return ret;
}

static int load_fs(struct run *run, struct checkpoint *cp, struct task *t)
{
	const pid_t pid = task_pid(t);
	ProtobufCMessage *msg;
	int ret = image_get(run->images_dirfd, IMG_FS, pid, false, &run->err, &msg);

	if (ret)
		return ret;
	t->fs = (FsEntry *)msg;
	ret = use_file(run, cp, t->fs->cwd_id, IMG_FS, pid, "the working directory", &t->cwd);
	if (!ret)
		ret = use_file(run, cp, t->fs->root_id, IMG_FS, pid, "the root", &t->root);
	return ret;
}

/* CRIU leaves the thread ids of zombies unset: garbage that means nothing. */
static int forget_threads(struct run *run, struct task *t)
{
	PstreeEntry *e = t->msg;

	if (!e->n_threads) {
		e->threads = calloc(1, sizeof(e->threads[0]));
		if (!e->threads)
			return fail(&run->err, -ENOMEM, "task %u", e->pid);
	}
	e->threads[0] = e->pid;
	e->n_threads = 1;
	return 0;
}

static int load_task(struct run *run, struct checkpoint *cp, struct shared *sh, struct task *t)
{
	TaskKobjIdsEntry *ids;
	int ret = load_core(run, t, task_pid(t));

	if (ret)
		return ret;
	if (task_is_zombie(t))
		return forget_threads(run, t);
	ret = load_threads(run, t);
	if (!ret)
		ret = load_ids(run, t);
	if (!ret)
		ret = load_fs(run, cp, t);
	if (ret)
		return ret;
	ids = t->threads.at[0].core->ids;
	ret = load_fdtable(run, cp, sh, ids->files_id, &t->fdtable);
	return ret ?: load_mm(run, cp, sh, t, ids->vm_id);
}

/* Parents come first in the file: a cycle cannot be written down. */
static int add_task(struct run *run, struct checkpoint *cp, PstreeEntry *e)
{
	struct task *t = calloc(1, sizeof(*t)), *parent = NULL;
	int ret = -ENOMEM;

	if (t) {
		t->msg = e;
		ret = e->pid && e->pid <= CHECK_PID_MAX ? 0 : -ERANGE;
	}
	if (!ret && cp->tasks.n) {
		parent = checkpoint_task(cp, e->ppid);
		if (!parent)
			ret = -ESRCH;
	}
	if (!ret)
		ret = checkpoint_add_task(cp, t);
	if (!ret) {
		t->parent = parent;
		if (parent && vec_push(&parent->children, t))
			return fail(&run->err, -ENOMEM, "task %u", e->pid);
		return 0;
	}
	if (ret == -ERANGE)
		bad_image(run, "pstree.img: pid %u", e->pid);
	else if (ret == -ESRCH)
		bad_image(run, "pstree.img: parent %u of task %u does not stand before it", e->ppid,
			  e->pid);
	else if (ret == -EEXIST)
		bad_image(run, "pstree.img: pid %u occurs twice", e->pid);
	else
		fail(&run->err, ret, "image pstree.img");
	protobuf_c_message_free_unpacked(&e->base, NULL);
	free(t);
	return run->err.code;
}

static int load_pstree(struct run *run, struct checkpoint *cp)
{
	struct image_reader *r;
	ProtobufCMessage *msg;
	int ret = image_open(run->images_dirfd, IMG_PSTREE, 0, false, &run->err, &r);

	if (ret)
		return ret;
	while ((ret = image_read(r, &msg)) == 1) {
		ret = add_task(run, cp, (PstreeEntry *)msg);
		if (ret)
			break;
	}
	image_reader_free(r);
	if (!ret && !cp->tasks.n)
		ret = bad_image(run, "pstree.img: no task");
	return ret;
}

static int load_tasks(struct run *run, struct checkpoint *cp)
{
	struct shared sh = {};
	struct task **t;
	int ret = 0;

	vec_for_each (&cp->tasks, t) {
		ret = load_task(run, cp, &sh, *t);
		if (ret)
			break;
	}
	vec_free(&sh.fdtables);
	vec_free(&sh.mms);
	return ret;
}

int checkpoint_load(struct run *run, struct checkpoint **ret)
{
	struct checkpoint *cp = checkpoint_new();
	int code;

	if (!cp)
		return fail(&run->err, -ENOMEM, "cannot hold a checkpoint");
	code = load_inventory(run, cp);
	if (!code)
		code = load_seccomp(run, cp);
	if (!code)
		code = load_files(run, cp);
	if (!code)
		code = load_pstree(run, cp);
	if (!code)
		code = load_tasks(run, cp);
	if (!code)
		code = check_tree(run, cp);
	if (code) {
		checkpoint_free(cp);
		return code;
	}
	*ret = cp;
	return 0;
}
