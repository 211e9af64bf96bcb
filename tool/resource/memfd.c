// SPDX-License-Identifier: GPL-2.0-only
/* memfd_create(2): descriptions, inodes (memfd.img) and contents (pagemap-shmem-ID.img). */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "resource/collect.h"
#include "resource/kinds.h"

#define PREFIX	"/memfd:"
#define DELETED " (deleted)"

static bool match_memfd(const struct fd_probe *p)
{
	return !strncmp(p->link, PREFIX, strlen(PREFIX)) && S_ISREG(p->st.st_mode) &&
	       (p->fstype == TMPFS_MAGIC || p->fstype == HUGETLBFS_MAGIC);
}

/* What an inode's message needs and only a descriptor of it tells. */
static int fill_inode(struct collect *c, const struct fd_probe *p, MemfdInodeEntry *e,
		      uint32_t shmid)
{
	char path[40];
	size_t len = strlen(p->link);
	int fd, seals;

	e->name = strdup(p->link + strlen(PREFIX));
	if (!e->name)
		return fail(&c->run->err, -ENOMEM, "keep memfd %s", p->link);
	if (len > strlen(DELETED) && !strcmp(p->link + len - strlen(DELETED), DELETED))
		e->name[strlen(e->name) - strlen(DELETED)] = 0;
	/* A mapping's or an O_PATH descriptor knows no seals; the file behind it does. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", p->local);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	seals = fd < 0 ? -1 : fcntl(fd, F_GET_SEALS);
	if (fd < 0 || seals < 0) {
		int code = -errno;

		if (fd >= 0)
			close(fd);
		return fail(&c->run->err, code, "memfd %s of task %d: ask its seals", p->link,
			    p->pid);
	}
	close(fd);
	e->uid = p->st.st_uid;
	e->gid = p->st.st_gid;
	e->size = p->st.st_size;
	e->shmid = shmid;
	e->inode_id = shmid;
	e->seals = seals;
	e->has_mode = true;
	e->mode = p->st.st_mode;
	if (p->fstype == HUGETLBFS_MAGIC) {
		e->has_hugetlb_flag = true;
		e->hugetlb_flag = (uint32_t)__builtin_ctzll(p->st.st_blksize)
				  << 26; /* MFD_HUGE_SHIFT */
	}
	return 0;
}

static int collect_memfd(struct collect *c, const struct fd_probe *p, struct file *f)
{
	MemfdFileEntry *e = malloc(sizeof(*e));
	MemfdInodeEntry *inode;
	struct inode *s;
	bool is_new;
	int ret;

	if (!e)
		return fail(&c->run->err, -ENOMEM, "keep memfd %s", p->link);
	memfd_file_entry__init(e);
	f->msg->memfd = e;
	e->id = f->id;
	e->flags = p->flags;
	e->pos = p->pos;
	e->fown = collect_fown(p);
	s = collect_inode(c, p, IMG_SHMEM_PAGEMAP, &is_new);
	if (!e->fown || !s)
		return fail(&c->run->err, -ENOMEM, "keep memfd %s", p->link);
	if (p->fd >= 0 && s->fd < 0) {
		s->pid = p->pid;
		s->fd = p->fd;
	}
	e->inode_id = s->id;
	if (!is_new)
		return 0;
	inode = malloc(sizeof(*inode));
	if (!inode)
		return fail(&c->run->err, -ENOMEM, "keep memfd %s", p->link);
	memfd_inode_entry__init(inode);
	s->message = &inode->base;
	ret = fill_inode(c, p, inode, s->id);
	return ret;
}

/* Inodes in the order in which they were found. */
static int save_memfds(struct collect *c)
{
	return collect_save_inodes(c, IMG_MEMFD_INODE, &memfd_inode_entry__descriptor);
}

static int describe_memfd(const struct file *f, char *buf, size_t size)
{
	return snprintf(buf, size, "memfd, inode %u at %lu", f->msg->memfd->inode_id,
			f->msg->memfd->pos);
}

const struct resource resource_memfd = {
	.name = "memfd",
	.type = FD_TYPES__MEMFD,
	.match = match_memfd,
	.collect = collect_memfd,
	.save = save_memfds,
	.describe = describe_memfd,
};
