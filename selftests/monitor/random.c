// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random histories: processes that fork, exit, execute and move between sessions and groups,
 * all at once. usage: random [COUNT [SEED]]
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "monitor/world.h"

enum { LIFE, LIFE_SHORT };

/* splitmix64, seeded by the world and the slot: what a process does is its own. */
static uint64_t next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static bool may_spawn(struct world *w)
{
	return __atomic_fetch_sub(&w->budget, 1, __ATOMIC_SEQ_CST) - 1 < MAX_SLOTS;
}

/*
 * An older relative to follow into its group. The first of a pid namespace waits in its exit for
 * every pid in it to be free, its group's too (zap_pid_ns_processes(), seen on 6.18): in a group
 * whose founder is gone it would wait for itself, for ever.
 */
static void join_somebody(struct world *w, int me, uint64_t pick)
{
	int other = pick % w->slots;
	pid_t pgid = other < MAX_SLOTS && w->slot[me].nr != 1 && w->slot[other].ns == w->slot[me].ns
			     ? getpgid(w->slot[other].nr)
			     : -1;

	if (pgid > 0)
		do_setpgid(w, me, me, pgid);
}

static void act(struct world *w, int me, uint64_t *rnd)
{
	uint64_t r = next(rnd) % 100, pick = next(rnd);

	if (r < 48 && !may_spawn(w))
		return;
	if (r < 34)
		spawn(w, me, SPAWN_FORK, LIFE);
	else if (r < 39)
		spawn(w, me, SPAWN_THREAD, LIFE);
	else if (r < 43 && me > 0 && w->slot[me].nr != 1)
		spawn(w, me, SPAWN_SIBLING, LIFE);
	else if (r < 45)
		spawn(w, me, SPAWN_NEWPID, LIFE);
	else if (r < 48)
		spawn_and_reap(w, me, SPAWN_FORK, LIFE_SHORT);
	else if (r < 56)
		do_setsid(w, me);
	else if (r < 64)
		do_setpgid(w, me, me, 0);
	else if (r < 72)
		join_somebody(w, me, pick);
	else if (r < 78)
		do_subreaper(w, me, pick & 1);
	else if (r < 88)
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	else
		sched_yield();
}

static void finish(struct world *w, int me, uint64_t *rnd)
{
	switch (next(rnd) % 16) {
	case 0 ... 5:
		rest(w, me);
	case 6:
		leader_leaves(w, me, LIFE);
	case 7:
		execute(w, me, false, LIFE);
	case 8:
		execute(w, me, true, LIFE);
	default:
		leave(w, me);
	}
}

static void live(struct world *w, int me)
{
	/* After an exec, or in a thread that outlived its leader: never again the same. */
	uint64_t rnd = w->seed * 1000003 + me * 8191ull + w->slot[me].rounds++ * 127ull;
	unsigned int acts = next(&rnd) % 8;

	while (acts--)
		act(w, me, &rnd);
	finish(w, me, &rnd);
}

/* Somebody waits for its end. */
static void live_shortly(struct world *w, int me)
{
	uint64_t rnd = w->seed * 65537 + me;

	for (int acts = 3; acts; acts--)
		act(w, me, &rnd);
	leave(w, me);
}

life_fn *const lives[] = {[LIFE] = live, [LIFE_SHORT] = live_shortly};

static void first_lives(struct world *w)
{
	w->budget = 20 + w->seed % 60;
	for (int i = 0; i < 4; i++)
		spawn(w, 0, SPAWN_FORK, LIFE);
}

int main(int argc, char **argv)
{
	struct world *w = world_init(argc, argv);
	unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 0) : 500, done = 0;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)time(NULL) << 12;
	struct verdict sum = {0};
	unsigned long unsettled = 0, violations = 0;
	struct monitor_status status;
	struct error err = {0};
	struct monitor *m = own_monitor(0);
	int bad;

	printf("# %lu histories, seeds %llu and up\n", count, (unsigned long long)seed);
	for (; done < count && sum.wrong < 20; done++) {
		struct verdict v;

		world_begin(w, seed + done);
		first_lives(w);
		if (!world_settle(w)) {
			printf("# seed %llu did not settle\n", (unsigned long long)w->seed);
			unsettled++;
		}
		v = judge(w, m);
		sum.alive += v.alive;
		sum.zombies += v.zombies;
		sum.gone += v.gone;
		sum.wrong += v.wrong;
		world_end(w);
		violations += check_tree(m);
	}
	printf("1..4\n");
	bad = tap(1, !sum.wrong && done == count,
		  "%lu histories: %u living and %u zombies right, %u gone", done, sum.alive,
		  sum.zombies, sum.gone);
	bad += tap(2, !unsettled, "every history came to rest");
	bad += tap(3, !violations, "the tree's counts are right after each");
	if (monitor_status(m, &err, &status))
		status = (struct monitor_status){.missed = 1};
	bad += tap(4, !status.missed && !status.head.lost_limit && !status.head.lost_storage,
		   "nothing was lost in %llu births", status.head.births);
	drop_monitor(m);
	return !!bad;
}
