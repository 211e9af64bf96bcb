// SPDX-License-Identifier: GPL-2.0-only
// The end of a pid namespace without init: by its last reference, and by the death of the
// namespaces above it.

#define _GNU_SOURCE
#include <sys/ptrace.h>
#include <time.h>

#include "../kselftest_harness.h"
#include "below.h"

FIXTURE(teardown)
{};

FIXTURE_SETUP(teardown)
{
	PIDNS_PREPARE();
}

FIXTURE_TEARDOWN(teardown)
{
	reap_children();
}

/* A fork that fails when it has a pid, and one that is refused. */
static int fail_to_make_init(int ns)
{
	pid_t two = 2, pid;

	if (setns(ns, CLONE_NEWPID) || fork_that_faults() != -EFAULT)
		return 1;
	pid = fork_at(0, &two, 1);
	if (!pid)
		_exit(0);
	return pid == -EINVAL ? 0 : 2;
}

/*
 * In a user namespace in which one pid namespace is allowed: a second one has to wait for the end
 * of the first.
 */
static int limit_is_free_again(void)
{
	struct holder first = {0}, second = {0};
	int fd, i;
	pid_t pid;
	long ret;

	if (unshare(CLONE_NEWUSER) || write_file("/proc/sys/user/max_pid_namespaces", "1"))
		return 10;
	if (holder_start(&first, CLONE_NEWPID))
		return 11;
	fd = open_ns(first.pid, "pid_for_children");
	if (fd < 0)
		return 12;
	/* What fails holds nothing. */
	pid = fork();
	if (!pid)
		_exit(fail_to_make_init(fd));
	if (pid < 0 || wait_for(pid))
		return 15;
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

TEST_F(teardown, enters_below_a_living_one)
{
	pid_t nr[3] = {0}, pid;
	struct below b;

	ASSERT_EQ(0, make_below(&b));
	ASSERT_EQ(0, setns(b.ns, CLONE_NEWPID));
	pid = fork_at(0, NULL, 0);
	if (!pid)
		_exit(!(read_nspid("/proc/self/status", nr, 3) == 3 && nr[1] == 3 && nr[2] == 1));
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
	/* No pid is allocated: to free one could wake up an init that is gone. */
	EXPECT_EQ(-ENOMEM, fork_that_faults());
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
 * Of three levels, the outermost is dead and the one in the middle does not know yet: its init has
 * been killed and stops on its way out.
 */
TEST_F_TIMEOUT(teardown, dying_further_up, 180)
{
	struct below b;
	int status = 0;
	pid_t pid;

	ASSERT_EQ(0, make_below_levels(&b, 2));
	ASSERT_EQ(0, ptrace(PTRACE_SEIZE, b.middle, NULL, (void *)PTRACE_O_TRACEEXIT));
	kill(b.init, SIGKILL);
	ASSERT_EQ(b.middle, waitpid(b.middle, &status, __WALL));
	ASSERT_EQ(SIGTRAP | PTRACE_EVENT_EXIT << 8, status >> 8);
	ASSERT_EQ(0, setns(b.ns, CLONE_NEWPID));
	pid = fork_at(0, NULL, 0);
	if (!pid)
		stay();
	EXPECT_EQ(-ENOMEM, pid);
	/* As in dead_above. */
	EXPECT_EQ(-ENOMEM, fork_that_faults());
	EXPECT_EQ(0, ptrace(PTRACE_DETACH, b.middle, NULL, NULL));
	if (pid < 0)
		EXPECT_EQ(128 + SIGKILL, wait_for(b.init));
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
		stay();
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
 * Forks into the namespace below until that is dead. The first child is its init and does the same,
 * the others end at once.
 */
static int fork_until_dead(int ns)
{
	bool init = false;
	pid_t pid;

	if (setns(ns, CLONE_NEWPID))
		return 1;
	for (;;) {
		pid = fork_at(0, NULL, 0);
		if (!pid && (init || getpid() != 1))
			_exit(0);
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			init = true;
		} else if (pid > 0) {
			wait_for(pid);
		} else if (pid != -EINVAL) {
			return pid == -ENOMEM ? 0 : 2;
		}
	}
}

/* Whether nobody can be created in the namespace any more. */
static bool is_dead(int ns)
{
	pid_t pid = fork();

	if (!pid)
		_exit(setns(ns, CLONE_NEWPID) || fork_at(0, NULL, 0) != -ENOMEM);
	return pid > 0 && !wait_for(pid);
}

/*
 * Init above is killed at about the time when init below is made. It must end, and nothing may be
 * left below. One moment of that is in midway.c; here are all others.
 */
TEST_F_TIMEOUT(teardown, dying_above_while_init_is_made, 180)
{
	time_t since = time(NULL);
	struct pollfd pfd;
	struct below b;
	pid_t forker[3];
	int round, i;

	/* On a slow machine fewer rounds will do. */
	for (round = 0; round < 60 && (round < 6 || time(NULL) - since < 8); round++) {
		ASSERT_EQ(0, make_below(&b));
		pfd = (struct pollfd){.fd = syscall(SYS_pidfd_open, b.init, 0), .events = POLLIN};
		ASSERT_GE(pfd.fd, 0);
		for (i = 0; i < 3; i++) {
			forker[i] = fork();
			if (!forker[i])
				_exit(fork_until_dead(b.ns));
			ASSERT_LT(0, forker[i]);
		}
		if (round % 3)
			usleep(round * 200);
		kill(b.init, SIGKILL);
		ASSERT_EQ(1, poll(&pfd, 1, 60000))
		{
			TH_LOG("the init above does not end, in round %d", round);
		}
		for (i = 0; i < 3; i++) {
			EXPECT_EQ(0, wait_for(forker[i]));
		}
		EXPECT_EQ(128 + SIGKILL, wait_for(b.init));
		EXPECT_TRUE(is_dead(b.ns));
		/* Whoever is left has become a child of the test. */
		EXPECT_EQ(-1, waitpid(-1, NULL, __WALL | WNOHANG));
		close(pfd.fd);
		close(b.ns);
	}
}

TEST_HARNESS_MAIN
