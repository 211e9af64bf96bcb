// SPDX-License-Identifier: GPL-2.0-only
// PIDFD_ATTACH_SESSION and controlling terminals.

#define _GNU_SOURCE
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>

#include "../kselftest_harness.h"
#include "session.h"

struct terminal {
	int master, slave;
	int nr; /* as the field tty_nr of /proc/PID/stat */
};

static bool terminal_open(struct terminal *t)
{
	struct stat st;
	char *name;

	t->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (t->master < 0 || grantpt(t->master) || unlockpt(t->master))
		return false;
	name = ptsname(t->master);
	t->slave = name ? open(name, O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;
	if (t->slave < 0 || fstat(t->slave, &st))
		return false;
	/* new_encode_dev() */
	t->nr = (minor(st.st_rdev) & 0xff) | major(st.st_rdev) << 8 |
		(minor(st.st_rdev) & ~0xff) << 12;
	return true;
}

static long act_ctty(long fd, long unused)
{
	(void)unused;
	return ioctl(fd, TIOCSCTTY, 0) ? -errno : 0;
}

static long act_notty(long fd, long unused)
{
	(void)unused;
	return ioctl(fd, TIOCNOTTY) ? -errno : 0;
}

static long act_dev_tty(long a, long b)
{
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

	(void)a;
	(void)b;
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static long act_ignore(long sig, long unused)
{
	(void)unused;
	return signal(sig, SIG_IGN) == SIG_ERR ? -errno : 0;
}

static long act_steal(long fd, long unused)
{
	(void)unused;
	return ioctl(fd, TIOCSCTTY, 1) ? -errno : 0;
}

/*
 * leader     leader of a session with the terminal
 * member     its child, which has inherited the terminal
 * caller     another session's member without a terminal
 */
FIXTURE(tty)
{
	struct stage stage;
	struct terminal term;
	struct puppet *leader, *member, *caller;
	struct ids before;
};

FIXTURE_SETUP(tty)
{
	struct puppet *detached;

	SKIP_ATTACH_OBSTACLE(true);
	if (geteuid())
		SKIP(return,
			   "needs root: CAP_SYS_ADMIN in the initial user namespace decides about terminals");
	if (!terminal_open(&self->term))
		SKIP(return, "no pseudo terminal to be had");
	ASSERT_TRUE(stage_open(&self->stage));
	self->leader = spawn(&self->stage, NULL, 0);
	ASSERT_NE(NULL, self->leader);
	ASSERT_EQ(0, call(self->leader, act_setsid, 0, 0));
	ASSERT_EQ(0, call(self->leader, act_ctty, self->term.slave, 0));
	self->member = spawn(&self->stage, self->leader, 0);
	ASSERT_NE(NULL, self->member);
	/* The test itself may have a terminal. */
	detached = spawn(&self->stage, NULL, 0);
	ASSERT_NE(NULL, detached);
	ASSERT_EQ(0, call(detached, act_setsid, 0, 0));
	self->caller = spawn(&self->stage, detached, 0);
	ASSERT_NE(NULL, self->caller);
	ASSERT_TRUE(read_ids(self->caller->pid, &self->before));
	ASSERT_EQ(0, self->before.tty);
}

FIXTURE_TEARDOWN(tty)
{
	stage_clear(&self->stage);
}

static int tty_of(const struct puppet *p)
{
	struct ids ids = {0};

	return read_ids(p->pid, &ids) ? ids.tty : -1;
}

static int session_of(const struct puppet *p)
{
	struct ids ids = {0};

	return read_ids(p->pid, &ids) ? ids.sid : -1;
}

TEST_F(tty, capable_caller_gets_terminal)
{
	EXPECT_EQ(-ENXIO, call(self->caller, act_dev_tty, 0, 0));
	EXPECT_EQ(-ENOTTY, call(self->caller, act_tcgetpgrp, self->term.slave, 0));
	ASSERT_EQ(0, call(self->caller, act_attach, self->leader->pidfd, 0));
	EXPECT_EQ(self->term.nr, tty_of(self->caller));
	EXPECT_EQ(self->leader->pid, session_of(self->caller));
	EXPECT_EQ(0, call(self->caller, act_dev_tty, 0, 0));
	EXPECT_EQ(self->leader->pid, call(self->caller, act_tcgetpgrp, self->term.slave, 0));
}

TEST_F(tty, attached_caller_has_job_control)
{
	ASSERT_EQ(0, call(self->caller, act_attach, self->member->pidfd, 0));
	ASSERT_EQ(0, call(self->caller, act_setpgid, 0, 0));
	ASSERT_EQ(0, call(self->leader, act_tcsetpgrp, self->term.slave, self->caller->pid));
	EXPECT_EQ(self->caller->pid, call(self->caller, act_tcgetpgrp, self->term.slave, 0));
	/* Once in the foreground it may hand on the terminal itself. */
	EXPECT_EQ(0, call(self->caller, act_tcsetpgrp, self->term.slave, self->leader->pid));
	EXPECT_EQ(self->leader->pid, call(self->leader, act_tcgetpgrp, self->term.slave, 0));
}

TEST_F(tty, keyboard_reaches_attached_caller)
{
	struct pollfd pfd = {.fd = self->caller->pidfd, .events = POLLIN};
	siginfo_t info = {0};

	ASSERT_EQ(0, call(self->leader, act_ignore, SIGINT, 0));
	ASSERT_EQ(0, call(self->caller, act_attach, self->leader->pidfd, 0));
	ASSERT_EQ(1, write(self->term.master, "\003", 1));
	/* The caller is the child of another puppet. */
	ASSERT_EQ(1, poll(&pfd, 1, 10000));
	ASSERT_EQ(0, waitid(P_PIDFD, self->leader->pidfd, &info, WEXITED | WNOHANG | WNOWAIT));
	EXPECT_EQ(0, info.si_pid);
}

TEST_F(tty, refuses_caller_without_sys_admin)
{
	struct ids now = {0};

	ASSERT_EQ(0, call(self->caller, act_become, 0, ~CAP(CAP_SYS_ADMIN)));
	EXPECT_EQ(-EPERM, call(self->caller, act_attach, self->leader->pidfd, 0));
	EXPECT_EQ(-EPERM, call(self->caller, act_attach, self->member->pidfd, 0));
	ASSERT_TRUE(read_ids(self->caller->pid, &now));
	EXPECT_TRUE(same_ids(&self->before, &now));
	EXPECT_EQ(-ENXIO, call(self->caller, act_dev_tty, 0, 0));
}

/* The capability over the target's pid namespace is not the one that counts for the terminal. */
TEST_F(tty, refuses_admin_of_user_namespace)
{
	struct puppet *leader, *inner, *second, *third;

	leader = spawn(&self->stage, self->leader, CLONE_NEWUSER | CLONE_NEWPID);
	if (!leader)
		SKIP(return, "no user namespaces");
	/* Both in the pid namespace of the new user namespace, with all capabilities there. */
	ASSERT_EQ(0, call(leader, act_setsid, 0, 0));
	inner = spawn(&self->stage, leader, 0);
	ASSERT_NE(NULL, inner);
	EXPECT_EQ(0, call(inner, act_attach, leader->pidfd, 0));

	/* A session inside that gets a terminal which outsiders gave it. */
	ASSERT_EQ(0, call(self->leader, act_ignore, SIGHUP, 0));
	ASSERT_EQ(0, call(self->leader, act_notty, self->term.slave, 0));
	ASSERT_EQ(0, call(leader, act_ctty, self->term.slave, 0));
	second = spawn(&self->stage, leader, 0);
	ASSERT_NE(NULL, second);
	ASSERT_EQ(0, call(second, act_setsid, 0, 0));
	third = spawn(&self->stage, second, 0);
	ASSERT_NE(NULL, third);
	EXPECT_EQ(-EPERM, call(third, act_attach, leader->pidfd, 0));
	EXPECT_EQ(second->pid, session_of(third));
}

/* The session has a terminal, the target has given it up. */
TEST_F(tty, target_without_terminal)
{
	ASSERT_EQ(0, call(self->member, act_notty, self->term.slave, 0));
	ASSERT_EQ(0, tty_of(self->member));
	ASSERT_EQ(self->term.nr, tty_of(self->leader));
	EXPECT_EQ(0, call(self->caller, act_attach, self->member->pidfd, 0));
	EXPECT_EQ(self->leader->pid, session_of(self->caller));
	EXPECT_EQ(0, tty_of(self->caller));
	EXPECT_EQ(-ENXIO, call(self->caller, act_dev_tty, 0, 0));
}

TEST_F(tty, target_without_terminal_refuses_caller_without_sys_admin)
{
	ASSERT_EQ(0, call(self->member, act_notty, self->term.slave, 0));
	ASSERT_EQ(0, call(self->caller, act_become, 0, ~CAP(CAP_SYS_ADMIN)));
	EXPECT_EQ(-EPERM, call(self->caller, act_attach, self->member->pidfd, 0));
}

/* Once the session has no terminal any more, the capability is not needed. */
TEST_F(tty, session_that_lost_its_terminal)
{
	ASSERT_EQ(0, call(self->leader, act_ignore, SIGHUP, 0));
	ASSERT_EQ(0, call(self->leader, act_notty, self->term.slave, 0));
	ASSERT_EQ(0, call(self->caller, act_become, 0, ~CAP(CAP_SYS_ADMIN)));
	EXPECT_EQ(0, call(self->caller, act_attach, self->leader->pidfd, 0));
	EXPECT_EQ(0, tty_of(self->caller));
}

/* A zombie keeps the terminal until it is reaped. */
TEST_F(tty, zombie_member_gives_terminal)
{
	struct pollfd pfd = {.fd = self->member->pidfd, .events = POLLIN};

	sys_pidfd_send_signal(self->member->pidfd, SIGKILL);
	ASSERT_EQ(1, poll(&pfd, 1, 10000));
	EXPECT_EQ(0, call(self->caller, act_attach, self->member->pidfd, 0));
	EXPECT_EQ(self->term.nr, tty_of(self->caller));
}

TEST_F(tty, caller_loses_terminal_of_other_session)
{
	struct puppet *other = spawn(&self->stage, NULL, 0);

	ASSERT_NE(NULL, other);
	ASSERT_EQ(0, call(other, act_setsid, 0, 0));
	EXPECT_EQ(0, call(self->member, act_attach, other->pidfd, 0));
	EXPECT_EQ(other->pid, session_of(self->member));
	EXPECT_EQ(0, tty_of(self->member));
	EXPECT_EQ(-ENXIO, call(self->member, act_dev_tty, 0, 0));
	/* The session it left keeps it. */
	EXPECT_EQ(self->term.nr, tty_of(self->leader));
}

/* Going from a session with a terminal to one without hands over nothing. */
TEST_F(tty, leaving_a_terminal_needs_no_sys_admin)
{
	ASSERT_EQ(0, call(self->member, act_become, 0, ~CAP(CAP_SYS_ADMIN)));
	EXPECT_EQ(0, call(self->member, act_attach, self->caller->pidfd, 0));
	EXPECT_EQ(0, tty_of(self->member));
}

TEST_F(tty, terminal_is_exchanged)
{
	struct puppet *other = spawn(&self->stage, NULL, 0);
	struct terminal second;

	ASSERT_NE(NULL, other);
	ASSERT_TRUE(terminal_open(&second));
	ASSERT_NE(second.nr, self->term.nr);
	ASSERT_EQ(0, call(other, act_setsid, 0, 0));
	ASSERT_EQ(0, call(other, act_ctty, second.slave, 0));
	EXPECT_EQ(0, call(self->member, act_attach, other->pidfd, 0));
	EXPECT_EQ(second.nr, tty_of(self->member));
	EXPECT_EQ(0, call(self->member, act_attach, self->leader->pidfd, 0));
	EXPECT_EQ(self->term.nr, tty_of(self->member));
}

/* The caller loses its own even where the session has another but the target has none to give. */
TEST_F(tty, terminal_is_exchanged_for_none)
{
	struct puppet *other = spawn(&self->stage, NULL, 0), *bare;
	struct terminal second;

	ASSERT_NE(NULL, other);
	ASSERT_TRUE(terminal_open(&second));
	ASSERT_EQ(0, call(other, act_setsid, 0, 0));
	ASSERT_EQ(0, call(other, act_ctty, second.slave, 0));
	bare = spawn(&self->stage, other, 0);
	ASSERT_NE(NULL, bare);
	ASSERT_EQ(0, call(bare, act_notty, second.slave, 0));
	ASSERT_EQ(0, tty_of(bare));
	ASSERT_EQ(self->term.nr, tty_of(self->member));
	EXPECT_EQ(0, call(self->member, act_attach, bare->pidfd, 0));
	EXPECT_EQ(other->pid, session_of(self->member));
	EXPECT_EQ(0, tty_of(self->member));
	EXPECT_EQ(-ENXIO, call(self->member, act_dev_tty, 0, 0));
	/* Both sessions keep theirs. */
	EXPECT_EQ(second.nr, tty_of(other));
	EXPECT_EQ(self->term.nr, tty_of(self->leader));
}

/* From group to group within the session, the terminal stays and takes no capability. */
TEST_F(tty, move_within_session_leaves_terminal_alone)
{
	struct puppet *grouped = spawn(&self->stage, self->leader, 0);

	ASSERT_NE(NULL, grouped);
	ASSERT_EQ(0, call(grouped, act_setpgid, 0, 0));
	ASSERT_EQ(0, call(grouped, act_notty, self->term.slave, 0));
	ASSERT_EQ(0, call(self->member, act_become, 0, ~CAP(CAP_SYS_ADMIN)));
	EXPECT_EQ(0, call(self->member, act_attach, grouped->pidfd, 0));
	EXPECT_EQ(grouped->pid, call(self->member, act_getpgid, 0, 0));
	EXPECT_EQ(self->term.nr, tty_of(self->member));
}

/* --- the session's terminal goes, and the attached process loses it with all others --- */

static bool wait_until_no_tty(const struct puppet *p)
{
	int i;

	for (i = 0; i < 10000 && tty_of(p) > 0; i++)
		usleep(1000);
	return !tty_of(p);
}

TEST_F(tty, lost_when_leader_exits)
{
	ASSERT_EQ(0, call(self->caller, act_ignore, SIGHUP, 0));
	ASSERT_EQ(0, call(self->caller, act_attach, self->member->pidfd, 0));
	ASSERT_EQ(self->term.nr, tty_of(self->caller));
	ASSERT_EQ(0, kill_and_reap(self->leader));
	EXPECT_TRUE(wait_until_no_tty(self->caller));
	EXPECT_EQ(-ENXIO, call(self->caller, act_dev_tty, 0, 0));
}

TEST_F(tty, lost_when_terminal_hangs_up)
{
	ASSERT_EQ(0, call(self->leader, act_ignore, SIGHUP, 0));
	ASSERT_EQ(0, call(self->caller, act_ignore, SIGHUP, 0));
	ASSERT_EQ(0, call(self->caller, act_attach, self->leader->pidfd, 0));
	close(self->term.master);
	EXPECT_TRUE(wait_until_no_tty(self->caller));
	EXPECT_EQ(self->leader->pid, session_of(self->caller));
}

TEST_F(tty, lost_when_stolen)
{
	struct puppet *thief = spawn(&self->stage, NULL, 0);

	ASSERT_NE(NULL, thief);
	ASSERT_EQ(0, call(thief, act_setsid, 0, 0));
	ASSERT_EQ(0, call(self->caller, act_attach, self->leader->pidfd, 0));
	ASSERT_EQ(0, call(thief, act_steal, self->term.slave, 0));
	EXPECT_EQ(0, tty_of(self->caller));
	EXPECT_EQ(0, tty_of(self->leader));
	EXPECT_EQ(self->term.nr, tty_of(thief));
}

TEST_HARNESS_MAIN
