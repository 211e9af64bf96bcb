// SPDX-License-Identifier: GPL-2.0-only
// PIDFD_ATTACH_SESSION across pid and user namespaces: sessions that are invisible, sessions that
// must not be entered, and whose capabilities count.

#define _GNU_SOURCE
#include "../kselftest_harness.h"
#include "session.h"

#define NOBODY 65534

/*
 * outside    leader of a session in the pid namespace of the test
 * init       its child, pid 1 of a nested namespace: session and group are invisible there
 * leader     child of init, leader of a session in the nested namespace
 * caller     child of leader
 */
FIXTURE(ns)
{
	struct stage stage;
	struct puppet *outside, *init, *leader, *caller;
};

FIXTURE_SETUP(ns)
{
	/* Without privilege there is none over the test's own namespace, but over others. */
	SKIP_ATTACH_OBSTACLE(false);
	ASSERT_TRUE(stage_open(&self->stage));
	self->outside = spawn(&self->stage, NULL, 0);
	ASSERT_NE(NULL, self->outside);
	ASSERT_EQ(0, call(self->outside, act_setsid, 0, 0));
	self->init = spawn(&self->stage, self->outside, CLONE_NEWPID);
	if (!self->init) {
		stage_clear(&self->stage);
		SKIP(return,
			   "cannot create a pid namespace: needs CAP_SYS_ADMIN and CONFIG_PID_NS");
	}
	self->leader = spawn(&self->stage, self->init, 0);
	ASSERT_NE(NULL, self->leader);
	ASSERT_EQ(0, call(self->leader, act_setsid, 0, 0));
	self->caller = spawn(&self->stage, self->leader, 0);
	ASSERT_NE(NULL, self->caller);
}

FIXTURE_TEARDOWN(ns)
{
	stage_clear(&self->stage);
}

static long act_getpid(long a, long b)
{
	(void)a;
	(void)b;
	return syscall(SYS_getpid);
}

static int session_of(const struct puppet *p)
{
	struct ids ids = {0};

	return read_ids(p->pid, &ids) ? ids.sid : -1;
}

static int group_of(const struct puppet *p)
{
	struct ids ids = {0};

	return read_ids(p->pid, &ids) ? ids.pgrp : -1;
}

TEST_F(ns, into_invisible_session)
{
	ASSERT_EQ(1, call(self->init, act_getpid, 0, 0));
	ASSERT_EQ(0, call(self->init, act_getsid, 0, 0));
	ASSERT_NE(0, call(self->caller, act_getsid, 0, 0));
	EXPECT_EQ(0, call(self->caller, act_attach, self->init->pidfd, 0));
	EXPECT_EQ(0, call(self->caller, act_getsid, 0, 0));
	EXPECT_EQ(0, call(self->caller, act_getpgid, 0, 0));
	EXPECT_EQ(self->outside->pid, session_of(self->caller));
	EXPECT_EQ(self->outside->pid, group_of(self->caller));
}

/* A visible group of its own within the invisible session. */
TEST_F(ns, own_group_in_invisible_session)
{
	long pid = call(self->caller, act_getpid, 0, 0);

	EXPECT_EQ(0, call(self->caller, act_attach, self->init->pidfd, 0));
	EXPECT_EQ(0, call(self->caller, act_setpgid, 0, 0));
	EXPECT_EQ(0, call(self->caller, act_getsid, 0, 0));
	EXPECT_EQ(pid, call(self->caller, act_getpgid, 0, 0));
}

/* The target need not be visible to the caller: the pidfd came from outside. */
TEST_F(ns, to_invisible_target)
{
	EXPECT_EQ(0, call(self->caller, act_attach, self->outside->pidfd, 0));
	EXPECT_EQ(self->outside->pid, session_of(self->caller));
}

TEST_F(ns, to_session_inside)
{
	struct puppet *second = spawn(&self->stage, self->init, 0);

	ASSERT_NE(NULL, second);
	ASSERT_EQ(0, call(second, act_getsid, 0, 0));
	EXPECT_EQ(0, call(second, act_attach, self->leader->pidfd, 0));
	EXPECT_EQ(self->leader->pid, session_of(second));
	EXPECT_EQ(call(self->leader, act_getpid, 0, 0), call(second, act_getsid, 0, 0));
}

/*
 * pid 1 itself may be moved, but only to a session that is as invisible as the one it was born in:
 * it would have to wait for itself when it ends.
 */
