// SPDX-License-Identifier: GPL-2.0-only
/*
 * Secret memory, memfd_secret(2) (5.14): memfd-secret.img has the inodes,
 * pagemap-secretmem-ID.img the contents, which only the task itself can read.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "plan/fds.h"
#include "plan/fill.h"
#include "resource/collect.h"
#include "resource/kinds.h"
#include "resource/memfd.h"

#ifndef SECRETMEM_MAGIC
#define SECRETMEM_MAGIC 0x5345434d
#endif

static bool match_secret(const struct fd_probe *p)
{
	return p->fstype == SECRETMEM_MAGIC;
}

static int collect_secret(struct collect *c, const struct fd_probe *p, struct file *f)
{
	MemfdSecretFileEntry *e = malloc(sizeof(*e));
	MemfdSecretInodeEntry *inode;
	struct inode *s;
	bool is_new;

	if (!e)
		return fail(&c->run->err, -ENOMEM, "keep secret memory");
	memfd_secret_file_entry__init(e);
	f->msg->secret = e;
	e->id = f->id;
	e->flags = p->flags;
	e->pos = p->pos;
	e->fown = collect_fown(p);
	s = collect_inode(c, p, IMG_SECRETMEM_PAGEMAP, &is_new);
	if (!e->fown || !s)
		return fail(&c->run->err, -ENOMEM, "keep secret memory");
	if (p->fd >= 0 && s->fd < 0) {
		s->pid = p->pid;
		s->fd = p->fd;
	}
	e->inode_id = s->id;
	if (!is_new)
		return 0;
	inode = malloc(sizeof(*inode));
	if (!inode)
		return fail(&c->run->err, -ENOMEM, "keep secret memory");
	memfd_secret_inode_entry__init(inode);
	s->message = &inode->base;
	inode->inode_id = s->id;
	inode->size = p->st.st_size;
	inode->uid = p->st.st_uid;
	inode->gid = p->st.st_gid;
	inode->has_mode = true;
	inode->mode = p->st.st_mode;
	return 0;
}

static int save_secrets(struct collect *c)
{
	return collect_save_inodes(c, IMG_MEMFD_SECRET, &memfd_secret_inode_entry__descriptor);
}

static int describe_secret(const struct file *f, char *buf, size_t size)
{
	return snprintf(buf, size, "secret memory, inode %u", f->msg->secret->inode_id);
}

/* --- restore --- */

#ifndef __NR_memfd_secret
#define __NR_memfd_secret 447
#endif

/*
 * An inode cannot be opened twice: all files that name it are one description,
 * that of a descriptor if there is one. What is only mapped may have been
 * written down as a description of its own.
 */
static struct file *the_one(struct checkpoint *cp, const struct file *f)
{
	struct file *found = NULL;
	size_t i;

	for (i = 0; i < cp->files.n; i++) {
		struct file *g = cp->files.at[i];

		if (g->msg->type != FD_TYPES__MEMFD_SECRET ||
		    g->msg->secret->inode_id != f->msg->secret->inode_id)
			continue;
		if (g->in_table)
			return g;
		if (!found)
			found = g;
	}
	return found;
}

static bool is_secret(const struct file *f)
{
	return f && f->msg->type == FD_TYPES__MEMFD_SECRET;
}

static void unite(struct checkpoint *cp)
{
	struct fdtable **table;
	struct vma *vma;
	struct mm **mm;
	struct fd *fd;

	vec_for_each (&cp->fdtables, table)
		vec_for_each (&(*table)->fds, fd)
			if (is_secret(fd->file))
				fd->file->in_table = true;
	vec_for_each (&cp->fdtables, table)
		vec_for_each (&(*table)->fds, fd)
			if (is_secret(fd->file))
				fd->file = the_one(cp, fd->file);
	vec_for_each (&cp->mms, mm)
		vec_for_each (&(*mm)->vmas, vma)
			if (is_secret(vma->file))
				vma->file = the_one(cp, vma->file);
}

static int load_secretmem(struct run *run, struct checkpoint *cp)
{
	struct image_reader *r;
	ProtobufCMessage *msg;
	size_t i;
	int ret = image_open(run->images_dirfd, IMG_MEMFD_SECRET, 0, true, &run->err, &r);

	if (ret)
		return ret == -ENOENT && !run->err.code ? 0 : ret;
	unite(cp);
	while ((ret = image_read(r, &msg)) == 1) {
		MemfdSecretInodeEntry *e = (MemfdSecretInodeEntry *)msg;
		struct file *f = NULL;

		for (i = 0; i < cp->files.n && !f; i++)
			if (cp->files.at[i]->msg->type == FD_TYPES__MEMFD_SECRET &&
			    cp->files.at[i]->msg->secret->inode_id == e->inode_id)
				f = the_one(cp, cp->files.at[i]);
		if (f && !f->data)
			f->data = e;
		else
			protobuf_c_message_free_unpacked(msg, NULL);
	}
	image_reader_free(r);
	return ret;
}

uint64_t secretmem_size(const struct file *f)
{
	const MemfdSecretInodeEntry *e = f->data;

	return e ? e->size : 0;
}

static int open_secretmem(struct plan *p, struct plan_slot *slot, struct file *f,
			  struct operand *ret_fd)
{
	const MemfdSecretFileEntry *e = f->msg->secret;
	const MemfdSecretInodeEntry *inode = f->data;

	if (!inode) {
		fail_text(&p->run->err, -EBADMSG,
			  "secret memory, file id %u: memfd-secret.img has no inode %u for it",
			  f->id, e->inode_id);
		return fail_hint(&p->run->err, "the checkpoint is damaged; dump again");
	}
	*ret_fd = plan_open(p, slot, "secret memory, file id %ld", f->id, __NR_memfd_secret,
			    imm(plan_cloexec(slot)));
	if (inode->size)
		plan_call(p, slot, "size %ld", inode->size, __NR_ftruncate, *ret_fd,
			  imm(inode->size));
	if (inode->has_mode)
		plan_call(p, slot, "mode", inode->mode, __NR_fchmod, *ret_fd,
			  imm(inode->mode & 07777));
	if (inode->uid || inode->gid)
		plan_call(p, slot, "owner", inode->uid, __NR_fchown, *ret_fd, imm(inode->uid),
			  imm(inode->gid));
	plan_fown(p, slot, *ret_fd, e->fown);
	return plan_fill_file(p, slot, IMG_SECRETMEM_PAGEMAP, inode->inode_id, inode->size, *ret_fd,
			      false);
}

static void forget_secretmem(struct file *f)
{
	if (f->data)
		protobuf_c_message_free_unpacked(f->data, NULL);
	f->data = NULL;
}

const struct resource resource_secretmem = {
	.name = "secret memory",
	.type = FD_TYPES__MEMFD_SECRET,
	.match = match_secret,
	.collect = collect_secret,
	.save = save_secrets,
	.describe = describe_secret,
	.load = load_secretmem,
	.open = open_secretmem,
	.forget = forget_secretmem,
};
