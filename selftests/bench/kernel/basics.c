// SPDX-License-Identifier: GPL-2.0-only
/*
 * What every program pays, to be compared between a stock and a patched kernel: fork, thread,
 * execve, page faults, copies on write, context switches; and CPUID, where a table is meant to make
 * a difference.
 *
 * Prints "name nanoseconds-per-operation", the median of all rounds; the operations take turns.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cpuid_override.h"

#define PAGE	   4096UL
#define MAX_ROUNDS 101
#define PAGES	   4096

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static char *map_pages(void)
{
	char *p = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	if (p == MAP_FAILED)
		exit(1);
	madvise(p, PAGES * PAGE, MADV_NOHUGEPAGE);
	return p;
}

static void touch(char *p)
{
	for (size_t i = 0; i < PAGES; i++)
		p[i * PAGE]++;
}

/* Each returns nanoseconds for one operation, of which it does as many as give a measurable time.
 */

static double fork_wait(void)
{
	const int n = 50;
	uint64_t start = now();

	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
	return (double)(now() - start) / n;
}

static double fork_16mib(void)
{
	const int n = 10;
	char *p = map_pages();
	uint64_t start, time;

	touch(p);
	start = now();
	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
	time = now() - start;
	munmap(p, PAGES * PAGE);
	return (double)time / n;
}

static void *nothing(void *unused)
{
	return unused;
}

static double thread_join(void)
{
	const int n = 50;
	uint64_t start = now();

	for (int i = 0; i < n; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, nothing, NULL))
			exit(1);
		pthread_join(thread, NULL);
	}
	return (double)(now() - start) / n;
}

static void run_true(void)
{
	pid_t pid = vfork();

	if (!pid) {
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	waitpid(pid, NULL, 0);
}

static double exec_true(void)
{
	const int n = 10;
	uint64_t start = now();

	for (int i = 0; i < n; i++)
		run_true();
	return (double)(now() - start) / n;
}

static double page_fault(void)
{
	char *p = map_pages();
	uint64_t start = now(), time;

	touch(p);
	time = now() - start;
	munmap(p, PAGES * PAGE);
	return (double)time / PAGES;
}

static double cow_fault(void)
{
	char *p = map_pages();
	uint64_t start, time;
	pid_t pid;

	touch(p);
	pid = fork();
	if (!pid)
		for (;;)
			pause();
	start = now();
	touch(p);
	time = now() - start;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	munmap(p, PAGES * PAGE);
	return (double)time / PAGES;
}

static double context_switch(void)
{
	const int n = 1000;
	int to[2], from[2];
	uint64_t start, time;
	pid_t pid;
	char c = 0;

	if (pipe(to) || pipe(from))
		exit(1);
	pid = fork();
	if (!pid) {
		while (read(to[0], &c, 1) == 1 && write(from[1], &c, 1) == 1)
			;
		_exit(0);
	}
	start = now();
	for (int i = 0; i < n; i++)
		if (write(to[1], &c, 1) != 1 || read(from[0], &c, 1) != 1)
			exit(1);
	time = now() - start;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(to[0]), close(to[1]), close(from[0]), close(from[1]);
	return (double)time / (2 * n);
}

static double cpuid_plain(void)
{
	const int n = 1000;
	uint64_t start = now();

	for (int i = 0; i < n; i++) {
		uint32_t a = 0, b, c = 0, d;

		asm volatile("cpuid" : "+a"(a), "=&b"(b), "+c"(c), "=&d"(d));
	}
	return (double)(now() - start) / n;
}

/* In a child, as there is no way back without a capability. -1: not here */
static double cpuid_with_table(void)
{
	double *result = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
			      0),
	       ns;
	pid_t pid;

	if (result == MAP_FAILED)
		exit(1);
	*result = -1;
	pid = fork();
	if (!pid) {
		struct arch_cpuid_row row = {.leaf = 7, .flags = ARCH_CPUID_ROW_ANY_SUBLEAF};
		struct arch_cpuid_override arg = {
			.size = sizeof(arg), .nr_rows = 1, .rows = (uintptr_t)&row};

		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (!syscall(SYS_arch_prctl, ARCH_SET_CPUID_OVERRIDE, &arg))
			*result = cpuid_plain();
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	ns = *result;
	munmap(result, PAGE);
	return ns;
}

static const struct op {
	const char *name;
	double (*run)(void);
} ops[] = {
	{"fork-wait", fork_wait},
	{"fork-wait-16MiB", fork_16mib},
	{"thread-join", thread_join},
	{"exec-true", exec_true},
	{"page-fault", page_fault},
	{"cow-fault", cow_fault},
	{"context-switch", context_switch},
	{"cpuid", cpuid_plain},
	{"cpuid-with-table", cpuid_with_table},
};

#define OPS (sizeof(ops) / sizeof(ops[0]))

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	static double times[OPS][MAX_ROUNDS];
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 0) : 11;
	cpu_set_t cpus;

	if (!rounds || rounds > MAX_ROUNDS || argc > 2) {
		int help = argc > 1 && !strcmp(argv[1], "--help");

		fprintf(help ? stdout : stderr,
			"usage: basics [ROUNDS]\n"
			"Does all that is listed in its source ROUNDS (11) times, on one CPU.\n"
			"Prints nanoseconds for one, the median; '-' where the kernel or the CPU lacks it.\n");
		return help ? 0 : 2;
	}
	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);

	for (unsigned int r = 0; r < rounds; r++)
		for (size_t i = 0; i < OPS; i++)
			times[i][r] = ops[i].run();
	for (size_t i = 0; i < OPS; i++) {
		qsort(times[i], rounds, sizeof(double), compare);
		if (times[i][rounds / 2] < 0)
			printf("%s -\n", ops[i].name);
		else
			printf("%s %.1f\n", ops[i].name, times[i][rounds / 2]);
	}
	return 0;
}
