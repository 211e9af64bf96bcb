// SPDX-License-Identifier: GPL-2.0-only
// A pid namespace that has no init yet: opened, entered, given its init by another task than the
// one that made it.

#define _GNU_SOURCE
#include <linux/nsfs.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#include "../kselftest_harness.h"
#include "pidns.h"

#define NOBODY 65534

#ifndef PIDFD_GET_PID_FOR_CHILDREN_NAMESPACE
#define PIDFD_GET_PID_FOR_CHILDREN_NAMESPACE _IO(0xff, 6)
#endif

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
	PIDNS_PREPARE();
	ASSERT_EQ(0, holder_start(&self->holder, CLONE_NEWUSER | CLONE_NEWPID));
	self->ns = open_ns(self->holder.pid, "pid_for_children");
	ASSERT_GE(self->ns, 0);
}

FIXTURE_TEARDOWN(empty)
{
	holder_stop(&self->holder);
	reap_children();
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
	if (!init)
		stay();
	pidns = open_ns(init, "pid");
	EXPECT_TRUE(same_file(self->ns, pidns));
	/* The next one is an ordinary process. */
	EXPECT_EQ(0, fork_is(2));
	kill(init, SIGKILL);
	EXPECT_EQ(128 + SIGKILL, wait_for(init));
	/* And after its init the namespace is dead. */
	EXPECT_EQ(-ENOMEM, fork_is(1));
}

