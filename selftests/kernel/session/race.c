// SPDX-License-Identifier: GPL-2.0-only
// PIDFD_ATTACH_SESSION at the same time as everything else that changes sessions, groups and
// terminals, or ends processes. Run these on a kernel with lockdep and KASAN as well: what they
// look for may show in its log only.

#define _GNU_SOURCE
#include <pthread.h>
#include <termios.h>

#include "../kselftest_harness.h"
#include "race.h"

FIXTURE(race)
{
	struct stage stage;
	struct arena *arena;
	struct puppet *leader[2], *grouped;
};

FIXTURE_SETUP(race)
{
	SKIP_ATTACH_OBSTACLE(true);
	ASSERT_TRUE(stage_open(&self->stage));
	self->arena = arena_open(&self->stage, self->leader);
	ASSERT_NE(NULL, self->arena);
	self->grouped = spawn(&self->stage, self->leader[0], 0);
	ASSERT_NE(NULL, self->grouped);
	ASSERT_EQ(0, call(self->grouped, act_setpgid, 0, 0));
	self->arena->group = self->grouped->pid;
}

FIXTURE_TEARDOWN(race)
{
	stage_clear(&self->stage);
	munmap(self->arena, sizeof(*self->arena));
}

/* The calling process is in one of the combinations of session and group that exist. */
static bool sound_ids(const struct arena *a)
{
	pid_t sid = getsid(0), pgrp = getpgrp();

	return (sid == a->sid[0] && (pgrp == a->sid[0] || pgrp == a->group)) ||
	       (sid == a->sid[1] && pgrp == a->sid[1]);
}

struct job {
	struct arena *arena;
	long which;
};

static void *thread_attach(void *arg)
{
	struct job *j = arg;

	loop_attach((long)j->arena, j->which);
	return NULL;
}

static void *thread_setpgid(void *arg)
{
	struct job *j = arg;

	while (!stopped(j->arena)) {
		/* Succeeds only while the process is in that session. */
		if (!setpgid(0, j->arena->group))
			count(&j->arena->rounds);
		setpgid(0, j->arena->sid[1]);
	}
	return NULL;
}

