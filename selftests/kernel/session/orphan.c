// SPDX-License-Identifier: GPL-2.0-only
// Process groups that PIDFD_ATTACH_SESSION orphans: stopped members get SIGHUP and SIGCONT, as if
// the caller had exited.

#define _GNU_SOURCE
#include <pthread.h>

#include "../kselftest_harness.h"
#include "session.h"

/*
 * shell      leader of a session and a group, as a shell with job control
 * other      leader of another session
 */
FIXTURE(orphan)
{
	struct stage stage;
	struct puppet *shell, *other;
};

FIXTURE_SETUP(orphan)
{
	SKIP_ATTACH_OBSTACLE(true);
	ASSERT_TRUE(stage_open(&self->stage));
	self->shell = spawn(&self->stage, NULL, 0);
	ASSERT_NE(NULL, self->shell);
	ASSERT_EQ(0, call(self->shell, act_setsid, 0, 0));
	self->other = spawn(&self->stage, NULL, 0);
	ASSERT_NE(NULL, self->other);
	ASSERT_EQ(0, call(self->other, act_setsid, 0, 0));
}

FIXTURE_TEARDOWN(orphan)
{
	stage_clear(&self->stage);
}

static bool stop(const struct puppet *p)
{
	struct ids ids = {0};
	int i;

	sys_pidfd_send_signal(p->pidfd, SIGSTOP);
	for (i = 0; i < 10000 && read_ids(p->pid, &ids) && ids.state != 'T'; i++)
		usleep(1000);
	return ids.state == 'T';
}

/* The state after a while in which a signal that was sent would have shown itself. */
static char settled_state(const struct puppet *p)
{
	struct ids ids = {0};

	usleep(50000);
	return read_ids(p->pid, &ids) ? ids.state : 'X';
}

static long act_ignore_hup(long a, long b)
{
	(void)a;
	(void)b;
	return signal(SIGHUP, SIG_IGN) == SIG_ERR ? -errno : 0;
}

/* How a child of the puppet that asks has died: by which signal, negative if otherwise. */
static long act_died_of(long pidfd, long unused)
{
	siginfo_t info = {0};

	(void)unused;
	if (waitid(P_PIDFD, pidfd, &info, WEXITED | WNOHANG))
		return -errno;
	return info.si_code == CLD_KILLED ? info.si_status : -1;
}

/* The caller was the parent outside of the stopped child's group. */
TEST_F(orphan, group_of_child)
{
	struct puppet *caller = spawn(&self->stage, self->shell, 0), *job;

	ASSERT_NE(NULL, caller);
	job = spawn(&self->stage, caller, 0);
	ASSERT_NE(NULL, job);
	ASSERT_EQ(0, call(job, act_setpgid, 0, 0));
	ASSERT_TRUE(stop(job));
	ASSERT_EQ(0, call(caller, act_attach, self->other->pidfd, 0));
	EXPECT_TRUE(has_died(job));
	EXPECT_EQ(SIGHUP, call(caller, act_died_of, job->pidfd, 0));
}

/* The caller was the member whose parent, the shell, is outside of the group. */
TEST_F(orphan, own_old_group)
{
	struct puppet *caller = spawn(&self->stage, self->shell, 0), *job;

	ASSERT_NE(NULL, caller);
	ASSERT_EQ(0, call(caller, act_setpgid, 0, 0));
	job = spawn(&self->stage, caller, 0);
	ASSERT_NE(NULL, job);
	/* Out of the way of the rule that a caller's number must not be a group. */
	ASSERT_EQ(0, call(job, act_setpgid, 0, 0));
	ASSERT_EQ(0, call(caller, act_setpgid, 0, job->pid));
	ASSERT_TRUE(stop(job));
	EXPECT_EQ('T', settled_state(job));
	ASSERT_EQ(0, call(caller, act_attach, self->other->pidfd, 0));
	EXPECT_TRUE(has_died(job));
	EXPECT_EQ(SIGHUP, call(caller, act_died_of, job->pidfd, 0));
}

/*
 * A move within the session orphans, too. The caller was the last member of its group with a parent
 * in another one of the session: that of the job has died, and the test is in another session.
 */
