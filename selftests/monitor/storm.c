// SPDX-License-Identifier: GPL-2.0-only
/*
 * A storm of forks on all CPUs: every one must be counted, and what is left afterwards must be
 * right. usage: storm [FORKS]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "monitor/world.h"

enum { LIFE_STORM, LIFE_REST, LIFE_MOTHER };

static unsigned long forks_each;

/* Half of the children have a child of their own and leave it behind. */
static unsigned long storm(unsigned long n)
{
	unsigned long done = 0;

	while (done < n) {
		pid_t pid = fork();

		if (pid < 0 && errno == EAGAIN)
			continue;
		if (pid < 0)
			return done;
		if (!pid) {
			/* Not to be taken for the process that forked it. */
			prctl(PR_SET_NAME, "storm");
			if (done % 4 == 0 && fork() == 0)
				_exit(0);
			_exit(0);
		}
		done += done % 4 == 0 ? 2 : 1;
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	return done;
}

static void life_storm(struct world *w, int me)
{
	__atomic_fetch_add(&w->budget, storm(w->seed), __ATOMIC_SEQ_CST);
	spawn(w, me, SPAWN_FORK, LIFE_MOTHER);
	leave(w, me);
}

static void life_rest(struct world *w, int me)
{
	rest(w, me);
}

static void life_mother(struct world *w, int me)
{
	spawn(w, me, SPAWN_FORK, LIFE_REST);
	spawn(w, me, SPAWN_FORK, LIFE_REST);
	leave(w, me);
}

life_fn *const lives[] = {
	[LIFE_STORM] = life_storm, [LIFE_REST] = life_rest, [LIFE_MOTHER] = life_mother};

/* What was born, lost or missed between two looks. */
struct count {
	uint64_t births, bad;
	uint32_t used;
};

static struct count look(struct monitor *m)
{
	struct monitor_status s;
	struct error err = {0};

	if (monitor_status(m, &err, &s))
		return (struct count){.bad = 1};
	return (struct count){
		.births = s.head.births,
		.bad = s.head.lost_limit + s.head.lost_storage + s.missed,
		.used = s.head.used,
	};
}

/* Processes of the machine that have forked meanwhile have nodes too. */
#define OTHERS 256

/* Nodes are given back a grace period after reaping, or by births that follow. */
static uint32_t used_when_quiet(struct monitor *m, uint32_t aim)
{
	uint32_t used = look(m).used;

	for (int i = 0; i < 100 && used > aim; i++) {
		for (int k = 0; k < 100; k++) {
			pid_t pid = fork();

			if (!pid)
				_exit(0);
			if (pid > 0)
				waitpid(pid, NULL, 0);
		}
		used = look(m).used;
	}
	return used;
}

int main(int argc, char **argv)
{
	struct world *w = world_init(argc, argv);
	unsigned long total = argc > 1 ? strtoul(argv[1], NULL, 0) : 100000;
	int cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct count before, after;
	struct timespec a, b;
	struct verdict v;
	struct monitor *m = own_monitor(0);
	int bad = 0;

	printf("1..5\n");
	cpus = cpus < 2 ? 2 : cpus;
	forks_each = total / cpus;
	world_begin(w, forks_each);
	before = look(m);
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < cpus; i++)
		spawn(w, 0, SPAWN_FORK, LIFE_STORM);
	while (__atomic_load_n(&w->working, __ATOMIC_SEQ_CST) > 2u * cpus &&
	       w->slots < 1 + 4u * cpus)
		usleep(10000);
	while (!world_settle(w) || w->slots < 1 + 4u * cpus)
		;
	clock_gettime(CLOCK_MONOTONIC, &b);
	after = look(m);
	printf("# %u forks by %d processes in %.1f s\n", w->budget, cpus,
	       b.tv_sec - a.tv_sec + (b.tv_nsec - a.tv_nsec) / 1e9);
	bad += tap(1, w->budget >= total, "%u processes were forked", w->budget);
	/* Others may fork on this machine meanwhile: never fewer than we did. */
	bad += tap(2, after.births - before.births >= w->budget + 4ul * cpus,
		   "%llu births were seen", (unsigned long long)(after.births - before.births));
	bad += tap(3, !after.bad, "%llu lost, and nothing is said to be lost",
		   (unsigned long long)after.bad);
	v = judge(w, m);
	bad += tap(4, !v.wrong && v.alive == 2u * cpus && !check_tree(m),
		   "%u processes that are left have the right ancestors", v.alive);
	world_end(w);
	after.used = used_when_quiet(m, before.used + OTHERS);
	bad += tap(5, after.used <= before.used + OTHERS, "nodes in use: %u before, %u after",
		   before.used, after.used);
	drop_monitor(m);
	return !!bad;
}
