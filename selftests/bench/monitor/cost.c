// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the process-tree monitor costs: rounds with and without it, interleaved, on one CPU.
 * usage: cost [ROUNDS [light]]
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "monitor/monitor.h"

#define MAX_ROUNDS 200
#define PROCESSES  4000

static void fork_exit_wait(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
}

static void fork_exec_wait(void)
{
	pid_t pid = vfork();

	if (!pid) {
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
}

/* A child leaves a child behind, which comes to us. */
static void double_fork(void)
{
	pid_t pid = fork();

	if (!pid) {
		if (!fork())
			_exit(0);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	waitpid(-1, NULL, 0);
}

static void *nothing(void *arg)
{
	return arg;
}

static void thread(void)
{
	pthread_t t;

	if (!pthread_create(&t, NULL, nothing, NULL))
		pthread_join(t, NULL);
}

static void system_call(void)
{
	syscall(SYS_getppid);
}

static void prctl_call(void)
{
	prctl(PR_GET_DUMPABLE);
}

struct row {
	const char *name;
	void (*once)(void);
	unsigned int times; /* in a round */
};

static const struct row rows[] = {
	{"fork + exit + wait", fork_exit_wait, 300},
	{"vfork + exec + exit + wait", fork_exec_wait, 60},
	{"fork + fork + exits + waits", double_fork, 150},
	{"thread + join", thread, 400},
	{"system call (getppid)", system_call, 200000},
	{"prctl", prctl_call, 100000},
};

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

/* ns per time, by the clock and of CPU (ours and our children's). */
struct cost {
	double wall, cpu;
};

static double cpu_now(void)
{
	struct rusage r;
	struct timespec t;

	/* Sums of run time, not of ticks. */
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	getrusage(RUSAGE_CHILDREN, &r);
	return t.tv_sec * 1e9 + t.tv_nsec + (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e9 +
	       (r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e3;
}

static struct cost measure(const struct row *r)
{
	struct timespec a, b;
	double cpu = cpu_now();

	clock_gettime(CLOCK_MONOTONIC, &a);
	for (unsigned int i = 0; i < r->times; i++)
		r->once();
	clock_gettime(CLOCK_MONOTONIC, &b);
	return (struct cost){
		.wall = ((b.tv_sec - a.tv_sec) * 1e9 + (b.tv_nsec - a.tv_nsec)) / r->times,
		.cpu = (cpu_now() - cpu) / r->times,
	};
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void report(const char *name, const struct cost *without, const struct cost *with,
		   int rounds, bool cpu)
{
	double a[MAX_ROUNDS], b[MAX_ROUNDS], ratio[MAX_ROUNDS], m0, m1;

	for (int i = 0; i < rounds; i++) {
		a[i] = cpu ? without[i].cpu : without[i].wall;
		b[i] = cpu ? with[i].cpu : with[i].wall;
		/* Neighbours in time: what the machine does besides is much the same for both. */
		ratio[i] = b[i] / a[i];
	}
	qsort(ratio, rounds, sizeof(*ratio), by_value);
	qsort(a, rounds, sizeof(*a), by_value);
	qsort(b, rounds, sizeof(*b), by_value);
	m0 = a[rounds / 2];
	m1 = b[rounds / 2];
	printf("| %-28s | %9.3f | %9.3f | %9.3f | %9.3f | %+6.1f %% | %+6.1f %% |\n", name,
	       a[0] / 1e3, b[0] / 1e3, m0 / 1e3, m1 / 1e3, 100 * (b[0] - a[0]) / a[0],
	       100 * (ratio[rounds / 2] - 1));
}

static void table(const char *title, struct cost without[][MAX_ROUNDS],
		  struct cost with[][MAX_ROUNDS], int rounds, bool cpu)
{
	printf("| %-28s | %9s | %9s | %9s | %9s | %8s | %8s |\n", title, "min", "min with",
	       "median", "with", "min", "rounds");
	printf("| --- | --: | --: | --: | --: | --: | --: |\n");
	for (size_t r = 0; r < N_ROWS; r++)
		report(rows[r].name, without[r], with[r], rounds, cpu);
	putchar('\n');
}

static void start(const char *folder, bool light)
{
	struct monitor_options opt = {.folder = folder, .light = light};
	struct error err = {0};

	if (monitor_start(&opt, NULL, &err)) {
		fprintf(stderr, "start: %s\n", err.text);
		exit(4);
	}
}

static void stop(const char *folder)
{
	struct error err = {0};

	if (monitor_stop(folder, &err))
		fprintf(stderr, "stop: %s\n", err.text);
}

/*
 * Objects in use of a size, of the caches that are charged to cgroups, where task storage comes
 * from; -1 if that cannot be read.
 */
static long slab_objects(int size)
{
	FILE *f = fopen("/proc/slabinfo", "re");
	char line[512], name[64], want[64];
	long n, found = -1;

	snprintf(want, sizeof(want), "kmalloc-cg-%d", size);
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %ld", name, &n) == 2 && !strcmp(name, want))
			found = n;
	if (f)
		fclose(f);
	return found;
}

struct objects {
	long of_512, of_192;
};

/*
 * How many objects more there are for PROCESSES more processes. It can be asked only once: what was
 * freed lately still counts as in use.
 */
static struct objects objects_for_processes(void)
{
	static pid_t pids[PROCESSES];
	struct objects n = {-slab_objects(512), -slab_objects(192)};

	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (!pids[i])
			for (;;)
				pause();
	}
	n.of_512 += slab_objects(512);
	n.of_192 += slab_objects(192);
	for (int i = 0; i < PROCESSES; i++)
		if (pids[i] > 0)
			kill(pids[i], SIGKILL);
	for (int i = 0; i < PROCESSES; i++)
		if (pids[i] > 0)
			waitpid(pids[i], NULL, 0);
	return n;
}

static void memory(const char *folder)
{
	struct objects without = objects_for_processes(), with;

	start(folder, false);
	with = objects_for_processes();
	stop(folder);
	printf("Memory per process: %zu bytes of node, reserved at the start for the whole limit; a\n"
	       "record of %zu bytes in an object of 512, and the kernel's own 192 for task storage.\n",
	       sizeof(struct caba_node), sizeof(struct caba_rec));
	if (slab_objects(512) >= 0)
		printf("Counted for %d processes, more than without the monitor: %ld objects of 512, "
		       "%ld of 192.\n",
		       PROCESSES, with.of_512 - without.of_512, with.of_192 - without.of_192);
	printf("Deeper than %d pid namespaces: another object of 512 for the pids.\n", CABA_INLINE);
}

int main(int argc, char **argv)
{
	static struct cost without[N_ROWS][MAX_ROUNDS], with[N_ROWS][MAX_ROUNDS];
	int rounds = argc > 1 ? atoi(argv[1]) : 30;
	struct monitor *other = NULL;
	struct error err = {0};
	bool light = argc > 2 && !strcmp(argv[2], "light");
	cpu_set_t one;
	char folder[64];

	if (geteuid() || rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "needs root, and 1 to %d rounds\n", MAX_ROUNDS);
		return 4;
	}
	if (!monitor_open(NULL, &err, &other)) {
		fprintf(stderr, "a monitor is running; stop it first: stasis monitor stop\n");
		return 4;
	}
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	snprintf(folder, sizeof(folder), "/sys/fs/bpf/stasis-bench-%d", getpid());
	/* What loading the programs leaves in our memory makes forks slower, with and without. */
	start(folder, light);
	stop(folder);
	for (int round = -1; round < rounds; round++) {
		int i = round < 0 ? 0 : round; /* the first does not count */

		for (size_t r = 0; r < N_ROWS; r++)
			without[r][i] = measure(&rows[r]);
		start(folder, light);
		for (size_t r = 0; r < N_ROWS; r++)
			with[r][i] = measure(&rows[r]);
		stop(folder);
	}
	printf("%d rounds, interleaved; microseconds each\n\n", rounds);
	table("CPU time", without, with, rounds, true);
	table("elapsed time", without, with, rounds, false);
	memory(folder);
	return 0;
}
