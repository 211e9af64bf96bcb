// SPDX-License-Identifier: GPL-2.0-only
#include "resource/collect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/proc.h"
#include "lib/cleanup.h"

#ifndef F_GETOWNER_UIDS
#define F_GETOWNER_UIDS 17
#endif

struct inode *collect_inode(struct collect *c, const struct fd_probe *p, enum image_id contents,
			    bool *is_new)
{
	struct inode *i;

	vec_for_each (&c->inodes, i) {
		if (i->dev == p->st.st_dev && i->ino == p->st.st_ino) {
			*is_new = false;
			return i;
		}
	}
	i = vec_add(&c->inodes);
	if (!i)
		return NULL;
	i->dev = p->st.st_dev;
	i->ino = p->st.st_ino;
	i->size = p->st.st_size;
	i->contents = contents;
	if (contents != IMG_COUNT)
		i->id = ++c->last_shmem_id;
	i->pid = p->pid;
	i->fd = p->fd;
	i->addr = p->addr;
	i->end = p->end;
	*is_new = true;
	return i;
}

int collect_save_inodes(struct collect *c, enum image_id image,
			const ProtobufCMessageDescriptor *type)
{
	struct image_writer *w = NULL;
	const struct inode *i;
	int ret = 0, closed;

	vec_for_each (&c->inodes, i) {
		if (!i->message || i->message->descriptor != type)
			continue;
		if (!w)
			ret = image_create(c->run->images_dirfd, image, 0, &c->run->err, &w);
		if (!ret)
			ret = image_write(w, i->message);
		if (ret)
			break;
	}
	closed = image_close(w);
	return ret ? ret : closed;
}

void collect_free(struct collect *c)
{
	struct inode *i;
	size_t n;

	vec_for_each (&c->inodes, i) {
		if (i->message)
			protobuf_c_message_free_unpacked(i->message, NULL);
	}
	for (n = 0; n < c->remaps.n; n++)
		remap_file_path_entry__free_unpacked(c->remaps.at[n], NULL);
	for (n = 0; n < c->links.n; n++)
		free(c->links.at[n]);
	vec_free(&c->inodes);
	vec_free(&c->remaps);
	vec_free(&c->links);
}

FownEntry *collect_fown(const struct fd_probe *p)
{
	FownEntry *e = malloc(sizeof(*e));
	struct f_owner_ex owner = {};
	uid_t uids[2] = {};
	int sig;

	if (!e)
		return NULL;
	fown_entry__init(e);
	/* An O_PATH descriptor knows none of this. */
	if (p->fd < 0 || fcntl(p->local, F_GETOWN_EX, &owner) || owner.pid == 0)
		return e;
	fcntl(p->local, F_GETOWNER_UIDS, uids);
	sig = fcntl(p->local, F_GETSIG);
	e->uid = uids[0];
	e->euid = uids[1];
	e->signum = sig > 0 ? sig : 0;
	/* The image has enum pid_type of the kernel: thread, process (0 and 1), group. */
	e->pid_type = owner.type == F_OWNER_TID ? 0 : owner.type == F_OWNER_PID ? 1 : 2;
	e->pid = owner.pid;
	return e;
}

uint64_t probe_number(const struct fd_probe *p, const char *key, int base)
{
	const char *v = proc_field(p->fdinfo, key);

	return v ? strtoull(v, NULL, base) : 0;
}

bool probe_path_leads_there(const struct fd_probe *p)
{
	struct stat st;

	if (p->path != PATH_UNASKED)
		return p->path == PATH_LEADS_THERE;
	return p->st.st_nlink && !fstatat(AT_FDCWD, p->link, &st, AT_SYMLINK_NOFOLLOW) &&
	       st.st_ino == p->st.st_ino && st.st_dev == p->st.st_dev;
}

int file_local(const struct file *f)
{
	_cleanup_close_ int pidfd = syscall(SYS_pidfd_open, f->holder_pid, 0);
	int fd;

	if (pidfd < 0)
		return -errno;
	fd = syscall(SYS_pidfd_getfd, pidfd, f->holder_fd, 0);
	return fd < 0 ? -errno : fd;
}

const char *probe_name(const struct fd_probe *p, char *buf, size_t size)
{
	if (p->fd >= 0)
		snprintf(buf, size, "task %d: descriptor %d (%.500s)", p->pid, p->fd, p->link);
	else
		snprintf(buf, size, "task %d: %.500s", p->pid, p->link);
	return buf;
}

int refuse_probe(struct collect *c, const struct fd_probe *p, const char *what, const char *hint)
{
	char name[600];

	fail_text(&c->run->err, -EOPNOTSUPP, "%s is %s, which cannot be dumped",
		  probe_name(p, name, sizeof(name)), what);
	return fail_hint(&c->run->err, "%s", hint);
}

int collect_second(struct collect *c, const struct resource *kind, const struct fd_probe *p,
		   struct file **ret)
{
	struct file *f = calloc(1, sizeof(*f));
	int err = -ENOMEM;

	if (f)
		f->msg = malloc(sizeof(*f->msg));
	if (!f || !f->msg) {
		free(f);
		return fail(&c->run->err, err, "task %d: keep a file", p->pid);
	}
	file_entry__init(f->msg);
	f->id = f->msg->id = ++c->last_file_id;
	f->msg->type = kind->type;
	file_is(f, kind);
	f->holder_pid = p->pid;
	f->holder_fd = p->fd;
	err = kind->collect(c, p, f);
	if (!err && checkpoint_add_file(c->cp, f))
		err = fail(&c->run->err, -ENOMEM, "task %d: keep a file", p->pid);
	if (err) {
		file_entry__free_unpacked(f->msg, NULL);
		free(f);
		return err;
	}
	f->n_uses++;
	*ret = f;
	return 0;
}
