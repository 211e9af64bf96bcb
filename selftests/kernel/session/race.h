/* SPDX-License-Identifier: GPL-2.0-only */
/* Puppets that attach to two sessions in a loop while something else happens to these. */
#ifndef SELFTESTS_SESSION_RACE_H
#define SELFTESTS_SESSION_RACE_H

#include <sys/mman.h>

#include "session.h"

#define RUN_MS 1000

/* Shared by all processes of a test. */
struct arena {
	int stop;
	int pidfd[2]; /* whom to attach to */
	pid_t sid[2]; /* leaders of the two sessions */
	pid_t group;  /* another group of session 0 */
	int tty;
	char path[32]; /* of a program */
	long attached; /* calls that succeeded, */
	long entered;  /* those of them that were for pidfd[0], */
	long gone;     /* and those that found nobody there any more */
	long rounds;   /* of whatever the calls race with */
	long failed;   /* calls with an errno that is no legal outcome, */
	long error;    /* the last of them, */
	long torn;     /* and processes or terminals with a group of another session */
};

/* Two puppets become leaders of a session each, whom pidfd[] stands for. NULL: failed. */
static inline struct arena *arena_open(struct stage *s, struct puppet *leader[2])
{
	struct arena *a = mmap(NULL, sizeof(*a), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			       -1, 0);
	int i;

	if (a == MAP_FAILED)
		return NULL;
	a->tty = -1;
	for (i = 0; i < 2; i++) {
		leader[i] = spawn(s, NULL, 0);
		if (!leader[i] || call(leader[i], act_setsid, 0, 0))
			return NULL;
		a->sid[i] = leader[i]->pid;
		a->pidfd[i] = leader[i]->pidfd;
	}
	return a;
}

static inline bool stopped(const struct arena *a)
{
	return __atomic_load_n(&a->stop, __ATOMIC_RELAXED);
}

static inline void run_for(struct arena *a, int ms)
{
	usleep(ms * 1000);
	__atomic_store_n(&a->stop, 1, __ATOMIC_RELAXED);
}

static inline void count(long *what)
{
	__atomic_add_fetch(what, 1, __ATOMIC_RELAXED);
}

/* Goes on until something has happened at least @nr times: on a slow machine that may be later. */
static inline bool wait_for(const long *what, long nr)
{
	int i;

	for (i = 0; i < REPLY_SECONDS * 1000 / 2 && __atomic_load_n(what, __ATOMIC_RELAXED) < nr;
	     i++)
		usleep(1000);
	return __atomic_load_n(what, __ATOMIC_RELAXED) >= nr;
}

static inline void note(struct arena *a, int which, long ret, long legal)
{
	if (!ret) {
		count(&a->attached);
		if (!which)
			count(&a->entered);
	} else if (ret == -legal) {
		if (!which)
			count(&a->gone);
	} else {
		__atomic_store_n(&a->error, -ret, __ATOMIC_RELAXED);
		__atomic_add_fetch(&a->failed, 1, __ATOMIC_RELAXED);
	}
}

#define EXPECT_SOUND(a)                                                                      \
	do {                                                                                 \
		EXPECT_LT(0, (a)->attached);                                                 \
		EXPECT_EQ(0, (a)->failed)                                                    \
		{                                                                            \
			TH_LOG("%ld calls failed, the last one with errno %ld", (a)->failed, \
			       (a)->error);                                                  \
		}                                                                            \
		EXPECT_EQ(0, (a)->torn);                                                     \
	} while (0)

static inline long loop_attach(long arena, long which)
{
	struct arena *a = (struct arena *)arena;

	while (!stopped(a))
		note(a, which & 1, act_attach(a->pidfd[which & 1], 0), ESRCH);
	return 0;
}

static inline long loop_alternate(long arena, long unused)
{
	struct arena *a = (struct arena *)arena;
	int i;

	(void)unused;
	for (i = 0; !stopped(a); i++)
		note(a, i & 1, act_attach(a->pidfd[i & 1], 0), ESRCH);
	return 0;
}

#endif
