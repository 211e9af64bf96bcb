// SPDX-License-Identifier: GPL-2.0-only
#include "resource/sysv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <unistd.h>

#include "image/image.h"
#include "image/pagemap.h"
#include "lib/cleanup.h"
#include "lib/scripts.h"

#define NEXT_ID "/proc/sys/kernel/shm_next_id"

/* Ours of ipc_ns_id in ids and inventory. */
static uint32_t ipc_ns(const struct checkpoint *cp)
{
	const TaskKobjIdsEntry *ids = cp->inventory->root_ids;

	return ids && ids->has_ipc_ns_id ? ids->ipc_ns_id : 0;
}

/* --- dump ----------------------------------------------------------------- */

int sysv_collect(struct collect *c, const struct fd_probe *p, uint32_t id)
{
	IpcShmEntry *e;
	struct shmid_ds ds;
	struct inode *i;
	bool is_new;

	i = collect_inode(c, p, IMG_SHMEM_PAGEMAP, &is_new);
	if (!i)
		return fail(&c->run->err, -ENOMEM, "keep System V segment %u", id);
	if (!is_new)
		return 0;
	i->id = sysv_image(id);
	if (shmctl(id, IPC_STAT, &ds))
		return fail(&c->run->err, -errno, "task %d: ask about System V segment %u", p->pid,
			    id);
	e = malloc(sizeof(*e));
	if (!e)
		return fail(&c->run->err, -ENOMEM, "keep System V segment %u", id);
	ipc_shm_entry__init(e);
	i->message = &e->base;
	e->desc = malloc(sizeof(*e->desc));
	if (!e->desc)
		return fail(&c->run->err, -ENOMEM, "keep System V segment %u", id);
	ipc_desc_entry__init(e->desc);
	e->desc->key = ds.shm_perm.__key;
	e->desc->uid = ds.shm_perm.uid;
	e->desc->gid = ds.shm_perm.gid;
	e->desc->cuid = ds.shm_perm.cuid;
	e->desc->cgid = ds.shm_perm.cgid;
	e->desc->mode = ds.shm_perm.mode;
	e->desc->id = id;
	e->size = ds.shm_segsz;
	e->has_in_pagemaps = e->in_pagemaps = true;
	return 0;
}

int sysv_save(struct collect *c)
{
	struct image_writer *w = NULL;
	const struct inode *i;
	int ret = 0, closed;

	vec_for_each (&c->inodes, i) {
		if (!i->message || i->message->descriptor != &ipc_shm_entry__descriptor)
			continue;
		if (!w)
			ret = image_create(c->run->images_dirfd, IMG_IPCNS_SHM, ipc_ns(c->cp),
					   &c->run->err, &w);
		if (!ret)
			ret = image_write(w, i->message);
		if (ret)
			break;
	}
	closed = image_close(w);
	return ret ? ret : closed;
}

/* --- restore -------------------------------------------------------------- */

int sysv_load(struct run *run, struct checkpoint *cp)
{
	struct image_reader *r;
	ProtobufCMessage *msg;
	int ret;

	ret = image_open(run->images_dirfd, IMG_IPCNS_SHM, ipc_ns(cp), true, &run->err, &r);
	if (ret)
		return ret == -ENOENT && !run->err.code ? 0 : ret;
	while ((ret = image_read(r, &msg)) == 1) {
		struct sysv_segment s = {.msg = (IpcShmEntry *)msg};

		if (!s.msg->has_in_pagemaps || !s.msg->in_pagemaps)
			ret = fail_text(
				&run->err, -EOPNOTSUPP,
				"System V segment %u: contents in the image itself are not supported",
				s.msg->desc->id);
		else if (s.msg->desc->id > INT32_MAX || s.msg->size > 1ULL << 47)
			ret = fail_text(&run->err, -EBADMSG, "System V segment %u of %lu bytes",
					s.msg->desc->id, s.msg->size);
		else
			ret = vec_push(&cp->sysv, s);
		if (ret) {
			protobuf_c_message_free_unpacked(msg, NULL);
			break;
		}
	}
	image_reader_free(r);
	return ret;
}