TEST_F(orphan, own_old_group_within_session)
{
	struct puppet *parent = spawn(&self->stage, self->shell, 0), *job, *mate, *caller;
	struct ids ids = {0};

	ASSERT_NE(NULL, parent);
	ASSERT_EQ(0, call(parent, act_setpgid, 0, 0));
	job = spawn(&self->stage, parent, 0);
	ASSERT_NE(NULL, job);
	mate = spawn(&self->stage, parent, 0);
	ASSERT_NE(NULL, mate);
	ASSERT_EQ(0, call(mate, act_ignore_hup, 0, 0));
	caller = spawn(&self->stage, self->shell, 0);
	ASSERT_NE(NULL, caller);
	ASSERT_EQ(0, call(caller, act_setpgid, 0, parent->pid));
	sys_pidfd_send_signal(parent->pidfd, SIGKILL);
	ASSERT_EQ(0, call(self->shell, act_reap, parent->pidfd, 0));
	ASSERT_TRUE(read_ids(job->pid, &ids));
	ASSERT_EQ(getpid(), ids.ppid);
	ASSERT_TRUE(stop(job));
	ASSERT_TRUE(stop(mate));
	EXPECT_EQ('T', settled_state(job));
	ASSERT_EQ(0, call(caller, act_attach, self->shell->pidfd, 0));
	EXPECT_EQ(self->shell->pid, call(caller, act_getpgid, 0, 0));
	EXPECT_EQ(self->shell->pid, call(caller, act_getsid, 0, 0));
	EXPECT_TRUE(has_died(job));
	EXPECT_EQ(SIGHUP, act_died_of(job->pidfd, 0));
	/* Only who has been continued answers. */
	EXPECT_EQ(parent->pid, call(mate, act_getpgid, 0, 0));
}

/* All members of the orphaned group are signalled, not only the stopped one. */
TEST_F(orphan, running_members_too)
{
	struct puppet *caller = spawn(&self->stage, self->shell, 0), *job, *mate;

	ASSERT_NE(NULL, caller);
	job = spawn(&self->stage, caller, 0);
	ASSERT_NE(NULL, job);
	ASSERT_EQ(0, call(job, act_setpgid, 0, 0));
	mate = spawn(&self->stage, job, 0);
	ASSERT_NE(NULL, mate);
	ASSERT_TRUE(stop(job));
	ASSERT_EQ(0, call(caller, act_attach, self->other->pidfd, 0));
	EXPECT_TRUE(has_died(job));
	EXPECT_TRUE(has_died(mate));
}

/* SIGCONT comes as well: who survives the one is woken up by the other. */
TEST_F(orphan, continued_after_hangup)
{
	struct puppet *caller = spawn(&self->stage, self->shell, 0), *job;

	ASSERT_NE(NULL, caller);
	job = spawn(&self->stage, caller, 0);
	ASSERT_NE(NULL, job);
	ASSERT_EQ(0, call(job, act_setpgid, 0, 0));
	ASSERT_EQ(0, call(job, act_ignore_hup, 0, 0));
	ASSERT_TRUE(stop(job));
	ASSERT_EQ(0, call(caller, act_attach, self->other->pidfd, 0));
	EXPECT_EQ(self->shell->pid, call(job, act_getsid, 0, 0));
}

struct spawner {
	long sock, pidfd;
};

static void *spawn_and_stay(void *arg)
{
	struct spawner *s = arg;

	__atomic_store_n(&s->pidfd, act_spawn(s->sock, 0), __ATOMIC_RELEASE);
	pause(); /* the end of the thread would give the child to another one */
	return NULL;
}

static long act_spawn_in_thread(long sock, long unused)
{
	struct spawner *s = calloc(1, sizeof(*s));
	pthread_t thread;
	long pidfd = 0;

	(void)unused;
	if (!s)
		return -ENOMEM;
	s->sock = sock;
	if (pthread_create(&thread, NULL, spawn_and_stay, s))
		return -EAGAIN;
	while (!(pidfd = __atomic_load_n(&s->pidfd, __ATOMIC_ACQUIRE)))
		usleep(1000);
	return pidfd;
}

/* The children of all threads are the process's children. */
TEST_F(orphan, group_of_child_of_a_thread)
{
	struct puppet *caller = spawn(&self->stage, self->shell, 0), *job;

	ASSERT_NE(NULL, caller);
	job = spawn_by(&self->stage, caller, act_spawn_in_thread, 0);
	ASSERT_NE(NULL, job);
	ASSERT_EQ(0, call(job, act_setpgid, 0, 0));
	ASSERT_TRUE(stop(job));
	ASSERT_EQ(0, call(caller, act_attach, self->other->pidfd, 0));
	EXPECT_TRUE(has_died(job));
	EXPECT_EQ(SIGHUP, call(caller, act_died_of, job->pidfd, 0));
}

TEST_F(orphan, nothing_without_stopped_members)
{
	struct puppet *caller = spawn(&self->stage, self->shell, 0), *job;

	ASSERT_NE(NULL, caller);
	job = spawn(&self->stage, caller, 0);
	ASSERT_NE(NULL, job);
	ASSERT_EQ(0, call(job, act_setpgid, 0, 0));
	ASSERT_EQ(0, call(caller, act_attach, self->other->pidfd, 0));
	EXPECT_EQ('S', settled_state(job));
	EXPECT_EQ(self->shell->pid, call(job, act_getsid, 0, 0));
}