static void *thread_fork(void *arg)
{
	struct job *j = arg;
	pid_t pid;
	int status;

	while (!stopped(j->arena)) {
		pid = fork();
		if (!pid)
			_exit(!sound_ids(j->arena));
		if (pid > 0 && waitpid(pid, &status, 0) == pid && status)
			__atomic_add_fetch(&j->arena->torn, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/*
 * Threads of one process pull it into two sessions at once, while others change its group and
 * fork.
 */
static long loop_threads(long arena, long unused)
{
	struct arena *a = (struct arena *)arena;
	struct job jobs[] = {{a, 0}, {a, 1}, {a, 0}, {a, 0}};
	void *(*fn[])(void *) = {thread_attach, thread_attach, thread_setpgid, thread_fork};
	pthread_t threads[4];
	int i;

	(void)unused;
	if (act_attach(a->pidfd[0], 0))
		return -EIO;
	for (i = 0; i < 4; i++)
		if (pthread_create(&threads[i], NULL, fn[i], &jobs[i]))
			return -EAGAIN;
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	return sound_ids(a) ? 0 : -EXDEV;
}

TEST_F(race, threads_of_one_process)
{
	struct puppet *p = spawn(&self->stage, NULL, 0);

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, tell(p, loop_threads, (long)self->arena, 0));
	EXPECT_TRUE(wait_for(&self->arena->rounds, 1));
	run_for(self->arena, RUN_MS);
	EXPECT_EQ(0, reply(p));
	EXPECT_SOUND(self->arena);
}

/* A target that leaves one group for another and back. */
static long loop_regroup(long arena, long unused)
{
	struct arena *a = (struct arena *)arena;

	(void)unused;
	while (!stopped(a)) {
		if (setpgid(0, a->group) || setpgid(0, a->sid[0]))
			return -errno;
	}
	return 0;
}

TEST_F(race, target_changes_group)
{
	struct puppet *target = spawn(&self->stage, self->leader[0], 0), *p[2];
	int i;

	ASSERT_NE(NULL, target);
	self->arena->pidfd[0] = target->pidfd;
	for (i = 0; i < 2; i++) {
		p[i] = spawn(&self->stage, NULL, 0);
		ASSERT_NE(NULL, p[i]);
		ASSERT_EQ(0, tell(p[i], loop_alternate, (long)self->arena, 0));
	}
	ASSERT_EQ(0, tell(target, loop_regroup, (long)self->arena, 0));
	run_for(self->arena, RUN_MS);
	EXPECT_EQ(0, reply(target));
	for (i = 0; i < 2; i++) {
		struct ids ids = {0};

		EXPECT_EQ(0, reply(p[i]));
		ASSERT_TRUE(read_ids(p[i]->pid, &ids));
		if (ids.sid == self->arena->sid[0]) {
			EXPECT_TRUE(ids.pgrp == self->arena->group ||
				    ids.pgrp == self->arena->sid[0]);
		} else {
			EXPECT_EQ(ids.sid, ids.pgrp);
		}
	}
	EXPECT_SOUND(self->arena);
}

/* Targets that make a session, exit and are reaped all the time. */
static long loop_short_lives(long arena, long unused)
{
	struct arena *a = (struct arena *)arena;
	int pidfd, old;
	pid_t pid;

	(void)unused;
	while (!stopped(a)) {
		struct clone_args args = {
			.flags = CLONE_PIDFD,
			.pidfd = (uintptr_t)&pidfd,
			.exit_signal = SIGCHLD,
		};

		pid = syscall(SYS_clone3, &args, sizeof(args));
		if (pid < 0)
			return -errno;
		if (!pid) {
			setsid();
			_exit(0);
		}
		/* The number stays the same, so that callers never see a closed descriptor. */
		old = dup3(pidfd, a->pidfd[0], O_CLOEXEC);
		close(pidfd);
		if (old < 0 || waitpid(pid, NULL, 0) != pid)
			return -errno;
		count(&a->rounds);
	}
	return 0;
}

TEST_F(race, target_exits)
{
	struct puppet *parent = spawn(&self->stage, NULL, 0), *p[3];
	int i;

	ASSERT_NE(NULL, parent);
	self->arena->pidfd[0] = dup(self->leader[0]->pidfd);
	ASSERT_EQ(0, tell(parent, loop_short_lives, (long)self->arena, 0));
	/* From here on pidfd[0] is none but those with short lives. */
	ASSERT_TRUE(wait_for(&self->arena->rounds, 1));
	for (i = 0; i < 3; i++) {
		p[i] = spawn(&self->stage, NULL, 0);
		ASSERT_NE(NULL, p[i]);
		ASSERT_EQ(0, tell(p[i], i ? loop_attach : loop_alternate, (long)self->arena, 0));
	}
	EXPECT_TRUE(wait_for(&self->arena->entered, 1));
	EXPECT_TRUE(wait_for(&self->arena->gone, 1));
	run_for(self->arena, RUN_MS);
	EXPECT_EQ(0, reply(parent));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, reply(p[i]));
	}
	EXPECT_SOUND(self->arena);
}

/* --- terminals --- */

static long loop_terminal(long arena, long unused)
{
	struct arena *a = (struct arena *)arena;
	int i;

	(void)unused;
	signal(SIGHUP, SIG_IGN);
	signal(SIGCONT, SIG_IGN);
	for (i = 0; !stopped(a); i++) {
		if (ioctl(a->tty, TIOCSCTTY, 0))
			return -errno;
		/* So that others get it on a machine with one processor, too. */
		if (!(i % 64))
			usleep(2000);
		if (ioctl(a->tty, TIOCNOTTY))
			return -errno;
	}
	return ioctl(a->tty, TIOCSCTTY, 0) ? -errno : 0;
}

/* Goes to and fro, and counts how often it has come by the terminal. */
static long loop_enter_terminal(long arena, long unused)
{
	struct arena *a = (struct arena *)arena;
	int i, fd;

	(void)unused;
	for (i = 0; !stopped(a); i++) {
		note(a, i & 1, act_attach(a->pidfd[i & 1], 0), ESRCH);
		fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
		if (fd < 0)
			continue;
		count(&a->rounds);
		close(fd);
	}
	return 0;
}

static long act_ignore_hup(long a, long b)
{
	(void)a;
	(void)b;
	return signal(SIGHUP, SIG_IGN) == SIG_ERR ? -errno : 0;
}