uint64_t sysv_size(const struct checkpoint *cp, uint64_t id)
{
	const struct sysv_segment *s;

	vec_for_each (&cp->sysv, s) {
		if (s->msg->desc->id == id)
			return (s->msg->size + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
	}
	return 0;
}

/* The kernel gives the next segment the number that is in this file, if it is free. */
static int ask_for_id(struct run *run, uint32_t id)
{
	_cleanup_close_ int fd = open(NEXT_ID, O_WRONLY | O_CLOEXEC);
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", id);

	if (fd < 0 || write(fd, text, n) != n) {
		fail(&run->err, -errno, "ask for System V segment %u by %s", id, NEXT_ID);
		return fail_hint(&run->err, "that needs CAP_CHECKPOINT_RESTORE and "
					    "CONFIG_CHECKPOINT_RESTORE");
	}
	return 0;
}

static int fill(struct run *run, const struct sysv_segment *s)
{
	uint32_t id = s->msg->desc->id;
	struct image_chain chain = {};
	stored_vec extents = {};
	struct stored *x;
	char name[64];
	uint8_t *at;
	int ret;

	ret = image_chain_open(run, &chain);
	if (!ret)
		ret = pagemap_load(run, &chain, IMG_SHMEM_PAGEMAP, sysv_image(id), true, &extents);
	at = shmat(id, NULL, 0);
	if (!ret && at == (void *)-1)
		ret = fail(&run->err, -errno, "attach System V segment %u", id);
	vec_for_each (&extents, x) {
		_cleanup_close_ int fd = -1;

		if (!ret)
			ret = run_check_time(run, "filling System V segments");
		if (ret)
			break;
		image_name(IMG_PAGES, x->pages_id, name, sizeof(name));
		fd = openat(chain.dirs.at[x->depth], name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (x->start + x->len >
		    sysv_size(&(struct checkpoint){.sysv.at = (void *)s, .sysv.n = 1}, id))
			ret = fail_text(&run->err, -EBADMSG,
					"System V segment %u: pages beyond its end", id);
		else if (fd < 0 || pread(fd, at + x->start, x->len, x->offset) != (ssize_t)x->len)
			ret = fail(&run->err, fd < 0 ? -errno : -EIO,
				   "image %s: read %lu bytes at %lu", name, x->len, x->offset);
	}
	if (at != (void *)-1)
		shmdt(at);
	vec_free(&extents);
	image_chain_close(&chain);
	return ret;
}

static int make(struct run *run, struct sysv_segment *s)
{
	const IpcDescEntry *d = s->msg->desc;
	struct shmid_ds ds;
	int id, ret;

	if (!shmctl(d->id, IPC_STAT, &ds)) {
		if (ds.shm_perm.__key == (int)d->key && ds.shm_segsz == s->msg->size) {
			log_info(&run->log, "System V segment %u is still there: used as it is",
				 d->id);
			return 0;
		}
		fail_text(&run->err, -EEXIST,
			  "System V segment %u is another one now (key %#x, %zu bytes)", d->id,
			  ds.shm_perm.__key, ds.shm_segsz);
		return fail_hint(&run->err,
				 "remove it (ipcrm -m %u), or restore in an IPC namespace of its "
				 "own",
				 d->id);
	}
	ret = ask_for_id(run, d->id);
	if (ret)
		return ret;
	id = shmget(d->key, s->msg->size, IPC_CREAT | IPC_EXCL | (d->mode & 0777));
	if (id < 0)
		return fail(&run->err, -errno, "make System V segment %u (key %#x)", d->id, d->key);
	s->made = true;
	if ((uint32_t)id != d->id) {
		shmctl(id, IPC_RMID, NULL);
		s->made = false;
		return fail_text(&run->err, -EBUSY,
				 "System V segment %u: the kernel gave %d instead", d->id, id);
	}
	shmctl(id, IPC_STAT, &ds);
	ds.shm_perm.uid = d->uid;
	ds.shm_perm.gid = d->gid;
	if (shmctl(id, IPC_SET, &ds))
		return fail(&run->err, -errno, "System V segment %u: set its owner", d->id);
	return fill(run, s);
}

int sysv_make(struct run *run, struct checkpoint *cp)
{
	struct sysv_segment *s;
	int ret = 0;

	vec_for_each (&cp->sysv, s) {
		ret = make(run, s);
		if (ret)
			break;
	}
	return ret;
}

static void remove_segments(struct checkpoint *cp, uint32_t mode)
{
	struct sysv_segment *s;

	vec_for_each (&cp->sysv, s) {
		if (!s->made || (s->msg->desc->mode & mode) != mode)
			continue;
		shmctl(s->msg->desc->id, IPC_RMID, NULL);
		s->made = false;
	}
}

void sysv_attached(struct checkpoint *cp)
{
	remove_segments(cp, SHM_DEST);
}

void sysv_remove(struct checkpoint *cp)
{
	remove_segments(cp, 0);
}