/* Its parent, its session and its process group are those of the task that forks it. */
TEST_F(empty, init_has_its_relatives_outside)
{
	pid_t init;

	ASSERT_EQ(0, setns(self->ns, CLONE_NEWPID));
	init = fork_at(0, NULL, 0);
	ASSERT_GE(init, 0);
	if (!init)
		_exit(getppid() || getsid(0) || getpgrp());
	/* A zombie has them as well. */
	EXPECT_EQ(getsid(0), getsid(init));
	EXPECT_EQ(getpgrp(), getpgid(init));
	EXPECT_EQ(0, wait_for(init));
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
		stay();
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

	if (!may_choose_pids())
		SKIP(return, "not allowed to choose the outer number");
	ASSERT_EQ(0, setns(self->ns, CLONE_NEWPID));
	pid = fork_at(0, set_tid, 2);
	ASSERT_GE(pid, 0);
	if (!pid) {
		/* This /proc is the one outside. */
		n = read_nspid("/proc/self/status", nr, 2);
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

	if (!may_choose_pids())
		SKIP(return, "not allowed to choose the outer number");
	ASSERT_EQ(0, setns(self->ns, CLONE_NEWPID));
	EXPECT_EQ(-EINVAL, fork_at(0, set_tid, 2));
	set_tid[0] = 1;
	pid = fork_at(0, set_tid, 2);
	if (!pid)
		stay();
	ASSERT_EQ(CHOSEN + 1, pid);
	/* In use now, inside and outside. */
	set_tid[1] = CHOSEN + 2;
	EXPECT_EQ(-EEXIST, fork_at(0, set_tid, 2));
	set_tid[0] = 2;
	set_tid[1] = CHOSEN + 1;
	EXPECT_EQ(-EEXIST, fork_at(0, set_tid, 2));
	/* The failed ones have given back 2. */
	EXPECT_EQ(0, fork_is(2));
}

/* What fails further out gives back the number inside. */
TEST_F(empty, outer_number_in_use)
{
	pid_t set_tid[2] = {1, getpid()};

	if (!may_choose_pids())
		SKIP(return, "not allowed to choose the outer number");
	ASSERT_EQ(0, setns(self->ns, CLONE_NEWPID));
	EXPECT_EQ(-EEXIST, fork_at(0, set_tid, 2));
	set_tid[1] = 0;
	EXPECT_EQ(-EINVAL, fork_at(0, set_tid, 2));
	EXPECT_EQ(0, fork_is(1));
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

#define CGROUPS "/sys/fs/cgroup/"

static bool file_has(const char *path, const char *word)
{
	char text[512] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0 && read(fd, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	if (fd >= 0)
		close(fd);
	return strstr(text, word);
}

/* Goes into a cgroup that has no room for a second process, and then has. */
static int fork_at_limit(const char *procs, const char *max, int ns)
{
	if (write_file(procs, "0") || write_file(max, "1") || setns(ns, CLONE_NEWPID))
		return 1;
	if (fork_is(1) != -EAGAIN || fork_is(1) != -EAGAIN)
		return 2;
	if (write_file(max, "max"))
		return 3;
	return fork_is(1) ? 4 : 0;
}

/* The limit of a pids cgroup is found out late as well. */
TEST_F(empty, cgroup_limit_can_be_tried_again)
{
	const char *control = CGROUPS "cgroup.subtree_control";
	bool had = file_has(control, "pids");
	char dir[64], procs[96], max[96];
	pid_t pid;

	if (!file_has(CGROUPS "cgroup.controllers", "pids"))
		SKIP(return, "no pids controller in " CGROUPS " (cgroup v2)");
	snprintf(dir, sizeof(dir), CGROUPS "pidns-%d", getpid());
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", dir);
	snprintf(max, sizeof(max), "%s/pids.max", dir);
	if ((!had && write_file(control, "+pids")) || mkdir(dir, 0755))
		SKIP(return, "cannot make a cgroup: %s", strerror(errno));
	pid = fork();
	if (!pid)
		_exit(fork_at_limit(procs, max, self->ns));
	EXPECT_LT(0, pid);
	EXPECT_EQ(0, wait_for(pid));
	EXPECT_EQ(0, rmdir(dir));
	if (!had)
		write_file(control, "-pids");
}

static void *end_thread(void *unused)
{
	return unused;
}

/* Returns 0 or a negative errno. */
static int make_thread(void)
{
	pthread_t thread;
	int err = pthread_create(&thread, NULL, end_thread, NULL);

	return err ? -err : -pthread_join(thread, NULL);
}

TEST_F(empty, no_threads_in_another_namespace)
{
	EXPECT_EQ(0, make_thread());
	ASSERT_EQ(0, setns(self->ns, CLONE_NEWPID));
	EXPECT_EQ(-EINVAL, make_thread());
	EXPECT_EQ(0, fork_is(1));
}

static void *thread_main(void *ns)
{
	if (setns(*(int *)ns, CLONE_NEWPID))
		return (void *)1L;
	return (void *)(long)fork_is(1);
}

/* A thread enters for itself, not for the process. */
TEST_F(empty, gets_init_from_a_thread)
{
	pthread_t thread;
	void *ret;

	ASSERT_EQ(0, pthread_create(&thread, NULL, thread_main, &self->ns));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(NULL, ret);
	EXPECT_EQ(1, fork_is(1));
}

TEST_F(empty, no_namespace_below_an_empty_one)
{
	ASSERT_EQ(0, setns(self->ns, CLONE_NEWPID));
	EXPECT_EQ(-1, unshare(CLONE_NEWPID));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-EINVAL, fork_at(CLONE_NEWPID, NULL, 0));
	EXPECT_EQ(0, fork_is(1));
}

/* When it has neither a maker nor a descriptor any more. */
TEST_F(empty, can_be_kept_by_bind_mount)
{
	char file[] = "/tmp/pidns.XXXXXX", path[64];
	struct stat before, after;
	int fd;

	/* A mount namespace of its own cleans up after it. */
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		SKIP(return, "not allowed to mount: %s", strerror(errno));
	fd = mkstemp(file);
	ASSERT_GE(fd, 0);
	close(fd);
	snprintf(path, sizeof(path), "/proc/%d/ns/pid_for_children", self->holder.pid);
	EXPECT_EQ(0, mount(path, file, NULL, MS_BIND, NULL));
	EXPECT_EQ(0, fstat(self->ns, &before));
	holder_stop(&self->holder);
	close(self->ns);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	umount2(file, MNT_DETACH);
	unlink(file);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(0, fstat(fd, &after));
	EXPECT_EQ(before.st_ino, after.st_ino);
	EXPECT_EQ(before.st_dev, after.st_dev);
	ASSERT_EQ(0, setns(fd, CLONE_NEWPID));
	EXPECT_EQ(0, fork_is(1));
}

/* --- ways to open it --- */

TEST_F(empty, pidfd_gives_the_same)
{
	int pidfd = syscall(SYS_pidfd_open, self->holder.pid, 0), ns;

	ASSERT_GE(pidfd, 0);
	ns = ioctl(pidfd, PIDFD_GET_PID_FOR_CHILDREN_NAMESPACE, 0);
	if (ns < 0 && errno == ENOTTY)
		SKIP(return, "no PIDFD_GET_PID_FOR_CHILDREN_NAMESPACE (6.11)");
	ASSERT_GE(ns, 0);
	EXPECT_TRUE(same_file(self->ns, ns));
	ASSERT_EQ(0, setns(ns, CLONE_NEWPID));
	EXPECT_EQ(0, fork_is(1));
}

TEST_F(empty, zombie_has_none)
{
	siginfo_t info;

	kill(self->holder.pid, SIGKILL);
	ASSERT_EQ(0, waitid(P_PID, self->holder.pid, &info, WEXITED | WNOWAIT));
	EXPECT_EQ(-ENOENT, open_ns(self->holder.pid, "pid_for_children"));
}

/* While the maker exits, the file either opens, for good, or it does not. */
TEST_F_TIMEOUT(empty, opened_while_maker_exits, 120)
{
	int round, ns, last, pid;

	for (round = 0; round < 20; round++) {
		last = open_ns(self->holder.pid, "pid_for_children");
		ASSERT_GE(last, 0);
		kill(self->holder.pid, SIGKILL);
		while ((ns = open_ns(self->holder.pid, "pid_for_children")) >= 0) {
			close(last);
			last = ns;
		}
		EXPECT_EQ(-ENOENT, ns);
		holder_stop(&self->holder);
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid)
			_exit(setns(last, CLONE_NEWPID) || fork_is(1));
		EXPECT_EQ(0, wait_for(pid));
		close(last);
		ASSERT_EQ(0, holder_start(&self->holder, CLONE_NEWUSER | CLONE_NEWPID));
	}
}

/* --- privileges --- */

#define CANNOT_DROP 99

/* Becomes somebody else without privileges, whom the test still may open the files of. */
static void become_nobody(void)
{
	if (syscall(SYS_setresgid, NOBODY, NOBODY, NOBODY) ||
	    syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY) || prctl(PR_SET_DUMPABLE, 1))
		_exit(CANNOT_DROP);
}

