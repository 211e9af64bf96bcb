// SPDX-License-Identifier: GPL-2.0-only
/* Descriptors: what each refers to, its state, and which share one description. */
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/snapshot.h"

/* Lines of fdinfo that are numbered anew or count something else. */
static const char *const volatile_lines[] = {
	"ino:", "eventfd-id:", "mnt_id:", "Pid:", "NSpid:", "drm-"};

static bool skip_line(const char *line)
{
	for (size_t i = 0; i < sizeof(volatile_lines) / sizeof(volatile_lines[0]); i++)
		if (!strncmp(line, volatile_lines[i], strlen(volatile_lines[i])))
			return true;
	return false;
}

static void add_fdinfo(struct snapshot *s, const char *fdinfo)
{
	char *copy = strdup(fdinfo), *line, *save = NULL;

	for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (skip_line(line))
			continue;
		text_add(&s->lines, " ");
		for (; *line; line++)
			text_add(&s->lines, "%c", *line == '\t' || *line == ' ' ? '_' : *line);
	}
	free(copy);
}

/* pipe:[123] and the like, deleted files and memfds: by first appearance. */
static void add_target(struct snapshot *s, const struct stat *st, const struct text *target)
{
	const char *bracket = strstr(target->at, ":[");
	bool unnamed = bracket || strstr(target->at, " (deleted)");
	size_t n = bracket ? (size_t)(bracket - target->at) : target->n;

	text_add(&s->lines, " %.*s", (int)n, target->at);
	if (unnamed && st->st_nlink <= 1)
		text_add(&s->lines, " object %d", snapshot_number(s, st->st_dev, st->st_ino));
}

/* What waits in a pipe, without taking it out. */
static void add_pipe(struct snapshot *s, pid_t pid, int nr, int flags)
{
	int fd, copy[2], queued = 0;
	char path[64];
	uint64_t hash = FNV_START;
	char buf[65536];
	ssize_t got;

	if ((flags & O_ACCMODE) == O_WRONLY)
		return;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, nr);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return;
	ioctl(fd, FIONREAD, &queued);
	text_add(&s->lines, "%d pipe %d room %d queued %d", pid, nr, fcntl(fd, F_GETPIPE_SZ),
		 queued);
	if (queued && pipe2(copy, O_CLOEXEC | O_NONBLOCK) == 0) {
		fcntl(copy[1], F_SETPIPE_SZ, 1 << 20);
		if (tee(fd, copy[1], queued, SPLICE_F_NONBLOCK) > 0)
			while ((got = read(copy[0], buf, sizeof(buf))) > 0)
				hash = fnv(hash, buf, got);
		close(copy[0]);
		close(copy[1]);
	}
	close(fd);
	text_add(&s->lines, " %016lx\n", (unsigned long)hash);
}

/* The first descriptor, in order of processes and numbers, of the same description. */
static struct description *first_of(struct snapshot *s, const struct description *d)
{
	for (int i = 0; i < s->n_files; i++) {
		struct description *o = &s->files[i];

		if (o->dev == d->dev && o->ino == d->ino && o->state == d->state &&
		    syscall(SYS_kcmp, o->pid, d->pid, KCMP_FILE, o->fd, d->fd) == 0)
			return o;
	}
	if (!(s->n_files & (s->n_files + 1)))
		s->files = realloc(s->files, (2 * s->n_files + 2) * sizeof(*s->files));
	s->files[s->n_files] = *d;
	return &s->files[s->n_files++];
}

static int fd_flags(const char *fdinfo)
{
	const char *at = strstr(fdinfo, "flags:");

	return at ? (int)strtol(at + 6, NULL, 8) : 0;
}

static void add_descriptor(struct snapshot *s, pid_t pid, int fd)
{
	struct text info = {}, target = {};
	struct description d = {.pid = pid, .fd = fd}, *first;
	struct stat st = {};
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	text_link(&target, "%s", path);
	text_read(&info, "/proc/%d/fdinfo/%d", pid, fd);
	stat(path, &st);
	d.dev = st.st_dev;
	d.ino = st.st_ino;
	d.state = fnv(FNV_START, info.at, strcspn(info.at, "\n"));
	first = first_of(s, &d);
	text_add(&s->lines, "%d fd %d is %d:%d", pid, fd, first->pid, first->fd);
	add_target(s, &st, &target);
	text_add(&s->lines, " mode %o owner %d:%d", st.st_mode, st.st_uid, st.st_gid);
	if (S_ISREG(st.st_mode))
		text_add(&s->lines, " size %ld links %ld", (long)st.st_size, (long)st.st_nlink);
	add_fdinfo(s, info.at);
	text_add(&s->lines, "\n");
	if (S_ISFIFO(st.st_mode))
		add_pipe(s, pid, fd, fd_flags(info.at));
	text_free(&info);
	text_free(&target);
}

void snapshot_files(struct snapshot *s, pid_t pid)
{
	long *fds;
	int n = numbers_in(&fds, "/proc/%d/fd", pid);

	for (int i = 0; i < n; i++)
		add_descriptor(s, pid, fds[i]);
	free(fds);
}
