// SPDX-License-Identifier: GPL-2.0-only
/*
 * File locks, as /proc/PID/fdinfo/N shows them:
 *
 *	lock:	1: POSIX  ADVISORY  WRITE 123 fe:01:4711 5 14
 *
 * POSIX locks belong to a process and a file, flock and open file description
 * locks to a description; every descriptor that leads there shows them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "dump/state.h"
#include "lib/cleanup.h"

/* Numbers of the image, and what the kernel calls them. */
static const struct {
	const char *name;
	uint32_t flag;
} kinds[] = {{"POSIX", FILE_LOCK_POSIX}, {"FLOCK", FILE_LOCK_FLOCK}, {"OFDLCK", FILE_LOCK_OFD}};

/*
 * Files that somebody on this system holds a lock of: of many descriptors only those are
 * asked. "1: POSIX  ADVISORY  WRITE 123 fe:01:4711 0 EOF"
 */
static void *list_locked(void *arg)
{
	struct dump *d = arg;
	_cleanup_free_ char *text = NULL;
	unsigned int major, minor;
	unsigned long long ino;
	char *p;

	d->lock_list_incomplete = proc_read(AT_FDCWD, "/proc/locks", &text) < 0;
	for (p = text; p && *p; p = strchr(p, '\n'), p = p ? p + 1 : NULL) {
		struct locked_file f;

		if (sscanf(p, "%*s %*s %*s %*s %*d %x:%x:%llu", &major, &minor, &ino) != 3)
			continue;
		f.dev = makedev(major, minor);
		f.ino = ino;
		if (vec_push(&d->locked, f))
			d->lock_list_incomplete = true;
	}
	__atomic_store_n(&d->lock_list_there, true, __ATOMIC_RELEASE);
	return NULL;
}

/*
 * For the list the kernel waits for an RCU grace period, some 10 ms in which nobody on the
 * system can take a lock. As many descriptors are asked sooner than that. For more, a thread
 * waits.
 */
#define ASK_EACH 200

void dump_locks_expect(struct dump *d, size_t n)
{
	if (d->lock_list_begun || d->n_asked_for_locks + n <= ASK_EACH)
		return;
	d->lock_list_begun = true;
	d->lock_lister_runs = !pthread_create(&d->lock_lister, NULL, list_locked, d);
	if (!d->lock_lister_runs)
		list_locked(d);
}

static void await_list(struct dump *d)
{
	dump_locks_expect(d, ASK_EACH + 1);
	if (d->lock_lister_runs)
		pthread_join(d->lock_lister, NULL);
	d->lock_lister_runs = false;
}

void dump_locks_free(struct dump *d)
{
	if (d->lock_lister_runs)
		await_list(d);
	vec_free(&d->locked);
}

static bool maybe_locked(struct dump *d, uint64_t ino)
{
	const struct locked_file *f;

	if (d->n_asked_for_locks < ASK_EACH &&
	    !__atomic_load_n(&d->lock_list_there, __ATOMIC_ACQUIRE)) {
		d->n_asked_for_locks++;
		return true;
	}
	await_list(d);
	if (d->lock_list_incomplete)
		return true;
	/* By inode alone: st_dev is not the superblock's on every file system. */
	vec_for_each (&d->locked, f) {
		if (f->ino == ino)
			return true;
	}
	return false;
}

static int refuse(struct dump *d, const struct dump_task *dt, int fd, const char *what,
		  const char *hint)
{
	fail_text(&d->run->err, -EOPNOTSUPP, "task %d: descriptor %d holds %s", dt->pid, fd, what);
	return fail_hint(&d->run->err, "%s", hint);
}

/* The same lock by another descriptor? For all but POSIX the description decides. */
static bool known(const struct dump *d, const FileLockEntry *e, const struct file *f)
{
	const struct file_lock *l;

	vec_for_each (&d->cp->locks, l) {
		if (l->msg->flag != e->flag || l->msg->type != e->type ||
		    l->msg->start != e->start || l->msg->len != e->len)
			continue;
		if (l->file == f && (e->flag != FILE_LOCK_POSIX || l->msg->pid == e->pid))
			return true;
	}
	return false;
}

static int add(struct dump *d, const FileLockEntry *like, struct file *f)
{
	struct file_lock l = {.file = f};

	if (known(d, like, f))
		return 0;
	l.msg = malloc(sizeof(*l.msg));
	if (!l.msg || vec_push(&d->cp->locks, l)) {
		free(l.msg);
		return fail(&d->run->err, -ENOMEM, "task %d: keep its file locks", like->pid);
	}
	*l.msg = *like;
	return 0;
}

static int parse(struct dump *d, const struct dump_task *dt, int fd, const char *line,
		 struct file *f)
{
	FileLockEntry e = FILE_LOCK_ENTRY__INIT;
	char kind[16], mode[16], type[16], end[24];
	unsigned long long start;
	size_t i;

	if (sscanf(line, "%*u: %15s %15s %15s %*d %*x:%*x:%*u %llu %23s", kind, mode, type, &start,
		   end) != 5)
		return refuse(d, dt, fd, "a lock that this version cannot read",
			      "release it before the dump");
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!strcmp(kinds[i].name, kind))
			e.flag = kinds[i].flag;
	}
	if (!e.flag)
		return refuse(d, dt, fd, "a lease, which cannot be dumped",
			      "release it before the dump");
	e.type = !strcmp(type, "WRITE") ? F_WRLCK : F_RDLCK;
	e.pid = dt->pid;
	e.fd = fd;
	e.start = start;
	e.len = !strcmp(end, "EOF") ? 0 : strtoll(end, NULL, 10) - (int64_t)start + 1;
	return add(d, &e, f);
}

int dump_locks(struct dump *d, struct dump_task *dt, int fd, uint64_t ino, struct file *f)
{
	_cleanup_free_ char *text = NULL;
	char path[32];
	const char *line;
	ssize_t n;
	int ret = 0;

	if (!maybe_locked(d, ino))
		return 0;
	snprintf(path, sizeof(path), "fdinfo/%d", fd);
	n = proc_read(dt->procfd, path, &text);
	if (n < 0)
		return fail(&d->run->err, n, "task %d: read %s", dt->pid, path);
	for (line = text; !ret && (line = proc_field(line, "lock")); line = strchr(line, '\n')) {
		if (!d->run->opt.file_locks)
			return refuse(
				d, dt, fd, "a file lock",
				"use --file-locks, here and at restore; safe only if nobody outside "
				"of the tree waits for the lock");
		ret = parse(d, dt, fd, line, f);
		if (!strchr(line, '\n'))
			break;
	}
	return ret;
}
