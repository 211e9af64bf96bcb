// SPDX-License-Identifier: GPL-2.0-only
/* Reading a checkpoint: every image, every id that one image names of another. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "image/image.h"
#include "lib/cleanup.h"
#include "lib/run.h"
#include "model/check.h"
#include "model/manifest.h"
#include "model/model.h"

/* CRIU's numbers of image versions: 1.1, the first with head magics, and the one we write. */
#define IMG_VERSION_1_1 2

/* What loading passes along; what tasks share is found by its id. */
struct loader {
	struct run *run;
	struct checkpoint *cp;
	bool look; /* let pass what cannot be restored */
	bool warned[IMG_COUNT];
	VEC(struct fdtable *) fdtables; /* ascending by id */
	VEC(struct mm *) mms;
};

/* Fields of a newer version are no error, but what they describe gets lost. */
static void warn_of_unknown(struct loader *l, enum image_id id, uint64_t n,
			    const ProtobufCMessage *msg)
{
	const ProtobufCMessage *in = l->look || l->warned[id] ? NULL : message_with_unknown(msg);
	char name[64];

	if (!in)
		return;
	l->warned[id] = true;
	image_name(id, n, name, sizeof(name));
	log_warn(&l->run->log,
		 "image %s: %s has a field %u that this program does not know; what it describes "
		 "is not restored",
		 name, in->descriptor->name, in->unknown_fields[0].tag);
}

/* image_get() in the loader's folder. */
static int get(struct loader *l, enum image_id id, uint64_t n, bool optional,
	       ProtobufCMessage **ret)
{
	int code = image_get(l->run->images_dirfd, id, n, optional, &l->run->err, ret);

	if (!code)
		warn_of_unknown(l, id, n, *ret);
	return code;
}

static int load_locks(struct run *run, struct checkpoint *cp)
{
	struct image_reader *r;
	struct file_lock l = {0};
	ProtobufCMessage *msg;
	int ret = image_open(run->images_dirfd, IMG_FILE_LOCKS, 0, true, &run->err, &r);

	if (ret)
		return ret == -ENOENT && !run->err.code ? 0 : ret;
	while ((ret = image_read(r, &msg)) == 1) {
		l.msg = (FileLockEntry *)msg;
		if (vec_push(&cp->locks, l)) {
			protobuf_c_message_free_unpacked(msg, NULL);
			ret = fail(&run->err, -ENOMEM, "image filelocks.img");
			break;
		}
	}
	image_reader_free(r);
	return ret;
}

static int load_seccomp(struct loader *l)
{
	ProtobufCMessage *msg;
	int ret = get(l, IMG_SECCOMP, 0, true, &msg);

	if (ret == -ENOENT)
		return 0;
	if (!ret)
		l->cp->seccomp = (SeccompEntry *)msg;
	return ret;
}

static int load_inventory(struct loader *l)
{
	ProtobufCMessage *msg;
	InventoryEntry *inv;
	int ret = get(l, IMG_INVENTORY, 0, true, &msg);

	if (ret == -ENOENT) {
		fail(&l->run->err, ret, "image inventory.img");
		fail_hint(&l->run->err,
			  "the folder holds no finished checkpoint: the dump failed or "
			  "still runs, or --images-dir names another folder");
	}
	if (ret)
		return ret;
	l->cp->inventory = inv = (InventoryEntry *)msg;
	if (inv->img_version != IMG_VERSION_1_1) {
		fail_text(&l->run->err, -EPROTONOSUPPORT,
			  "image inventory.img: images of version %u, only %u is supported",
			  inv->img_version, IMG_VERSION_1_1);
		return fail_hint(&l->run->err, "restore with the program that wrote them");
	}
	if (!inv->fdinfo_per_id || !inv->ns_per_id)
		return fail_text(
			&l->run->err, -EPROTONOSUPPORT,
			"image inventory.img: the layout of CRIU before 1.0 is not supported");
	if (inv->plugins_entry && inv->plugins_entry->n_plugins && !l->look) {
		fail_text(&l->run->err, -EPROTONOSUPPORT,
			  "image inventory.img: the checkpoint was made with CRIU's plugin %s",
			  inv->plugins_entry->plugins[0]);
		return fail_hint(&l->run->err, "restore it with criu and that plugin");
	}
	return 0;
}