/* Opens a terminal and returns the other end, -1 if that does not work. */
static int arena_terminal(struct arena *a)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);

	if (master < 0 || grantpt(master) || unlockpt(master))
		return -1;
	a->tty = open(ptsname(master), O_RDWR | O_NOCTTY);
	return a->tty < 0 ? -1 : master;
}

TEST_F(race, terminal_comes_and_goes)
{
	struct puppet *p[3];
	struct ids ids;
	int master, i;

	if (geteuid())
		SKIP(return, "needs root in order to take terminals along");
	master = arena_terminal(self->arena);
	if (master < 0)
		SKIP(return, "no pseudo terminal to be had");
	for (i = 0; i < 3; i++) {
		p[i] = spawn(&self->stage, NULL, 0);
		ASSERT_NE(NULL, p[i]);
		ASSERT_EQ(0, call(p[i], act_ignore_hup, 0, 0));
		ASSERT_EQ(0,
			  tell(p[i], i ? loop_enter_terminal : loop_attach, (long)self->arena, 0));
	}
	ASSERT_EQ(0, tell(self->leader[0], loop_terminal, (long)self->arena, 0));
	EXPECT_TRUE(wait_for(&self->arena->rounds, 1));
	run_for(self->arena, RUN_MS);
	EXPECT_EQ(0, reply(self->leader[0]));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, reply(p[i]));
		/* Who ended in the other session has no terminal left over. */
		memset(&ids, 0, sizeof(ids));
		ASSERT_TRUE(read_ids(p[i]->pid, &ids));
		if (ids.sid == self->arena->sid[1]) {
			EXPECT_EQ(0, ids.tty);
		}
		EXPECT_EQ(0, call(p[i], act_attach, self->leader[0]->pidfd, 0));
	}
	EXPECT_SOUND(self->arena);
	/*
	 * The end of the leader takes it away from all, and none holds the terminal by mistake.
	 */
	ASSERT_EQ(0, kill_and_reap(self->leader[0]));
	for (i = 0; i < 3; i++) {
		ASSERT_TRUE(read_ids(p[i]->pid, &ids));
		EXPECT_EQ(0, ids.tty);
	}
	close(master);
	close(self->arena->tty);
}

/* --- job control in one thread, while another one changes between two sessions --- */

static long act_ctty(long fd, long unused)
{
	(void)unused;
	return ioctl(fd, TIOCSCTTY, 0) ? -errno : 0;
}

static long loop_with_thread(struct arena *a, void *(*fn)(void *))
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, fn, a))
		return -EAGAIN;
	loop_alternate((long)a, 0);
	pthread_join(thread, NULL);
	return 0;
}

/*
 * Wants the terminal of session 0 to have a group of session 1 in its foreground: whichever of the
 * two sessions the process is in, either the group or the terminal is foreign.
 */
static void *thread_foreground(void *arg)
{
	struct arena *a = arg;

	while (!stopped(a)) {
		if (!tcsetpgrp(a->tty, a->sid[1]))
			count(&a->torn);
		else if (errno == EPERM)
			count(&a->rounds);
		else if (errno != ENOTTY)
			note(a, 1, -errno, 0);
	}
	return NULL;
}

static long loop_foreground(long arena, long unused)
{
	(void)unused;
	signal(SIGTTOU, SIG_IGN);
	return loop_with_thread((struct arena *)arena, thread_foreground);
}

TEST_F(race, foreground_group_of_the_terminals_session)
{
	struct puppet *p = spawn(&self->stage, NULL, 0);
	int master;

	if (geteuid())
		SKIP(return, "needs root in order to take terminals along");
	ASSERT_NE(NULL, p);
	master = arena_terminal(self->arena);
	if (master < 0)
		SKIP(return, "no pseudo terminal to be had");
	ASSERT_EQ(0, call(self->leader[0], act_ctty, self->arena->tty, 0));
	ASSERT_EQ(0, tell(p, loop_foreground, (long)self->arena, 0));
	EXPECT_TRUE(wait_for(&self->arena->rounds, 1));
	run_for(self->arena, RUN_MS);
	EXPECT_EQ(0, reply(p));
	EXPECT_SOUND(self->arena);
	EXPECT_EQ(self->arena->sid[0], call(self->leader[0], act_tcgetpgrp, self->arena->tty, 0));
	close(master);
	close(self->arena->tty);
}

