// SPDX-License-Identifier: GPL-2.0-only
// The end of a pid namespace without init: by its last reference, and by the death of the
// namespaces above it.

#define _GNU_SOURCE
#include <time.h>

#include "../kselftest_harness.h"
#include "pidns.h"

#define PAUSE_FOREVER()  \
	do {             \
		pause(); \
	} while (1)

FIXTURE(teardown)
{
	struct holder holder;
};

FIXTURE_SETUP(teardown)
{
	long ret = empty_namespaces_can_be_opened();

	if (ret == 0)
		SKIP(return, SKIP_UNSUPPORTED);
	if (ret < 0)
		SKIP(return, "cannot unshare namespaces: %s", strerror(-ret));
}

FIXTURE_TEARDOWN(teardown)
{
	holder_stop(&self->holder);
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/*
 * In a user namespace in which one pid namespace is allowed: a second one has to wait for the end
 * of the first.
 */
static int limit_is_free_again(void)
{
	struct holder first = {0}, second = {0};
	int fd, i;
	long ret;

	if (unshare(CLONE_NEWUSER) || write_file("/proc/sys/user/max_pid_namespaces", "1"))
		return 10;
	if (holder_start(&first, CLONE_NEWPID))
		return 11;
	fd = open_ns(first.pid, "pid_for_children");
	if (fd < 0)
		return 12;
	holder_stop(&first);
	/* The descriptor alone holds it. */
	if (holder_start(&second, CLONE_NEWPID) != -ENOSPC)
		return 13;
	close(fd);
	/* Freed after a grace period. */
	for (i = 0, ret = -ENOSPC; i < 1000 && ret == -ENOSPC; i++) {
		usleep(10000);
		ret = holder_start(&second, CLONE_NEWPID);
	}
	if (ret)
		return 14;
	holder_stop(&second);
	return 0;
}

TEST_F(teardown, dies_with_last_reference)
{
	pid_t pid = fork();

	ASSERT_GE(pid, 0);
	if (!pid)
		_exit(limit_is_free_again());
	EXPECT_EQ(0, wait_for(pid));
}

/* --- the namespace above is dead --- */

/*
 * Runs as the init of a namespace: makes a child that unshares a namespace below, says so, and
 * waits.
 */
static void init_with_empty_child(int ready)
{
	pid_t pid = fork();

	if (!pid) {
		if (unshare(CLONE_NEWPID) || write(ready, "x", 1) != 1)
			_exit(1);
		PAUSE_FOREVER();
	}
	/* The number of the child inside: 2. */
	PAUSE_FOREVER();
}

static pid_t nth_child(pid_t of)
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
	pid_t init; /* of the namespace in the middle */
	int ns;	    /* the empty one below */
};

/*
 * A namespace in the middle with its init, and an empty one below it. Returns 0 or a step that
 * failed.
 */
static int make_below(struct below *b)
{
	unsigned long flags = CLONE_NEWPID | (geteuid() ? CLONE_NEWUSER : 0);
	int ready[2];
	pid_t child;
	char c;

	if (pipe2(ready, O_CLOEXEC))
		return 1;
	b->init = fork_at(flags, NULL, 0);
	if (b->init < 0)
		return 2;
	if (!b->init)
		init_with_empty_child(ready[1]);
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		return 3;
	close(ready[0]);
	child = nth_child(b->init);
	if (child <= 0)
		return 4;
	b->ns = open_ns(child, "pid_for_children");
	return b->ns < 0 ? 5 : 0;
}

TEST_F(teardown, enters_below_a_living_one)
{
	pid_t nr[3] = {0}, pid;
	struct below b;

	ASSERT_EQ(0, make_below(&b));
	ASSERT_EQ(0, setns(b.ns, CLONE_NEWPID));
	pid = fork_at(0, NULL, 0);
	if (!pid)
		_exit(!(read_nspid(nr, 3) == 3 && nr[1] == 3 && nr[2] == 1));
	EXPECT_EQ(0, wait_for(pid));
	kill(b.init, SIGKILL);
	EXPECT_EQ(128 + SIGKILL, wait_for(b.init));
}

