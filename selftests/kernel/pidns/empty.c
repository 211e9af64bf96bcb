// SPDX-License-Identifier: GPL-2.0-only
// A pid namespace that has no init yet: opened, entered, given its init by another task than the
// one that made it.

#define _GNU_SOURCE
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#include "../kselftest_harness.h"
#include "pidns.h"

#define NOBODY 65534
#define CHOSEN 31337

#ifndef NS_GET_PID_IN_PIDNS
#define NS_GET_PID_FROM_PIDNS _IOR(NSIO, 0x6, int)
#define NS_GET_PID_IN_PIDNS   _IOR(NSIO, 0x8, int)
#endif

/*
 * holder     has unshared a user and a pid namespace
 * ns         the pid namespace, which has no init
 */
FIXTURE(empty)
{
	struct holder holder;
	int ns;
};

FIXTURE_SETUP(empty)
{
	long ret = empty_namespaces_can_be_opened();

	if (ret == 0)
		SKIP(return, SKIP_UNSUPPORTED);
	if (ret < 0)
		SKIP(return, "cannot unshare namespaces: %s", strerror(-ret));
	ASSERT_EQ(0, holder_start(&self->holder, CLONE_NEWUSER | CLONE_NEWPID));
	self->ns = open_ns(self->holder.pid, "pid_for_children");
	ASSERT_GE(self->ns, 0);
}

FIXTURE_TEARDOWN(empty)
{
	holder_stop(&self->holder);
}

static bool same_file(int a, int b)
{
	struct stat sa, sb;

	return !fstat(a, &sa) && !fstat(b, &sb) && sa.st_ino == sb.st_ino && sa.st_dev == sb.st_dev;
}

/*
 * Forks into the namespace that setns() chose; the child says by its exit status whether it is
 * pid @want.
 */
static int fork_is(pid_t want)
{
	pid_t pid = fork_at(0, NULL, 0);

	if (!pid)
		_exit(getpid() != want);
	return pid < 0 ? pid : wait_for(pid);
}

/* The last number given out in the caller's namespace, as an exit status. */
static int last_pid(void)
{
	char buf[32] = "";
	int fd = open("/proc/sys/kernel/ns_last_pid", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, buf, sizeof(buf) - 1) <= 0)
		return 101;
	return atoi(buf) & 0xff;
}

TEST_F(empty, is_named)
{
	char path[64], name[64] = "";
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/pid_for_children", self->holder.pid);
	ASSERT_LT(0, readlink(path, name, sizeof(name) - 1));
	ASSERT_EQ(0, fstat(self->ns, &st));
	snprintf(path, sizeof(path), "pid:[%lu]", (unsigned long)st.st_ino);
	EXPECT_STREQ(path, name);
}

TEST_F(empty, is_not_the_namespace_of_its_maker)
{
	int active = open_ns(self->holder.pid, "pid");

	ASSERT_GE(active, 0);
	EXPECT_FALSE(same_file(active, self->ns));
	EXPECT_EQ(CLONE_NEWPID, ioctl(self->ns, NS_GET_NSTYPE));
}

TEST_F(empty, is_owned_by_user_namespace_of_its_maker)
{
	int owner = ioctl(self->ns, NS_GET_USERNS), want = open_ns(self->holder.pid, "user");

	ASSERT_GE(owner, 0);
	ASSERT_GE(want, 0);
	EXPECT_TRUE(same_file(want, owner));
}

TEST_F(empty, parent_is_the_namespace_of_its_maker)
{
	int parent = ioctl(self->ns, NS_GET_PARENT), active = open_ns(self->holder.pid, "pid");

	ASSERT_GE(parent, 0);
	EXPECT_TRUE(same_file(active, parent));
}

TEST_F(empty, has_nobody)
{
	EXPECT_EQ(-1, ioctl(self->ns, NS_GET_PID_IN_PIDNS, getpid()));
	EXPECT_EQ(ESRCH, errno);
	EXPECT_EQ(-1, ioctl(self->ns, NS_GET_PID_FROM_PIDNS, 1));
	EXPECT_EQ(ESRCH, errno);
}

TEST_F(empty, gets_init_from_another_task)
{
	int pidns;
	pid_t init;

	ASSERT_EQ(0, setns(self->ns, CLONE_NEWPID));
	init = fork_at(0, NULL, 0);
	ASSERT_GE(init, 0);
	if (!init) {
		pause();
		_exit(0);
	}
	pidns = open_ns(init, "pid");
	EXPECT_TRUE(same_file(self->ns, pidns));
	/* The next one is an ordinary process. */
	EXPECT_EQ(0, fork_is(2));
	kill(init, SIGKILL);
	EXPECT_EQ(128 + SIGKILL, wait_for(init));
	/* And after its init the namespace is dead. */
	EXPECT_EQ(-ENOMEM, fork_is(1));
}

