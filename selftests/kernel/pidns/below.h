/* SPDX-License-Identifier: GPL-2.0-only */
/* An empty pid namespace below another one, of which the test is no part. */
#ifndef SELFTESTS_PIDNS_BELOW_H
#define SELFTESTS_PIDNS_BELOW_H

#include "pidns.h"

/*
 * Runs as the init of a namespace: makes a child that unshares a namespace below, says so, and
 * waits.
 */
static inline void init_with_empty_child(int ready)
{
	pid_t pid = fork();

	if (!pid) {
		if (unshare(CLONE_NEWPID) || write(ready, "x", 1) != 1)
			_exit(1);
		stay();
	}
	/* The number of the child inside: 2. */
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

struct below {
	pid_t init;  /* of the namespace in the middle */
	pid_t maker; /* its child, which has made */
	int ns;	     /* the empty one below */
};

/*
 * A namespace in the middle with its init, and an empty one below it. Returns 0 or a step that
 * failed.
 */
static inline int make_below(struct below *b)
{
	int ready[2];
	char c;

	if (pipe2(ready, O_CLOEXEC))
		return 1;
	b->init = fork_at(CLONE_NEWPID, NULL, 0);
	if (b->init < 0)
		return 2;
	if (!b->init)
		init_with_empty_child(ready[1]);
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		return 3;
	close(ready[0]);
	b->maker = first_child(b->init);
	if (b->maker <= 0)
		return 4;
	b->ns = open_ns(b->maker, "pid_for_children");
	return b->ns < 0 ? 5 : 0;
}

#endif
