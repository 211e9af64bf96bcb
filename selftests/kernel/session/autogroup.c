// SPDX-License-Identifier: GPL-2.0-only
// The scheduling autogroup that a process has after PIDFD_ATTACH_SESSION is that of its session,
// whatever its other threads do at the same time.

#define _GNU_SOURCE
#include <pthread.h>

#include "../kselftest_harness.h"
#include "race.h"

#define NAME_SIZE 64

FIXTURE(autogroup)
{
	struct stage stage;
	struct arena *arena;
	struct puppet *leader[2];
};

FIXTURE_SETUP(autogroup)
{
	char name[NAME_SIZE];

	SKIP_ATTACH_OBSTACLE(true);
	if (!read_autogroup(getpid(), name, sizeof(name)))
		SKIP(return, "no /proc/PID/autogroup (CONFIG_SCHED_AUTOGROUP)");
	ASSERT_TRUE(stage_open(&self->stage));
	self->arena = arena_open(&self->stage, self->leader);
	ASSERT_NE(NULL, self->arena);
}

FIXTURE_TEARDOWN(autogroup)
{
	stage_clear(&self->stage);
	munmap(self->arena, sizeof(*self->arena));
}

TEST_F(autogroup, of_session)
{
	struct puppet *caller = spawn(&self->stage, NULL, 0);
	char want[NAME_SIZE], name[NAME_SIZE];
	int i;

	ASSERT_NE(NULL, caller);
	for (i = 0; i < 2; i++) {
		ASSERT_TRUE(read_autogroup(self->leader[i]->pid, want, sizeof(want)));
		ASSERT_TRUE(read_autogroup(caller->pid, name, sizeof(name)));
		EXPECT_STRNE(want, name);
		ASSERT_EQ(0, call(caller, act_attach, self->leader[i]->pidfd, 0));
		ASSERT_TRUE(read_autogroup(caller->pid, name, sizeof(name)));
		EXPECT_STREQ(want, name);
	}
}

/* --- two threads at once, round after round --- */

struct duel {
	struct arena *arena;
	pthread_barrier_t start, end;
	char name[2][NAME_SIZE];
	bool over;
};

static void *second_attaches(void *arg)
{
	struct duel *d = arg;

	for (;;) {
		pthread_barrier_wait(&d->start);
		if (d->over)
			return NULL;
		note(d->arena, 1, act_attach(d->arena->pidfd[1], 0), 0);
		pthread_barrier_wait(&d->end);
	}
}

/* Each thread enters a session; the process is in that of the last one then. */
static long loop_duel(long arena, long unused)
{
	struct duel d = {.arena = (struct arena *)arena};
	char name[NAME_SIZE];
	pthread_t thread;
	int i;

	(void)unused;
	for (i = 0; i < 2; i++)
		if (!read_autogroup(d.arena->sid[i], d.name[i], sizeof(d.name[i])))
			return -EIO;
	pthread_barrier_init(&d.start, NULL, 2);
	pthread_barrier_init(&d.end, NULL, 2);
	if (pthread_create(&thread, NULL, second_attaches, &d))
		return -EAGAIN;
	do {
		pthread_barrier_wait(&d.start);
		note(d.arena, 0, act_attach(d.arena->pidfd[0], 0), 0);
		pthread_barrier_wait(&d.end);
		if (!read_autogroup(getpid(), name, sizeof(name)))
			return -EIO;
		if (strcmp(name, d.name[getsid(0) == d.arena->sid[1]]))
			count(&d.arena->torn);
		count(&d.arena->rounds);
	} while (!stopped(d.arena));
	d.over = true;
	pthread_barrier_wait(&d.start);
	pthread_join(thread, NULL);
	return 0;
}

TEST_F(autogroup, of_the_last_session)
{
	struct puppet *p = spawn(&self->stage, NULL, 0);

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, tell(p, loop_duel, (long)self->arena, 0));
	EXPECT_TRUE(wait_for(&self->arena->rounds, 10));
	run_for(self->arena, 2 * RUN_MS);
	EXPECT_EQ(0, reply(p));
	EXPECT_SOUND(self->arena);
}

static void *thread_setsid(void *arg)
{
	pthread_barrier_wait(arg);
	setsid();
	return NULL;
}

/* One thread enters a session, another one makes one, which always comes last. */
static int attach_and_setsid(struct arena *a, const char *entered)
{
	pthread_barrier_t start;
	char name[NAME_SIZE];
	pthread_t thread;
	long ret;

	pthread_barrier_init(&start, NULL, 2);
	if (pthread_create(&thread, NULL, thread_setsid, &start))
		return 1;
	pthread_barrier_wait(&start);
	ret = act_attach(a->pidfd[0], 0);
	/* EPERM: came too late, the process leads a session. */
	if (ret != -EPERM)
		note(a, 0, ret, 0);
	pthread_join(thread, NULL);
	if (!read_autogroup(getpid(), name, sizeof(name)) || getsid(0) != getpid())
		return 1;
	if (!strcmp(name, entered))
		count(&a->torn);
	return 0;
}

static long loop_setsid(long arena, long unused)
{
	struct arena *a = (struct arena *)arena;
	char entered[NAME_SIZE];
	int status;
	pid_t pid;

	(void)unused;
	if (!read_autogroup(a->sid[0], entered, sizeof(entered)))
		return -EIO;
	while (!stopped(a)) {
		pid = fork();
		if (!pid)
			_exit(attach_and_setsid(a, entered));
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
			return -ECHILD;
		count(&a->rounds);
	}
	return 0;
}

TEST_F(autogroup, of_own_session)
{
	struct puppet *p = spawn(&self->stage, NULL, 0);

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, tell(p, loop_setsid, (long)self->arena, 0));
	EXPECT_TRUE(wait_for(&self->arena->entered, 1));
	run_for(self->arena, 2 * RUN_MS);
	EXPECT_EQ(0, reply(p));
	EXPECT_SOUND(self->arena);
}

TEST_HARNESS_MAIN