/* Number 1 counts as given out: in a clone(CLONE_NEWPID) as in two steps. */
TEST_F(empty, init_has_the_last_pid)
{
	pid_t pid;
	int i;

	if (access("/proc/sys/kernel/ns_last_pid", R_OK))
		SKIP(return, "no /proc/sys/kernel/ns_last_pid (CONFIG_CHECKPOINT_RESTORE)");
	for (i = 0; i < 2; i++) {
		if (i)
			ASSERT_EQ(0, setns(self->ns, CLONE_NEWPID));
		pid = fork_at(i ? 0 : CLONE_NEWPID, NULL, 0);
		ASSERT_GE(pid, 0);
		if (!pid)
			_exit(getpid() == 1 ? last_pid() : 100);
		EXPECT_EQ(1, wait_for(pid));
	}
}

/* The maker forks first, as ever, and the others come second. */
static long holder_fork(long want)
{
	pid_t pid = fork_at(0, NULL, 0);

	if (!pid) {
		if (getpid() != want)
			_exit(1);
		pause();
	}
	return pid;
}

TEST_F(empty, gets_init_from_its_maker)
{
	ASSERT_EQ(0, setns(self->ns, CLONE_NEWPID));
	ASSERT_LT(0, holder_call(&self->holder, holder_fork, 1));
	EXPECT_EQ(0, fork_is(2));
}

TEST_F(empty, maker_may_be_gone)
{
	holder_stop(&self->holder);
	ASSERT_EQ(0, setns(self->ns, CLONE_NEWPID));
	EXPECT_EQ(0, fork_is(1));
}

/* The purpose: all numbers chosen, outside by a task outside, and the owner is inside. */
TEST_F(empty, set_tid_on_every_level)
{
	pid_t set_tid[2] = {1, CHOSEN}, nr[2] = {0}, pid;
	int n;

	if (geteuid())
		SKIP(return, "needs root in order to choose the outer number");
	ASSERT_EQ(0, setns(self->ns, CLONE_NEWPID));
	pid = fork_at(0, set_tid, 2);
	ASSERT_GE(pid, 0);
	if (!pid) {
		/* This /proc is the one outside. */
		n = read_nspid(nr, 2);
		_exit(!(n == 2 && nr[0] == CHOSEN && nr[1] == 1 && getpid() == 1));
	}
	EXPECT_EQ(CHOSEN, pid);
	EXPECT_EQ(0, wait_for(pid));
}

TEST_F(empty, refuses_other_numbers_and_can_be_tried_again)
{
	pid_t wrong[] = {2, 3, 300, 4000}, one = 1, pid;
	int i;

	ASSERT_EQ(0, setns(self->ns, CLONE_NEWPID));
	for (i = 0; i < 4; i++) {
		pid = fork_at(0, &wrong[i], 1);
		if (!pid)
			_exit(0);
		EXPECT_EQ(-EINVAL, pid);
	}
	pid = fork_at(0, &one, 1);
	if (!pid)
		_exit(getpid() != 1);
	ASSERT_LT(0, pid);
	EXPECT_EQ(0, wait_for(pid));
}

TEST_F(empty, refused_numbers_are_free_again)
{
	pid_t set_tid[2] = {2, CHOSEN + 1}, pid;

	if (geteuid())
		SKIP(return, "needs root in order to choose the outer number");
	ASSERT_EQ(0, setns(self->ns, CLONE_NEWPID));
	EXPECT_EQ(-EINVAL, fork_at(0, set_tid, 2));
	set_tid[0] = 1;
	pid = fork_at(0, set_tid, 2);
	if (!pid) {
		pause();
		_exit(0);
	}
	ASSERT_EQ(CHOSEN + 1, pid);
	/* In use now, inside and outside. */
	set_tid[1] = CHOSEN + 2;
	EXPECT_EQ(-EEXIST, fork_at(0, set_tid, 2));
	set_tid[0] = 2;
	set_tid[1] = CHOSEN + 1;
	EXPECT_EQ(-EEXIST, fork_at(0, set_tid, 2));
	/* The failed ones have given back 2. */
	EXPECT_EQ(0, fork_is(2));
	kill(pid, SIGKILL);
	wait_for(pid);
}