/* After a move within the session the caller links its child's group as before. */
TEST_F(orphan, nothing_within_session)
{
	struct puppet *caller = spawn(&self->stage, self->shell, 0), *job, *grouped;

	ASSERT_NE(NULL, caller);
	grouped = spawn(&self->stage, self->shell, 0);
	ASSERT_NE(NULL, grouped);
	ASSERT_EQ(0, call(grouped, act_setpgid, 0, 0));
	job = spawn(&self->stage, caller, 0);
	ASSERT_NE(NULL, job);
	ASSERT_EQ(0, call(job, act_setpgid, 0, 0));
	ASSERT_TRUE(stop(job));
	ASSERT_EQ(0, call(caller, act_attach, grouped->pidfd, 0));
	EXPECT_EQ(grouped->pid, call(caller, act_getpgid, 0, 0));
	EXPECT_EQ('T', settled_state(job));
}

/* Another member's parent still links the group. */
TEST_F(orphan, nothing_with_another_link)
{
	struct puppet *caller = spawn(&self->stage, self->shell, 0), *job, *mate;

	ASSERT_NE(NULL, caller);
	job = spawn(&self->stage, caller, 0);
	ASSERT_NE(NULL, job);
	ASSERT_EQ(0, call(job, act_setpgid, 0, 0));
	mate = spawn(&self->stage, self->shell, 0);
	ASSERT_NE(NULL, mate);
	ASSERT_EQ(0, call(mate, act_setpgid, 0, job->pid));
	ASSERT_TRUE(stop(job));
	ASSERT_EQ(0, call(caller, act_attach, self->other->pidfd, 0));
	EXPECT_EQ('T', settled_state(job));
	/* Until that one leaves too. */
	ASSERT_EQ(0, call(mate, act_attach, self->other->pidfd, 0));
	EXPECT_TRUE(has_died(job));
}

/* In the group of its own child the caller is no link from outside any more, but the shell is. */
TEST_F(orphan, nothing_when_joining_group_of_child)
{
	struct puppet *caller = spawn(&self->stage, self->shell, 0), *job;

	ASSERT_NE(NULL, caller);
	job = spawn(&self->stage, caller, 0);
	ASSERT_NE(NULL, job);
	ASSERT_EQ(0, call(job, act_setpgid, 0, 0));
	ASSERT_TRUE(stop(job));
	ASSERT_EQ(0, call(caller, act_attach, job->pidfd, 0));
	EXPECT_EQ(job->pid, call(caller, act_getpgid, 0, 0));
	EXPECT_EQ('T', settled_state(job));
}

/* A group that was orphaned all along is not touched. */
TEST_F(orphan, nothing_for_old_orphans)
{
	struct puppet *caller = spawn(&self->stage, self->shell, 0), *job;

	ASSERT_NE(NULL, caller);
	job = spawn(&self->stage, caller, 0);
	ASSERT_NE(NULL, job);
	ASSERT_EQ(0, call(job, act_setsid, 0, 0));
	ASSERT_TRUE(stop(job));
	ASSERT_EQ(0, call(caller, act_attach, self->other->pidfd, 0));
	EXPECT_EQ('T', settled_state(job));
}

/*
 * A zombie is no link. The group has been orphaned since its leader died, who is left as a zombie
 * child of the caller in another group of the session; who has been stopped since is left so.
 */
TEST_F(orphan, nothing_for_zombie_of_old_orphans)
{
	struct puppet *caller = spawn(&self->stage, self->shell, 0), *leader, *job, *grouped;

	ASSERT_NE(NULL, caller);
	grouped = spawn(&self->stage, self->shell, 0);
	ASSERT_NE(NULL, grouped);
	ASSERT_EQ(0, call(grouped, act_setpgid, 0, 0));
	leader = spawn(&self->stage, caller, 0);
	ASSERT_NE(NULL, leader);
	ASSERT_EQ(0, call(leader, act_setpgid, 0, 0));
	job = spawn(&self->stage, leader, 0);
	ASSERT_NE(NULL, job);
	sys_pidfd_send_signal(leader->pidfd, SIGKILL);
	ASSERT_TRUE(has_died(leader));
	ASSERT_TRUE(stop(job));
	/* The probe of a program that wants to know whether the kernel has the call. */
	ASSERT_EQ(0, call(caller, act_attach, caller->pidfd, 0));
	EXPECT_EQ('T', settled_state(job));
	/* Within the session. */
	ASSERT_EQ(0, call(caller, act_attach, grouped->pidfd, 0));
	EXPECT_EQ('T', settled_state(job));
	/* Out of it. */
	ASSERT_EQ(0, call(caller, act_attach, self->other->pidfd, 0));
	EXPECT_EQ('T', settled_state(job));
}

/* A refused call signals nobody. */
TEST_F(orphan, nothing_when_refused)
{
	struct puppet *caller = spawn(&self->stage, self->shell, 0), *job;

	ASSERT_NE(NULL, caller);
	job = spawn(&self->stage, caller, 0);
	ASSERT_NE(NULL, job);
	ASSERT_EQ(0, call(job, act_setpgid, 0, 0));
	ASSERT_EQ(0, call(caller, act_setpgid, 0, 0));
	ASSERT_TRUE(stop(job));
	ASSERT_EQ(-EPERM, call(caller, act_attach, self->other->pidfd, 0));
	EXPECT_EQ('T', settled_state(job));
}

TEST_HARNESS_MAIN
