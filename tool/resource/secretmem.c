// SPDX-License-Identifier: GPL-2.0-only
/*
 * Secret memory, memfd_secret(2) (5.14): memfd-secret.img has the inodes,
 * pagemap-secretmem-ID.img the contents, which only the task itself can read.
 */
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resource/collect.h"
#include "resource/kinds.h"

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

const struct resource resource_secretmem = {
	.name = "secret memory",
	.type = FD_TYPES__MEMFD_SECRET,
	.match = match_secret,
	.collect = collect_secret,
	.save = save_secrets,
	.describe = describe_secret,
};