TEST_F(empty, more_levels_than_there_are)
{
	pid_t set_tid[8] = {1, CHOSEN, CHOSEN, CHOSEN, CHOSEN, CHOSEN, CHOSEN, CHOSEN};

	ASSERT_EQ(0, setns(self->ns, CLONE_NEWPID));
	EXPECT_EQ(-EINVAL, fork_at(0, set_tid, 8));
	EXPECT_EQ(0, fork_is(1));
}

TEST_F(empty, late_failure_can_be_tried_again)
{
	ASSERT_EQ(0, setns(self->ns, CLONE_NEWPID));
	EXPECT_EQ(-EFAULT, fork_that_faults());
	EXPECT_EQ(-EFAULT, fork_that_faults());
	EXPECT_EQ(0, fork_is(1));
	EXPECT_EQ(-ENOMEM, fork_is(1));
}

static long holder_fault(long unused)
{
	return fork_that_faults();
}

/* A failure of one task does not spoil the namespace for another. */
TEST_F(empty, late_failure_of_another_task)
{
	ASSERT_EQ(0, setns(self->ns, CLONE_NEWPID));
	EXPECT_EQ(-EFAULT, holder_call(&self->holder, holder_fault, 0));
	EXPECT_EQ(0, fork_is(1));
}

TEST_F(empty, no_threads_in_another_namespace)
{
	ASSERT_EQ(0, setns(self->ns, CLONE_NEWPID));
	EXPECT_EQ(-EINVAL, fork_at(CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, NULL, 0));
	EXPECT_EQ(0, fork_is(1));
}

TEST_F(empty, no_namespace_below_an_empty_one)
{
	ASSERT_EQ(0, setns(self->ns, CLONE_NEWPID));
	EXPECT_EQ(-1, unshare(CLONE_NEWPID));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-EINVAL, fork_at(CLONE_NEWPID, NULL, 0));
	EXPECT_EQ(0, fork_is(1));
}

TEST_F(empty, can_be_kept_by_bind_mount)
{
	char file[] = "/tmp/pidns.XXXXXX", path[64];
	int fd, kept, pid;

	if (geteuid())
		SKIP(return, "needs root in order to mount");
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		/* A mount namespace of its own cleans up after it. */
		fd = mkstemp(file);
		snprintf(path, sizeof(path), "/proc/%d/ns/pid_for_children", self->holder.pid);
		if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
			_exit(2);
		if (fd < 0 || mount(path, file, NULL, MS_BIND, NULL))
			_exit(3);
		kept = open(file, O_RDONLY);
		umount2(file, MNT_DETACH);
		unlink(file);
		if (kept < 0 || !same_file(kept, self->ns) || setns(kept, CLONE_NEWPID))
			_exit(4);
		_exit(fork_is(1) ? 5 : 0);
	}
	EXPECT_EQ(0, wait_for(pid));
}

/* --- privileges --- */

TEST_F(empty, unprivileged_task_cannot_enter)
{
	int pid;

	if (geteuid())
		SKIP(return, "needs root in order to drop it");
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		if (syscall(SYS_setresgid, NOBODY, NOBODY, NOBODY) ||
		    syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY))
			_exit(2);
		_exit(!(setns(self->ns, CLONE_NEWPID) == -1 && errno == EPERM));
	}
	EXPECT_EQ(0, wait_for(pid));
}

TEST_F(empty, unprivileged_task_cannot_open)
{
	int pid;

	if (geteuid())
		SKIP(return, "needs root in order to drop it");
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		if (syscall(SYS_setresgid, NOBODY, NOBODY, NOBODY) ||
		    syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY))
			_exit(2);
		_exit(open_ns(self->holder.pid, "pid_for_children") != -EACCES);
	}
	EXPECT_EQ(0, wait_for(pid));
}

TEST_F(empty, set_tid_needs_capability)
{
	pid_t one = 1, two = 2, pid;

	if (geteuid())
		SKIP(return, "needs root in order to drop it");
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		/* The owner of the user namespace would have all capabilities in it. */
		if (setns(self->ns, CLONE_NEWPID) || syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY))
			_exit(2);
		if (fork_at(0, &one, 1) != -EPERM || fork_at(0, &two, 1) != -EPERM)
			_exit(3);
		/* Without a choice of number it takes none. */
		_exit(fork_is(1) ? 4 : 0);
	}
	EXPECT_EQ(0, wait_for(pid));
}

TEST_HARNESS_MAIN