static void do_nothing(int sig)
{
	(void)sig;
}

/* Changes the terminal of session 0: as a member of the foreground, or as a stranger to it. */
static void *thread_flush(void *arg)
{
	struct arena *a = arg;

	while (!stopped(a)) {
		if (tcflush(a->tty, TCIFLUSH))
			note(a, 1, -errno, 0);
		else
			count(&a->rounds);
	}
	return NULL;
}

static long loop_flush(long arena, long unused)
{
	(void)unused;
	/* Neither ignored nor stopped by it. */
	signal(SIGTTOU, do_nothing);
	return loop_with_thread((struct arena *)arena, thread_flush);
}

/* Both groups are those of a leader's child, since SIGTTOU is not sent to orphaned ones. */
TEST_F(race, terminal_stops_nobody_in_other_session)
{
	struct puppet *p = spawn(&self->stage, NULL, 0), *job, *other;
	int master;

	if (geteuid())
		SKIP(return, "needs root in order to take terminals along");
	ASSERT_NE(NULL, p);
	other = spawn(&self->stage, self->leader[1], 0);
	ASSERT_NE(NULL, other);
	ASSERT_EQ(0, call(other, act_setpgid, 0, 0));
	master = arena_terminal(self->arena);
	if (master < 0)
		SKIP(return, "no pseudo terminal to be had");
	ASSERT_EQ(0, call(self->leader[0], act_ctty, self->arena->tty, 0));
	/* Born later than that, it has the terminal to hand over. */
	job = spawn(&self->stage, self->leader[0], 0);
	ASSERT_NE(NULL, job);
	ASSERT_EQ(0, call(job, act_setpgid, 0, 0));
	ASSERT_EQ(0, call(self->leader[0], act_tcsetpgrp, self->arena->tty, job->pid));
	self->arena->pidfd[0] = job->pidfd;
	self->arena->pidfd[1] = other->pidfd;
	ASSERT_EQ(0, tell(p, loop_flush, (long)self->arena, 0));
	EXPECT_TRUE(wait_for(&self->arena->rounds, 1));
	EXPECT_TRUE(wait_for(&self->arena->entered, 1));
	run_for(self->arena, RUN_MS);
	EXPECT_EQ(0, reply(p));
	EXPECT_SOUND(self->arena);
	/* Who has stopped does not answer. */
	ASSERT_EQ(self->arena->sid[1], call(other, act_getsid, 0, 0));
	ASSERT_EQ(self->arena->sid[0], call(job, act_getsid, 0, 0));
	close(master);
	close(self->arena->tty);
}

/* --- a namespace that dies under its callers --- */

TEST_F(race, namespace_teardown)
{
	struct puppet *init, *leader, *p[2];
	struct pollfd pfd;
	int round, i, nr;

	for (round = 0; round < 20; round++) {
		nr = self->stage.nr;
		self->arena->stop = 0;
		init = spawn(&self->stage, NULL, CLONE_NEWPID);
		if (!init)
			SKIP(return, "cannot create a pid namespace");
		leader = spawn(&self->stage, init, 0);
		ASSERT_NE(NULL, leader);
		ASSERT_EQ(0, call(leader, act_setsid, 0, 0));
		self->arena->pidfd[0] = init->pidfd;
		self->arena->pidfd[1] = leader->pidfd;
		for (i = 0; i < 2; i++) {
			p[i] = spawn(&self->stage, init, 0);
			ASSERT_NE(NULL, p[i]);
			ASSERT_EQ(0, tell(p[i], loop_alternate, (long)self->arena, 0));
		}
		usleep(1000 * (round % 7));
		ASSERT_EQ(0, sys_pidfd_send_signal(init->pidfd, SIGKILL));
		pfd = (struct pollfd){.fd = init->pidfd, .events = POLLIN};
		ASSERT_EQ(1, poll(&pfd, 1, 20000))
		{
			TH_LOG("the init of the namespace does not end, in round %d", round);
		}
		EXPECT_EQ(0, act_reap(init->pidfd, 0));
		while (self->stage.nr > nr) {
			self->stage.nr--;
			close(self->stage.puppets[self->stage.nr].sock);
			close(self->stage.puppets[self->stage.nr].pidfd);
		}
	}
	EXPECT_SOUND(self->arena);
}

TEST_HARNESS_MAIN
