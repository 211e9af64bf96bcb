// SPDX-License-Identifier: GPL-2.0-only
// Several tasks that fork into a pid namespace without init at the same time: one of them makes the
// init.

#define _GNU_SOURCE
#include <time.h>

#include "../kselftest_harness.h"
#include "pidns.h"

#define TASKS  6
#define ROUNDS 150
/* On a slow machine fewer rounds will do. */
#define ENOUGH_ROUNDS  5
#define ENOUGH_SECONDS 8

/* Shared by all processes of a test. */
struct arena {
	int waiting, go;
	int forks;  /* all attempts but those that fail on purpose */
	int inits;  /* children that were number 1, */
	int others; /* that had another number, */
	int second; /* forks that came second before there was an init, */
	int wrong;  /* and anything else */
	int faults; /* failures on purpose, */
	int early;  /* that failed for coming second */
};

FIXTURE(race)
{
	struct holder holder;
	struct arena *arena;
};

FIXTURE_SETUP(race)
{
	PIDNS_PREPARE();
	self->arena = mmap(NULL, sizeof(*self->arena), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->arena);
}

FIXTURE_TEARDOWN(race)
{
	holder_stop(&self->holder);
	reap_children();
	munmap(self->arena, sizeof(*self->arena));
}

static void count(int *n)
{
	__atomic_add_fetch(n, 1, __ATOMIC_SEQ_CST);
}

static int get(const int *n)
{
	return __atomic_load_n(n, __ATOMIC_SEQ_CST);
}

/* Counts what became of a fork; the child does not return. */
static void judge(struct arena *a, pid_t pid)
{
	if (!pid) {
		/* The init stays until all have been counted. */
		if (getpid() == 1) {
			count(&a->inits);
			for (;;)
				pause();
		}
		/* Others find it: init comes first. */
		count(kill(1, 0) && errno != EPERM ? &a->wrong : &a->others);
		_exit(0);
	}
	if (pid == -EINVAL)
		count(&a->second);
	else if (pid < 0)
		count(&a->wrong);
}

/* One that was to fail may come second as well. */
static void judge_failure(struct arena *a, pid_t pid)
{
	count(pid == -EFAULT ? &a->faults : pid == -EINVAL ? &a->early : &a->wrong);
}

/* Forks until it has a child in the namespace: that there is none yet is no reason to give up. */
static int fork_into(struct arena *a, int ns, bool fault, bool set_tid)
{
	int failed = setns(ns, CLONE_NEWPID);
	pid_t pid, one = 1;

	count(&a->waiting);
	if (failed)
		return 1;
	while (!get(&a->go))
		;
	do {
		if (fault)
			judge_failure(a, fork_that_faults());
		pid = fork_at(0, set_tid ? &one : NULL, set_tid);
		if (pid)
			count(&a->forks);
		/* Number 1 is taken, be it by an init or by a failure to come. */
		if (set_tid && pid == -EEXIST)
			pid = -EINVAL;
		judge(a, pid);
	} while (pid == -EINVAL && !set_tid);
	/* The test is a subreaper and gets all children. */
	return 0;
}

static int one_round(struct holder *h, struct arena *a, bool fault, bool set_tid)
{
	pid_t task[TASKS];
	int ns, i, failed = 0;

	memset(a, 0, sizeof(*a));
	if (holder_start(h, CLONE_NEWUSER | CLONE_NEWPID))
		return 1;
	ns = open_ns(h->pid, "pid_for_children");
	if (ns < 0)
		return 2;
	for (i = 0; i < TASKS; i++) {
		task[i] = fork();
		if (!task[i])
			_exit(fork_into(a, ns, fault, set_tid && i % 2));
		if (task[i] < 0)
			return 3;
	}
	close(ns);
	while (get(&a->waiting) < TASKS)
		usleep(100);
	count(&a->go);
	for (i = 0; i < TASKS; i++)
		failed += wait_for(task[i]) != 0;
	return failed ? 4 : 0;
}

static int counted(const struct arena *a)
{
	return get(&a->inits) + get(&a->others) + get(&a->second) + get(&a->wrong);
}

/* The children count themselves, some of them after their parents have gone. */
static void wait_until_counted(const struct arena *a)
{
	int i;

	for (i = 0; i < 60000 && counted(a) < get(&a->forks); i++)
		usleep(1000);
}

static bool is_enough(int rounds, time_t since)
{
	return rounds >= ROUNDS ||
	       (rounds >= ENOUGH_ROUNDS && time(NULL) - since >= ENOUGH_SECONDS);
}

#define RUN_ROUNDS(fault, set_tid)                                                              \
	do {                                                                                    \
		struct arena *a = self->arena;                                                  \
		int round_nr, seconds = 0;                                                      \
		time_t since = time(NULL);                                                      \
		for (round_nr = 0; !is_enough(round_nr, since); round_nr++) {                   \
			ASSERT_EQ(0, one_round(&self->holder, a, fault, set_tid));              \
			wait_until_counted(a);                                                  \
			ASSERT_EQ(1, a->inits)                                                  \
			{                                                                       \
				TH_LOG("round %d: %d inits, %d others, %d too early, %d wrong", \
				       round_nr, a->inits, a->others, a->second, a->wrong);     \
			}                                                                       \
			ASSERT_EQ(0, a->wrong);                                                 \
			ASSERT_EQ(a->forks, counted(a));                                        \
			seconds += a->second;                                                   \
			/* The orphans have become children of the test, a subreaper. */        \
			holder_stop(&self->holder);                                             \
			reap_children();                                                        \
		}                                                                               \
		TH_LOG("%d forks came second before there was an init in %d rounds", seconds,   \
		       round_nr);                                                               \
	} while (0)

TEST_F_TIMEOUT(race, one_becomes_init, 180)
{
	RUN_ROUNDS(false, false);
}

TEST_F_TIMEOUT(race, one_becomes_init_with_set_tid, 180)
{
	RUN_ROUNDS(false, true);
}

/* In between, forks fail after their pid has been allocated. */
TEST_F_TIMEOUT(race, one_becomes_init_among_failures, 180)
{
	RUN_ROUNDS(true, false);
}

TEST_HARNESS_MAIN
