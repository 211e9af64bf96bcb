// SPDX-License-Identifier: GPL-2.0-only
// What others can do in an empty pid namespace while the fork of its init is midway, and what
// becomes of that fork.

#define _GNU_SOURCE
#include "../kselftest_harness.h"
#include "below.h"
#include "stall.h"

/*
 * holder     has unshared a user and a pid namespace
 * ns         the pid namespace, which has no init
 */
FIXTURE(midway)
{
	struct holder holder;
	int ns;
};

FIXTURE_SETUP(midway)
{
	int uffd;

	PIDNS_PREPARE();
	if (!missing_page(&uffd))
		SKIP(return, "no userfaultfd for faults in the kernel: %s", strerror(errno));
	close(uffd);
	ASSERT_EQ(0, holder_start(&self->holder, CLONE_NEWUSER | CLONE_NEWPID));
	self->ns = open_ns(self->holder.pid, "pid_for_children");
	ASSERT_GE(self->ns, 0);
}

FIXTURE_TEARDOWN(midway)
{
	holder_stop(&self->holder);
	reap_children();
}

static pid_t try_fork(const pid_t *set_tid, size_t nr)
{
	pid_t pid = fork_at(0, set_tid, nr);

	if (!pid)
		stay();
	return pid;
}

/* The number of a process in its own namespace. */
static pid_t inner_pid(pid_t pid)
{
	char path[64];
	pid_t nr[32];
	int n;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	n = read_nspid(path, nr, 32);
	return n > 0 ? nr[n - 1] : -1;
}

TEST_F_TIMEOUT(midway, second_is_refused, 180)
{
	pid_t one = 1, two = 2, pid;
	struct stall first;

	ASSERT_EQ(0, stall_start(&first, self->ns, NULL, 0));
	ASSERT_EQ(0, setns(self->ns, CLONE_NEWPID));
	EXPECT_EQ(-EINVAL, try_fork(NULL, 0));
	EXPECT_EQ(-EINVAL, try_fork(&two, 1));
	EXPECT_EQ(-EEXIST, try_fork(&one, 1));
	EXPECT_EQ(-EINVAL, try_fork(NULL, 0));
	pid = stall_finish(&first);
	ASSERT_LT(0, pid);
	EXPECT_EQ(1, inner_pid(pid));
	/* Now that there is an init, everybody may. */
	EXPECT_LT(0, try_fork(&two, 1));
	EXPECT_LT(0, try_fork(NULL, 0));
}

TEST_F_TIMEOUT(midway, second_is_refused_if_the_first_chose_its_number, 180)
{
	pid_t one = 1, two = 2, pid;
	struct stall first;

	ASSERT_EQ(0, stall_start(&first, self->ns, &one, 1));
	ASSERT_EQ(0, setns(self->ns, CLONE_NEWPID));
	EXPECT_EQ(-EINVAL, try_fork(NULL, 0));
	EXPECT_EQ(-EINVAL, try_fork(&two, 1));
	EXPECT_EQ(-EEXIST, try_fork(&one, 1));
	pid = stall_finish(&first);
	ASSERT_LT(0, pid);
	EXPECT_EQ(1, inner_pid(pid));
	EXPECT_LT(0, try_fork(NULL, 0));
}

/* The first one failed; what the second one has tried does not count either. */
TEST_F_TIMEOUT(midway, another_makes_init_when_the_first_is_killed, 180)
{
	struct stall first;
	pid_t pid, two = 2;

	ASSERT_EQ(0, stall_start(&first, self->ns, NULL, 0));
	ASSERT_EQ(0, setns(self->ns, CLONE_NEWPID));
	EXPECT_EQ(-EINVAL, try_fork(NULL, 0));
	stall_kill(&first);
	EXPECT_EQ(-EINVAL, try_fork(&two, 1));
	pid = try_fork(NULL, 0);
	ASSERT_LT(0, pid);
	EXPECT_EQ(1, inner_pid(pid));
	pid = try_fork(NULL, 0);
	EXPECT_EQ(2, inner_pid(pid));
}