TEST_F(teardown, dead_above)
{
	struct below b;
	pid_t pid;
	int i;

	ASSERT_EQ(0, make_below(&b));
	ASSERT_EQ(0, setns(b.ns, CLONE_NEWPID));
	kill(b.init, SIGKILL);
	ASSERT_EQ(128 + SIGKILL, wait_for(b.init));
	for (i = 0; i < 10; i++) {
		pid = fork_at(0, NULL, 0);
		if (!pid)
			_exit(0);
		EXPECT_EQ(-ENOMEM, pid);
		if (pid > 0) {
			wait_for(pid);
		}
	}
}

TEST_F(teardown, dead_above_when_entered)
{
	struct below b;
	pid_t pid;

	ASSERT_EQ(0, make_below(&b));
	kill(b.init, SIGKILL);
	ASSERT_EQ(128 + SIGKILL, wait_for(b.init));
	ASSERT_EQ(0, setns(b.ns, CLONE_NEWPID));
	pid = fork_at(0, NULL, 0);
	if (!pid)
		_exit(0);
	EXPECT_EQ(-ENOMEM, pid);
}

/*
 * The init below is a process of the namespace above, and goes with it although its parent is
 * outside of both.
 */
TEST_F(teardown, init_below_dies_with_init_above)
{
	struct below b;
	pid_t pid;

	ASSERT_EQ(0, make_below(&b));
	ASSERT_EQ(0, setns(b.ns, CLONE_NEWPID));
	pid = fork_at(0, NULL, 0);
	if (!pid)
		PAUSE_FOREVER();
	ASSERT_LT(0, pid);
	kill(b.init, SIGKILL);
	EXPECT_EQ(128 + SIGKILL, wait_for(pid));
	EXPECT_EQ(128 + SIGKILL, wait_for(b.init));
	pid = fork_at(0, NULL, 0);
	if (!pid)
		_exit(0);
	EXPECT_EQ(-ENOMEM, pid);
}

/*
 * Forks into the namespace below until that fails; each child is its init and tries again with a
 * child of its own.
 */
static int fork_until_dead(int ns)
{
	pid_t pid;

	if (setns(ns, CLONE_NEWPID))
		return 1;
	for (;;) {
		pid = fork_at(0, NULL, 0);
		if (!pid) {
			pid = fork_at(0, NULL, 0);
			if (pid > 0)
				wait_for(pid);
			_exit(0);
		}
		if (pid < 0)
			return pid == -ENOMEM || pid == -EINVAL ? 0 : 2;
		wait_for(pid);
	}
}

/*
 * Init above is killed at about the time when init below is made. It must end, and nothing may be
 * left below.
 */
TEST_F_TIMEOUT(teardown, dying_above_while_init_is_made, 120)
{
	time_t since = time(NULL);
	struct pollfd pfd;
	struct below b;
	pid_t forker[3];
	int round, i;

	/* On a slow machine fewer rounds will do. */
	for (round = 0; round < 60 && (round < 6 || time(NULL) - since < 30); round++) {
		ASSERT_EQ(0, make_below(&b));
		pfd = (struct pollfd){.fd = syscall(SYS_pidfd_open, b.init, 0), .events = POLLIN};
		ASSERT_GE(pfd.fd, 0);
		for (i = 0; i < 3; i++) {
			forker[i] = fork();
			if (!forker[i])
				_exit(fork_until_dead(b.ns));
		}
		if (round % 3)
			usleep(round * 20);
		kill(b.init, SIGKILL);
		EXPECT_EQ(1, poll(&pfd, 1, 20000))
		{
			TH_LOG("the init above does not end, in round %d", round);
		}
		for (i = 0; i < 3; i++) {
			EXPECT_EQ(0, wait_for(forker[i]));
		}
		EXPECT_EQ(128 + SIGKILL, wait_for(b.init));
		close(pfd.fd);
		close(b.ns);
	}
}

TEST_HARNESS_MAIN