TEST_F(ns, init_moves_outside_only)
{
	struct puppet *second = spawn(&self->stage, NULL, 0);

	ASSERT_NE(NULL, second);
	ASSERT_EQ(0, call(second, act_setsid, 0, 0));
	EXPECT_EQ(-EXDEV, call(self->init, act_attach, self->leader->pidfd, 0));
	EXPECT_EQ(self->outside->pid, session_of(self->init));
	EXPECT_EQ(0, call(self->init, act_attach, second->pidfd, 0));
	EXPECT_EQ(second->pid, session_of(self->init));
	EXPECT_EQ(0, call(self->init, act_getsid, 0, 0));
}

TEST_F(ns, init_refuses_group_inside)
{
	struct puppet *grouped = spawn(&self->stage, self->init, 0);

	ASSERT_NE(NULL, grouped);
	ASSERT_EQ(0, call(grouped, act_setpgid, 0, 0));
	EXPECT_EQ(-EXDEV, call(self->init, act_attach, grouped->pidfd, 0));
	EXPECT_EQ(self->outside->pid, group_of(self->init));
}

TEST_F(ns, refuses_outsider)
{
	struct puppet *outsider = spawn(&self->stage, self->outside, 0);

	ASSERT_NE(NULL, outsider);
	EXPECT_EQ(-EXDEV, call(outsider, act_attach, self->leader->pidfd, 0));
	EXPECT_EQ(self->outside->pid, session_of(outsider));
	/* Through a process inside, but to a session and group outside. */
	EXPECT_EQ(0, call(outsider, act_attach, self->init->pidfd, 0));
}

/* The session lies outside, only the group is one of the nested namespace. */
TEST_F(ns, refuses_outsider_for_group_alone)
{
	struct puppet *grouped = spawn(&self->stage, self->init, 0);
	struct puppet *outsider = spawn(&self->stage, self->outside, 0);

	ASSERT_NE(NULL, grouped);
	ASSERT_NE(NULL, outsider);
	ASSERT_EQ(0, call(grouped, act_setpgid, 0, 0));
	EXPECT_EQ(self->outside->pid, session_of(grouped));
	EXPECT_EQ(-EXDEV, call(outsider, act_attach, grouped->pidfd, 0));
	EXPECT_EQ(self->outside->pid, group_of(outsider));
}

TEST_F(ns, refuses_sibling_namespace)
{
	struct puppet *sibling = spawn(&self->stage, self->outside, CLONE_NEWPID), *member;

	ASSERT_NE(NULL, sibling);
	member = spawn(&self->stage, sibling, 0);
	ASSERT_NE(NULL, member);
	EXPECT_EQ(-EXDEV, call(member, act_attach, self->leader->pidfd, 0));
}

/*
 * The init of a namespace waits for all its pids. An attached process must not make it wait for
 * ever.
 */
TEST_F(ns, namespace_with_attached_process_dies)
{
	struct pollfd pfd = {.fd = self->init->pidfd, .events = POLLIN};

	ASSERT_EQ(0, call(self->caller, act_attach, self->init->pidfd, 0));
	ASSERT_EQ(0, sys_pidfd_send_signal(self->init->pidfd, SIGKILL));
	ASSERT_EQ(1, poll(&pfd, 1, 20000));
	EXPECT_EQ(0, call(self->outside, act_reap, self->init->pidfd, 0));
	EXPECT_EQ(-1, pidfd_nr(self->caller->pidfd));
}

/* --- capabilities --- */

/*
 * Root of a user namespace has the capability over the pid namespace that it owns, and over no
 * other.
 */
TEST_F(ns, owner_of_the_targets_pid_namespace_counts)
{
	struct puppet *root = spawn(&self->stage, self->outside, CLONE_NEWUSER), *init, *member,
		      *leader;

	if (!root)
		SKIP(return, "cannot create a user namespace");
	/* In a user namespace of its own, but in the pid namespace of the test. */
	EXPECT_EQ(-EPERM, call(root, act_attach, self->outside->pidfd, 0));
	EXPECT_EQ(-EPERM, call(root, act_attach, root->pidfd, 0));

	init = spawn(&self->stage, root, CLONE_NEWPID);
	ASSERT_NE(NULL, init);
	leader = spawn(&self->stage, init, 0);
	ASSERT_NE(NULL, leader);
	ASSERT_EQ(0, call(leader, act_setsid, 0, 0));
	member = spawn(&self->stage, init, 0);
	ASSERT_NE(NULL, member);
	EXPECT_EQ(0, call(member, act_attach, leader->pidfd, 0));
	EXPECT_EQ(leader->pid, session_of(member));
	/*
	 * Back to 'session 0', by the init, which is in a namespace that the caller's user
	 * namespace owns.
	 */
	EXPECT_EQ(0, call(member, act_attach, init->pidfd, 0));
	EXPECT_EQ(0, call(member, act_getsid, 0, 0));
	/* The same session by a process outside. */
	EXPECT_EQ(-EPERM, call(member, act_attach, self->outside->pidfd, 0));
}