/* A fork that holds numbers on two levels and fails. */
TEST_F_TIMEOUT(midway, chosen_numbers_are_free_again, 180)
{
	pid_t set_tid[2] = {1, CHOSEN}, pid;
	struct stall first;

	if (!may_choose_pids())
		SKIP(return, "not allowed to choose the outer number");
	ASSERT_EQ(0, stall_start(&first, self->ns, set_tid, 2));
	EXPECT_EQ(-EEXIST, try_fork(&set_tid[1], 1));
	ASSERT_EQ(0, setns(self->ns, CLONE_NEWPID));
	EXPECT_EQ(-EEXIST, try_fork(set_tid, 2));
	stall_kill(&first);
	pid = try_fork(set_tid, 2);
	ASSERT_EQ(CHOSEN, pid);
	EXPECT_EQ(1, inner_pid(pid));
}

static long exec_sleep(long unused)
{
	execlp("sleep", "sleep", "1000", NULL);
	return -errno;
}

/* That the maker lives on as another program changes nothing for anybody. */
TEST_F_TIMEOUT(midway, maker_may_exec, 180)
{
	struct holder_order o = {.fn = exec_sleep};
	struct stall first;
	char c;
	int fd;

	ASSERT_EQ(0, stall_start(&first, self->ns, NULL, 0));
	ASSERT_EQ(sizeof(o), send(self->holder.sock, &o, sizeof(o), 0));
	/* The other end closes on exec. */
	ASSERT_EQ(0, recv(self->holder.sock, &c, 1, 0));
	fd = open_ns(self->holder.pid, "pid_for_children");
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, setns(fd, CLONE_NEWPID));
	EXPECT_EQ(-EINVAL, try_fork(NULL, 0));
	EXPECT_EQ(1, inner_pid(stall_finish(&first)));
}

/* The fork alone holds the namespace. */
TEST_F_TIMEOUT(midway, maker_may_be_gone, 180)
{
	struct stall first;

	ASSERT_EQ(0, stall_start(&first, self->ns, NULL, 0));
	holder_stop(&self->holder);
	close(self->ns);
	EXPECT_EQ(1, inner_pid(stall_finish(&first)));
}

static bool ends(int pidfd)
{
	struct pollfd pfd = {.fd = pidfd, .events = POLLIN};

	return poll(&pfd, 1, 60000) == 1;
}

/*
 * Whether the kernel says that it has no such function. Mainline, seen in 7.3, has all that the
 * tests probe for, but not the check that dying_above is about: it lacks the patch.
 */
static bool lacks_function(const char *name)
{
	FILE *f = fopen("/proc/kallsyms", "re");
	bool any = false, found = false;
	char line[512], symbol[512];

	while (f && !found && fgets(line, sizeof(line), f)) {
		any = sscanf(line, "%*s %*s %511s", symbol) == 1;
		found = any && !strcmp(symbol, name);
	}
	if (f)
		fclose(f);
	return any && !found;
}

/*
 * The init above dies between the allocation of the pid and the birth of the child. It has looked
 * for processes to kill when it has killed the maker of the namespace below.
 */
TEST_F_TIMEOUT(midway, dying_above, 180)
{
	int init, maker;
	struct stall first;
	struct below b;
	long pid;

	ASSERT_EQ(0, make_below(&b));
	init = syscall(SYS_pidfd_open, b.init, 0);
	maker = syscall(SYS_pidfd_open, b.maker, 0);
	ASSERT_GE(init, 0);
	ASSERT_GE(maker, 0);
	ASSERT_EQ(0, stall_start(&first, b.ns, NULL, 0));
	kill(b.init, SIGKILL);
	ASSERT_TRUE(ends(maker));
	pid = stall_finish(&first);
	if (pid > 0 && lacks_function("pid_allocation_enabled"))
		SKIP(return, "the kernel looks at the innermost level only when a child is born");
	EXPECT_EQ(-ENOMEM, pid);
	EXPECT_TRUE(ends(init))
	{
		TH_LOG("the init above waits for a process that it does not see");
	}
}

/* As before, but the task that forks is killed: the init above has nobody to wait for. */
TEST_F_TIMEOUT(midway, dying_above_and_killed, 180)
{
	struct stall first;
	struct below b;
	int init, maker;

	ASSERT_EQ(0, make_below(&b));
	init = syscall(SYS_pidfd_open, b.init, 0);
	maker = syscall(SYS_pidfd_open, b.maker, 0);
	ASSERT_GE(init, 0);
	ASSERT_GE(maker, 0);
	ASSERT_EQ(0, stall_start(&first, b.ns, NULL, 0));
	kill(b.init, SIGKILL);
	ASSERT_TRUE(ends(maker));
	stall_kill(&first);
	EXPECT_TRUE(ends(init));
}

TEST_HARNESS_MAIN
