/* SPDX-License-Identifier: GPL-2.0-only */
/* An empty pid namespace below another one, of which the test is no part. */
#ifndef SELFTESTS_PIDNS_BELOW_H
#define SELFTESTS_PIDNS_BELOW_H

#include "pidns.h"

/*
 * Runs as the init of a namespace: makes a child that unshares a namespace below, says so, and
 * waits. With more than one of @levels, the child is the init of the next one, and so on.
 */
static inline void __attribute__((noreturn)) init_with_empty_child(int ready, int levels)
{
	pid_t pid = fork_at(levels > 1 ? CLONE_NEWPID : 0, NULL, 0);

	if (!pid && levels > 1)
		init_with_empty_child(ready, levels - 1);
	if (!pid && (unshare(CLONE_NEWPID) || write(ready, "x", 1) != 1))
		_exit(1);
	stay();
}

static inline pid_t first_child(pid_t of)
{
	char path[64], buf[64] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", of, of);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, buf, sizeof(buf) - 1) <= 0)
		buf[0] = 0;
	if (fd >= 0)
		close(fd);
	return atoi(buf);
}

/*
 * init       of the outermost namespace
 * middle     of the innermost that has one, which is the same if there is one level
 * maker      its child, which has made
 * ns         the empty one below
 */
struct below {
	pid_t init, middle, maker;
	int ns;
};

/*
 * So many @levels of namespaces, one below the other, each with its init, and an empty one below
 * them. Returns 0 or a step that failed.
 */
static inline int make_below_levels(struct below *b, int levels)
{
	int ready[2], i;
	char c;

	if (pipe2(ready, O_CLOEXEC))
		return 1;
	b->init = fork_at(CLONE_NEWPID, NULL, 0);
	if (b->init < 0)
		return 2;
	if (!b->init)
		init_with_empty_child(ready[1], levels);
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		return 3;
	close(ready[0]);
	b->middle = b->init;
	for (i = 1; i < levels; i++)
		b->middle = first_child(b->middle);
	b->maker = first_child(b->middle);
	if (b->maker <= 0)
		return 4;
	b->ns = open_ns(b->maker, "pid_for_children");
	return b->ns < 0 ? 5 : 0;
}

static inline int make_below(struct below *b)
{
	return make_below_levels(b, 1);
}

#endif