static bool write_map(pid_t pid, const char *which, const char *map)
{
	char path[64];
	bool ok;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, which);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ok = fd >= 0 && write(fd, map, strlen(map)) == (ssize_t)strlen(map);
	if (fd >= 0)
		close(fd);
	return ok;
}

/* The whole of it without any privilege outside of a user namespace. */
TEST_F(ns, unprivileged_user)
{
	struct puppet *user = spawn(&self->stage, self->outside, 0), *root, *init, *leader, *member;

	ASSERT_NE(NULL, user);
	if (!geteuid()) {
		ASSERT_EQ(0, call(user, act_become, NOBODY, 0));
	}
	root = spawn(&self->stage, user, CLONE_NEWUSER);
	if (!root)
		SKIP(return, "unprivileged users cannot create user namespaces");
	init = spawn(&self->stage, root, CLONE_NEWPID);
	ASSERT_NE(NULL, init);
	leader = spawn(&self->stage, init, 0);
	ASSERT_NE(NULL, leader);
	ASSERT_EQ(0, call(leader, act_setsid, 0, 0));
	member = spawn(&self->stage, init, 0);
	ASSERT_NE(NULL, member);
	EXPECT_EQ(0, call(member, act_attach, leader->pidfd, 0));
	EXPECT_EQ(0, call(member, act_setpgid, 0, 0));
	EXPECT_EQ(leader->pid, session_of(member));
	EXPECT_EQ(member->pid, group_of(member));
}

/*
 * The owner of a user namespace has the capability from outside as well. So an unprivileged user
 * who has a process in another session enters that, by an init that the process makes there.
 */
TEST_F(ns, owner_outside_has_the_capability)
{
	struct puppet *maker = spawn(&self->stage, NULL, 0), *caller, *init;
	pid_t before;

	ASSERT_NE(NULL, maker);
	ASSERT_EQ(0, call(maker, act_setsid, 0, 0));
	caller = spawn(&self->stage, self->outside, 0);
	ASSERT_NE(NULL, caller);
	if (!geteuid()) {
		ASSERT_EQ(0, call(maker, act_become, NOBODY, 0));
		ASSERT_EQ(0, call(caller, act_become, NOBODY, 0));
	}
	init = spawn(&self->stage, maker, CLONE_NEWUSER | CLONE_NEWPID);
	if (!init)
		SKIP(return, "unprivileged users cannot create user namespaces");
	before = session_of(caller);
	ASSERT_NE(before, maker->pid);
	/* In the pid namespace of the test, over which the caller has no capability. */
	EXPECT_EQ(-EPERM, call(caller, act_attach, maker->pidfd, 0));
	EXPECT_EQ(before, session_of(caller));
	EXPECT_EQ(0, call(caller, act_attach, init->pidfd, 0));
	EXPECT_EQ(maker->pid, session_of(caller));
	EXPECT_EQ(maker->pid, group_of(caller));
}

/*
 * A caller with the capability over the target's namespace, but whom the target's user does not
 * let trace it.
 */
TEST_F(ns, user_namespace_does_not_replace_ptrace_access)
{
	struct puppet *root = spawn(&self->stage, self->outside, CLONE_NEWUSER), *init, *leader,
		      *member;

	if (!root)
		SKIP(return, "cannot create a user namespace");
	if (geteuid())
		SKIP(return, "needs root in order to map two users");
	ASSERT_TRUE(write_map(root->pid, "uid_map", "0 0 1\n1000 1000 2\n"));
	ASSERT_TRUE(write_map(root->pid, "gid_map", "0 0 1\n1000 1000 2\n"));
	init = spawn(&self->stage, root, CLONE_NEWPID);
	ASSERT_NE(NULL, init);
	leader = spawn(&self->stage, init, 0);
	ASSERT_NE(NULL, leader);
	ASSERT_EQ(0, call(leader, act_setsid, 0, 0));
	ASSERT_EQ(0, call(leader, act_become, 1000, 0));
	member = spawn(&self->stage, init, 0);
	ASSERT_NE(NULL, member);
	ASSERT_EQ(0, call(member, act_become, 1001, CAP(CAP_CHECKPOINT_RESTORE)));
	EXPECT_EQ(-EPERM, call(member, act_attach, leader->pidfd, 0));
}

TEST_HARNESS_MAIN
