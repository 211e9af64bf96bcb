// SPDX-License-Identifier: GPL-2.0-only
/* memfd_create(2): descriptions, inodes (memfd.img) and contents (pagemap-shmem-ID.img). */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "plan/fds.h"
#include "plan/fill.h"
#include "resource/collect.h"
#include "resource/inherit.h"
#include "resource/kinds.h"
#include "resource/memfd.h"

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

/* --- restore --- */

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif
#define ALL_SEALS                                                                         \
	(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | \
	 F_SEAL_EXEC)

/* file->data of every description of the inode. */
struct memfd {
	MemfdInodeEntry *msg;
	unsigned int refs;
	struct file *first; /* the description that makes it */
	bool sealed;
};

static int load_inodes(struct run *run, struct memfd ***ret, size_t *n)
{
	VEC(struct memfd *) v = {0};
	struct image_reader *r;
	ProtobufCMessage *msg;
	int code = image_open(run->images_dirfd, IMG_MEMFD_INODE, 0, true, &run->err, &r);

	if (code == -ENOENT && !run->err.code)
		return 0;
	if (code)
		return code;
	while ((code = image_read(r, &msg)) == 1) {
		struct memfd *m = calloc(1, sizeof(*m));

		if (!m || vec_push(&v, m)) {
			free(m);
			protobuf_c_message_free_unpacked(msg, NULL);
			code = fail(&run->err, -ENOMEM, "image memfd.img");
			break;
		}
		m->msg = (MemfdInodeEntry *)msg;
	}
	image_reader_free(r);
	*ret = v.at;
	*n = v.n;
	return code;
}

static void free_memfd(struct memfd *m)
{
	memfd_inode_entry__free_unpacked(m->msg, NULL);
	free(m);
}

static int link_files(struct run *run, struct checkpoint *cp, struct memfd **m, size_t n)
{
	size_t i, j;

	for (i = 0; i < cp->files.n; i++) {
		struct file *f = cp->files.at[i];

		if (f->msg->type != FD_TYPES__MEMFD)
			continue;
		for (j = 0; j < n && m[j]->msg->inode_id != f->msg->memfd->inode_id; j++)
			;
		if (j == n) {
			fail_text(&run->err, -EBADMSG,
				  "image files.img: memfd file id %u: memfd.img has no inode %u",
				  f->id, f->msg->memfd->inode_id);
			return fail_hint(&run->err, "the checkpoint is damaged; dump again");
		}
		f->data = m[j];
		m[j]->refs++;
	}
	return 0;
}

static int identify_memfd(const struct file *f, char *buf, size_t size)
{
	const struct memfd *m = f->data;

	return m ? snprintf(buf, size, PREFIX "%s", m->msg->name) : -1;
}

static int load_memfd(struct run *run, struct checkpoint *cp)
{
	struct memfd **m = NULL;
	size_t n = 0, i;
	int ret = load_inodes(run, &m, &n);

	if (!ret)
		ret = link_files(run, cp, m, n);
	for (i = 0; i < n; i++)
		if (!m[i]->refs)
			free_memfd(m[i]);
	free(m);
	inherit_match(run, cp, FD_TYPES__MEMFD);
	return ret;
}

uint64_t memfd_size(const struct file *f)
{
	const struct memfd *m = f->data;

	return m ? m->msg->size : 0;
}

static int make(struct plan *p, struct plan_slot *slot, struct memfd *m, struct operand *ret_fd)
{
	const MemfdInodeEntry *e = m->msg;
	uint64_t flags = plan_cloexec(slot) ? MFD_CLOEXEC : 0;
	struct operand fd;

	if (e->seals & ~ALL_SEALS)
		return fail_text(&p->run->err, -EOPNOTSUPP, "memfd %s: unknown seals %#x", e->name,
				 e->seals);
	if (!(e->seals & F_SEAL_SEAL))
		flags |= MFD_ALLOW_SEALING;
	if (e->has_hugetlb_flag && e->hugetlb_flag)
		flags |= MFD_HUGETLB | (e->hugetlb_flag & (0x3fu << MFD_HUGE_SHIFT));
	/* Sealed with nothing but 'no more seals' is how one without seals is born. */
	if (e->seals & ~(uint32_t)F_SEAL_SEAL)
		flags |= MFD_ALLOW_SEALING;
	fd = plan_open(p, slot, "memfd inode %ld", e->inode_id, __NR_memfd_create,
		       plan_string(p, e->name), imm(flags));
	if (e->size)
		plan_call(p, slot, "size %ld", e->size, __NR_ftruncate, fd, imm(e->size));
	if (e->has_mode)
		plan_call(p, slot, "mode", e->mode, __NR_fchmod, fd, imm(e->mode & 07777));
	if (e->uid || e->gid)
		plan_call(p, slot, "owner", e->uid, __NR_fchown, fd, imm(e->uid), imm(e->gid));
	*ret_fd = fd;
	return plan_fill_file(p, slot, IMG_SHMEM_PAGEMAP, e->shmid, e->size, fd, true);
}

static int open_memfd(struct plan *p, struct plan_slot *slot, struct file *f,
		      struct operand *ret_fd)
{
	const MemfdFileEntry *e = f->msg->memfd;
	struct memfd *m = f->data;
	bool own = true;
	int ret;

	if (f->outside) {
		ret = inherit_plan(p, slot, f, e->flags, INHERIT_OWN, ret_fd, &own);
	} else if (m->first) {
		ret = plan_reopen(p, slot, m->first, e->flags, ret_fd);
	} else {
		m->first = f;
		ret = make(p, slot, m, ret_fd);
		if (!ret && (e->flags & (O_APPEND | O_NONBLOCK)))
			plan_call(p, slot, "flags", e->flags, __NR_fcntl, *ret_fd, imm(F_SETFL),
				  imm(e->flags & (O_APPEND | O_NONBLOCK)));
	}
	if (ret || !own)
		return ret;
	if (e->pos)
		plan_call_expect(p, slot, "position %ld", e->pos, __NR_lseek, e->pos, *ret_fd,
				 imm(e->pos), imm(SEEK_SET));
	plan_fown(p, slot, *ret_fd, e->fown);
	return 0;
}

/* Seals forbid what filling and mapping needed. */
static int settle_memfd(struct plan *p, struct plan_slot *slot, struct file *f, struct operand fd)
{
	struct memfd *m = f->data;
	uint32_t born = m->msg->seals & ~(uint32_t)F_SEAL_SEAL ? 0 : F_SEAL_SEAL;

	if (m->first != f || !(m->msg->seals & ~born))
		return 0;
	plan_call(p, slot, "seals %ld", m->msg->seals, __NR_fcntl, fd, imm(F_ADD_SEALS),
		  imm(m->msg->seals & ~born));
	return 1;
}

static void forget_memfd(struct file *f)
{
	struct memfd *m = f->data;

	if (m && !--m->refs)
		free_memfd(m);
	f->data = NULL;
}

const struct resource resource_memfd = {
	.name = "memfd",
	.type = FD_TYPES__MEMFD,
	.match = match_memfd,
	.collect = collect_memfd,
	.save = save_memfds,
	.identity = identify_memfd,
	.describe = describe_memfd,
	.load = load_memfd,
	.open = open_memfd,
	.settle = settle_memfd,
	.forget = forget_memfd,
};
