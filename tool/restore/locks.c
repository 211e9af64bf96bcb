// SPDX-License-Identifier: GPL-2.0-only
/*
 * File locks (filelocks.img). Set when nothing is closed any more: closing any
 * descriptor of a file drops the POSIX locks that the process has on it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include "restore/planner.h"

#ifndef F_OFD_SETLK
#define F_OFD_SETLK 37
#endif

static bool has_fd(const struct task *t, int number)
{
	const struct fd *fd;

	vec_for_each (&t->fdtable->fds, fd) {
		if ((int)fd->msg->fd == number)
			return true;
	}
	return false;
}

static int plan_lock(struct plan *p, const FileLockEntry *e)
{
	const struct task *t = checkpoint_task(p->cp, e->pid);
	struct flock set = {
		.l_type = e->type, .l_whence = SEEK_SET, .l_start = e->start, .l_len = e->len};
	struct plan_slot *slot;

	if (!t || task_is_zombie(t) || !t->fdtable || !has_fd(t, e->fd) ||
	    (e->type != F_RDLCK && e->type != F_WRLCK))
		return fail_text(&p->run->err, -EBADMSG,
				 "image filelocks.img: lock of task %d by descriptor %d", e->pid,
				 e->fd);
	slot = plan_task(t)->slot;
	slot->phase = PHASE_LAST;
	switch (e->flag) {
	case FILE_LOCK_POSIX:
	case FILE_LOCK_OFD:
		plan_call(p, slot, "lock the file of descriptor %ld", e->fd, __NR_fcntl, imm(e->fd),
			  imm(e->flag == FILE_LOCK_OFD ? F_OFD_SETLK : F_SETLK),
			  plan_data(p, &set, sizeof(set)));
		return 0;
	case FILE_LOCK_FLOCK:
		plan_call(p, slot, "lock the file of descriptor %ld", e->fd, __NR_flock, imm(e->fd),
			  imm((e->type == F_RDLCK ? LOCK_SH : LOCK_EX) | LOCK_NB));
		return 0;
	default:
		fail_text(&p->run->err, -EOPNOTSUPP, "task %d: lock of kind %u by descriptor %d",
			  e->pid, e->flag, e->fd);
		return fail_hint(&p->run->err, "restore it with criu");
	}
}

int plan_locks(struct plan *p)
{
	const struct file_lock *l;
	int ret = 0;

	if (p->cp->locks.n && !p->run->opt.file_locks) {
		fail_text(&p->run->err, -EINVAL, "the checkpoint has file locks");
		return fail_hint(&p->run->err,
				 "use --file-locks, if nobody has locked these files since");
	}
	vec_for_each (&p->cp->locks, l) {
		ret = plan_lock(p, l->msg);
		if (ret)
			break;
	}
	return ret;
}