/* Of a child that becomes nobody. */
#define EXPECT_OF_NOBODY(pid)                                       \
	do {                                                        \
		int ret_ = wait_for(pid);                           \
		if (ret_ == CANNOT_DROP)                            \
			SKIP(return, "cannot become another user"); \
		EXPECT_EQ(0, ret_);                                 \
	} while (0)

TEST_F(empty, unprivileged_task_cannot_enter)
{
	int pid = fork();

	ASSERT_GE(pid, 0);
	if (!pid) {
		become_nobody();
		_exit(!(setns(self->ns, CLONE_NEWPID) == -1 && errno == EPERM));
	}
	EXPECT_OF_NOBODY(pid);
}

TEST_F(empty, unprivileged_task_cannot_open)
{
	int pid = fork();

	ASSERT_GE(pid, 0);
	if (!pid) {
		become_nobody();
		_exit(open_ns(self->holder.pid, "pid_for_children") != -EACCES);
	}
	EXPECT_OF_NOBODY(pid);
}

/* All capabilities over the namespace and none at home: not enough, until there is another home. */
static int owner_enters(void)
{
	struct holder mine = {0};
	int ns, user;

	become_nobody();
	if (holder_start(&mine, CLONE_NEWUSER | CLONE_NEWPID))
		return 1;
	ns = open_ns(mine.pid, "pid_for_children");
	user = open_ns(mine.pid, "user");
	if (ns < 0 || user < 0)
		return 2;
	if (!setns(ns, CLONE_NEWPID) || errno != EPERM)
		return 3;
	if (setns(user, CLONE_NEWUSER) || setns(ns, CLONE_NEWPID))
		return 4;
	return fork_is(1) ? 5 : 0;
}

TEST_F(empty, owner_needs_capability_at_home)
{
	int pid = fork();

	ASSERT_GE(pid, 0);
	if (!pid)
		_exit(owner_enters());
	EXPECT_OF_NOBODY(pid);
}

static bool cannot_enter(int ns)
{
	return setns(ns, CLONE_NEWPID) == -1 && errno == EINVAL;
}

/* Entering leads downwards only: not to a sibling, and not back up. */
TEST_F(empty, sibling_and_descendant_cannot_enter)
{
	pid_t pid = fork_at(CLONE_NEWPID, NULL, 0);
	int here;

	ASSERT_GE(pid, 0);
	if (!pid) {
		here = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
		if (here < 0 || !cannot_enter(self->ns))
			_exit(1);
		pid = fork_at(CLONE_NEWPID, NULL, 0);
		if (!pid)
			_exit(!cannot_enter(here));
		_exit(pid < 0 || wait_for(pid) ? 2 : 0);
	}
	EXPECT_EQ(0, wait_for(pid));
}

TEST_F(empty, set_tid_needs_capability)
{
	pid_t one = 1, two = 2, pid;

	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		/* The owner of the user namespace would have all capabilities in it. */
		if (setns(self->ns, CLONE_NEWPID))
			_exit(2);
		become_nobody();
		if (fork_at(0, &one, 1) != -EPERM || fork_at(0, &two, 1) != -EPERM)
			_exit(3);
		/* Without a choice of number it takes none. */
		_exit(fork_is(1) ? 4 : 0);
	}
	EXPECT_OF_NOBODY(pid);
}

TEST_HARNESS_MAIN