static int add_file(struct loader *l, FileEntry *e)
{
	struct file *f = pool_alloc(&l->cp->pool, sizeof(*f));
	int ret = f ? 0 : -ENOMEM;

	if (f) {
		f->msg = e;
		ret = checkpoint_add_file(l->cp, f);
	}
	if (ret) {
		if (ret == -EEXIST)
			bad_image(l->run, "files.img: id %u occurs twice", e->id);
		else
			fail(&l->run->err, ret, "image files.img");
		return ret;
	}
	return check_file(l->run, e);
}

static int load_files(struct loader *l)
{
	struct image_reader *r;
	ProtobufCMessage *msg;
	int ret = image_open(l->run->images_dirfd, IMG_FILES, 0, false, &l->run->err, &r);

	if (ret)
		return ret;
	image_reader_into(r, &l->cp->pool);
	while ((ret = image_read(r, &msg)) == 1) {
		warn_of_unknown(l, IMG_FILES, 0, msg);
		ret = add_file(l, (FileEntry *)msg);
		if (ret)
			break;
	}
	image_reader_free(r);
	return ret;
}

/* Count a use of file @id by @what, or say that there is none. */
static int use_file(struct loader *l, uint32_t id, enum image_id image, uint32_t n,
		    const char *what, struct file **ret)
{
	struct file *f = checkpoint_file(l->cp, id);
	char name[64];

	if (!f) {
		image_name(image, n, name, sizeof(name));
		return bad_image(l->run, "%s: %s is file id %u, which files.img does not have",
				 name, what, id);
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

/* Mostly they are sorted. */
static void sort_fds(struct fdtable *table)
{
	for (size_t i = 1; i < table->fds.n; i++) {
		if (table->fds.at[i].msg->fd < table->fds.at[i - 1].msg->fd) {
			vec_sort(&table->fds, compare_fds);
			break;
		}
	}
}

static int add_fd(struct loader *l, struct fdtable *table, FdinfoEntry *e)
{
	struct fd *fd = vec_add(&table->fds);
	char what[48], t1[16], t2[16];
	int ret;

	if (!fd)
		return fail(&l->run->err, -ENOMEM, "image fdinfo-%u.img", table->id);
	fd->msg = e;
	if (e->fd > INT32_MAX)
		return bad_image(l->run, "fdinfo-%u.img: descriptor %u", table->id, e->fd);
	snprintf(what, sizeof(what), "descriptor %u", e->fd);
	ret = use_file(l, e->id, IMG_FDINFO, table->id, what, &fd->file);
	if (ret)
		return ret;
	if (fd->file->msg->type != e->type)
		return bad_image(
			l->run,
			"fdinfo-%u.img: descriptor %u is a %s, file id %u in files.img a %s",
			table->id, e->fd, file_type_name(e->type, t1), e->id,
			file_type_name(fd->file->msg->type, t2));
	return 0;
}

static int read_fdtable(struct loader *l, struct fdtable *table)
{
	struct image_reader *r;
	ProtobufCMessage *msg;
	int ret = image_open(l->run->images_dirfd, IMG_FDINFO, table->id, true, &l->run->err, &r);

	/* CRIU writes none for a task without descriptors. */
	if (ret)
		return ret == -ENOENT && !l->run->err.code ? 0 : ret;
	image_reader_into(r, &l->cp->pool);
	while ((ret = image_read(r, &msg)) == 1) {
		warn_of_unknown(l, IMG_FDINFO, table->id, msg);
		ret = add_fd(l, table, (FdinfoEntry *)msg);
		if (ret)
			break;
	}
	image_reader_free(r);
	if (ret)
		return ret;
	sort_fds(table);
	for (size_t i = 1; i < table->fds.n; i++)
		if (table->fds.at[i].msg->fd == table->fds.at[i - 1].msg->fd)
			return bad_image(l->run, "fdinfo-%u.img: descriptor %u occurs twice",
					 table->id, table->fds.at[i].msg->fd);
	return 0;
}

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

static int load_fdtable(struct loader *l, uint32_t id, struct fdtable **ret)
{
	struct fdtable *table;
	bool found;
	size_t place = id_place(l->fdtables.at, l->fdtables.n, id, &found);
	int code;

	if (found) {
		*ret = l->fdtables.at[place];
		return 0;
	}
	table = calloc(1, sizeof(*table));
	if (!table || vec_push(&l->cp->fdtables, table)) {
		free(table);
		return fail(&l->run->err, -ENOMEM, "image fdinfo-%u.img", id);
	}
	table->id = id;
	table->pooled = true;
	if (id_insert(&l->fdtables, place, table))
		return fail(&l->run->err, -ENOMEM, "image fdinfo-%u.img", id);
	code = read_fdtable(l, table);
	if (!code)
		*ret = table;
	return code;
}

static int link_vma(struct loader *l, struct mm *mm, VmaEntry *e)
{
	struct vma *v = vec_add(&mm->vmas);
	char what[64];

	if (!v)
		return fail(&l->run->err, -ENOMEM, "image mm-%d.img", task_pid(mm->owner));
	v->msg = e;
	if (!(e->status & (VMA_FILE_PRIVATE | VMA_FILE_SHARED | VMA_MEMFD)))
		return 0;
	snprintf(what, sizeof(what), "mapping 0x%" PRIx64 "-0x%" PRIx64, e->start, e->end);
	if (e->shmid > UINT32_MAX)
		return bad_image(l->run, "mm-%d.img: %s of file id 0x%" PRIx64, task_pid(mm->owner),
				 what, e->shmid);
	return use_file(l, e->shmid, IMG_MM, task_pid(mm->owner), what, &v->file);
}

static int read_mm(struct loader *l, struct mm *mm)
{
	const pid_t pid = task_pid(mm->owner);
	ProtobufCMessage *msg;
	int ret = get(l, IMG_MM, pid, false, &msg);

	if (ret)
		return ret;
	mm->msg = (MmEntry *)msg;
	ret = check_mm(l->run, pid, mm->msg);
	if (!ret)
		ret = use_file(l, mm->msg->exe_file_id, IMG_MM, pid, "the executable", &mm->exe);
	for (size_t i = 0; !ret && i < mm->msg->n_vmas; i++)
		ret = link_vma(l, mm, mm->msg->vmas[i]);
	return ret;
}

static int load_mm(struct loader *l, struct task *t, uint32_t id)
{
	bool found;
	size_t place = id_place(l->mms.at, l->mms.n, id, &found);
	struct mm *mm;

	if (found) {
		t->mm = l->mms.at[place];
		return 0;
	}
	mm = calloc(1, sizeof(*mm));
	if (!mm || vec_push(&l->cp->mms, mm)) {
		free(mm);
		return fail(&l->run->err, -ENOMEM, "image mm-%d.img", task_pid(t));
	}
	mm->id = id;
	mm->owner = t;
	t->mm = mm;
	if (id_insert(&l->mms, place, mm))
		return fail(&l->run->err, -ENOMEM, "image mm-%d.img", task_pid(t));
	return read_mm(l, mm);
}

static int load_core(struct loader *l, struct task *t, pid_t tid)
{
	struct thread *th = vec_add(&t->threads);
	ProtobufCMessage *msg;
	int ret;

	if (!th)
		return fail(&l->run->err, -ENOMEM, "image core-%d.img", tid);
	th->tid = tid;
	th->task = t;
	ret = get(l, IMG_CORE, tid, false, &msg);
	if (ret)
		return ret;
	th->core = (CoreEntry *)msg;
	if (l->look && (th->core->tc || t->threads.n > 1))
		return 0;
	ret = check_core(l->run, th, t->threads.n == 1);
	if (!ret)
		core_share(th->core);
	return ret;
}

static int load_threads(struct loader *l, struct task *t)
{
	PstreeEntry *e = t->msg;
	int ret;

	if (!e->n_threads || e->threads[0] != e->pid)
		return bad_image(l->run, "pstree.img: task %u is not the first of its threads",
				 e->pid);
	for (size_t i = 1; i < e->n_threads; i++) {
		if (!e->threads[i] || e->threads[i] > CHECK_PID_MAX)
			return bad_image(l->run, "pstree.img: thread id %u of task %u",
					 e->threads[i], e->pid);
		ret = load_core(l, t, e->threads[i]);
		if (ret)
			return ret;
	}
	return 0;
}

/* In the leader's core or, as CRIU writes it, a file of its own. */
static int load_ids(struct loader *l, struct task *t)
{
	CoreEntry *core = t->threads.at[0].core;
	ProtobufCMessage *msg;
	int ret;

	if (core->ids)
		return 0;
	ret = get(l, IMG_IDS, task_pid(t), false, &msg);
	if (!ret)
		core->ids = (TaskKobjIdsEntry *)msg;
	return ret;
}

static int load_fs(struct loader *l, struct task *t)
{
	const pid_t pid = task_pid(t);
	ProtobufCMessage *msg;
	int ret = get(l, IMG_FS, pid, false, &msg);

	if (ret)
		return ret;
	t->fs = (FsEntry *)msg;
	ret = use_file(l, t->fs->cwd_id, IMG_FS, pid, "the working directory", &t->cwd);
	if (!ret)
		ret = use_file(l, t->fs->root_id, IMG_FS, pid, "the root", &t->root);
	return ret;
}

/* CRIU leaves the thread ids of zombies unset: garbage that means nothing. */
static int forget_threads(struct loader *l, struct task *t)
{
	PstreeEntry *e = t->msg;

	if (!e->n_threads) {
		e->threads = calloc(1, sizeof(e->threads[0]));
		if (!e->threads)
			return fail(&l->run->err, -ENOMEM, "task %u", e->pid);
	}
	e->threads[0] = e->pid;
	e->n_threads = 1;
	return 0;
}

static int load_task(struct loader *l, struct task *t)
{
	TaskKobjIdsEntry *ids;
	int ret = load_core(l, t, task_pid(t));

	if (ret)
		return ret;
	if (task_is_zombie(t))
		return forget_threads(l, t);
	ret = load_threads(l, t);
	if (!ret)
		ret = load_ids(l, t);
	if (!ret)
		ret = load_fs(l, t);
	if (ret)
		return ret;
	ids = t->threads.at[0].core->ids;
	ret = load_fdtable(l, ids->files_id, &t->fdtable);
	return ret ?: load_mm(l, t, ids->vm_id);
}

/* Parents come first in the file: a cycle cannot be written down. */
static int add_task(struct loader *l, PstreeEntry *e)
{
	struct task *t = calloc(1, sizeof(*t)), *parent = NULL;
	int ret = -ENOMEM;

	if (t) {
		t->msg = e;
		ret = e->pid && e->pid <= CHECK_PID_MAX ? 0 : -ERANGE;
	}
	if (!ret && l->cp->tasks.n) {
		parent = checkpoint_task(l->cp, e->ppid);
		if (!parent)
			ret = -ESRCH;
	}
	if (!ret)
		ret = checkpoint_add_task(l->cp, t);
	if (!ret) {
		t->parent = parent;
		if (parent && vec_push(&parent->children, t))
			return fail(&l->run->err, -ENOMEM, "task %u", e->pid);
		return 0;
	}
	if (ret == -ERANGE)
		bad_image(l->run, "pstree.img: pid %u", e->pid);
	else if (ret == -ESRCH)
		bad_image(l->run, "pstree.img: parent %u of task %u does not stand before it",
			  e->ppid, e->pid);
	else if (ret == -EEXIST)
		bad_image(l->run, "pstree.img: pid %u occurs twice", e->pid);
	else
		fail(&l->run->err, ret, "image pstree.img");
	protobuf_c_message_free_unpacked(&e->base, NULL);
	free(t);
	return l->run->err.code;
}

static int load_pstree(struct loader *l)
{
	struct image_reader *r;
	ProtobufCMessage *msg;
	int ret = image_open(l->run->images_dirfd, IMG_PSTREE, 0, false, &l->run->err, &r);

	if (ret)
		return ret;
	while ((ret = image_read(r, &msg)) == 1) {
		warn_of_unknown(l, IMG_PSTREE, 0, msg);
		ret = add_task(l, (PstreeEntry *)msg);
		if (ret)
			break;
	}
	image_reader_free(r);
	if (!ret && !l->cp->tasks.n)
		ret = bad_image(l->run, "pstree.img: no task");
	return ret;
}

static int load_tasks(struct loader *l)
{
	struct task **t;
	int ret = 0;

	vec_for_each (&l->cp->tasks, t) {
		ret = load_task(l, *t);
		if (ret)
			break;
	}
	vec_free(&l->fdtables);
	vec_free(&l->mms);
	return ret;
}

static int load(struct run *run, bool look, struct checkpoint **ret)
{
	struct loader l = {.run = run, .cp = checkpoint_new(), .look = look};
	int code;

	if (!l.cp)
		return fail(&run->err, -ENOMEM, "cannot hold a checkpoint");
	l.cp->pooled = true;
	code = load_inventory(&l);
	if (!code && !look)
		code = manifest_check(run, l.cp->inventory);
	if (!code)
		code = load_seccomp(&l);
	if (!code)
		code = load_locks(run, l.cp);
	if (!code)
		code = load_files(&l);
	if (!code)
		code = load_pstree(&l);
	if (!code)
		code = load_tasks(&l);
	if (!code)
		code = check_tree(run, l.cp);
	if (code) {
		checkpoint_free(l.cp);
		return code;
	}
	*ret = l.cp;
	return 0;
}

int checkpoint_load(struct run *run, struct checkpoint **ret)
{
	return load(run, false, ret);
}

int checkpoint_look(struct run *run, struct checkpoint **ret)
{
	return load(run, true, ret);
}
