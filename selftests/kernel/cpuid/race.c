// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tables are replaced, inherited and dropped while others ask, fork, execute, exit and are traced.
 * What must not happen: an answer of a table that the task never had, a splat.
 */
#define _GNU_SOURCE
#include "cpuid_test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/ptrace.h>

#include "../kselftest_harness.h"

#ifndef PTRACE_ARCH_PRCTL
#define PTRACE_ARCH_PRCTL 30
#endif

#define SECONDS 4
#define THREADS 4

FIXTURE(race)
{
	char path[4096];
};

FIXTURE_SETUP(race)
{
	const char *why = unsupported();

	if (why)
		SKIP(return, "%s", why);
	if (!may_replace())
		SKIP(return, NEEDS_CAPABILITY);
	ASSERT_NE(NULL, beside("report", self->path, sizeof(self->path)));
}

FIXTURE_TEARDOWN(race)
{
}

struct worker {
	pthread_t thread;
	uint32_t base;
	time_t end;
	unsigned long rounds;
	bool wrong;
};

static void *replace_and_ask(void *data)
{
	struct worker *w = data;

	for (uint32_t i = 1; time(NULL) < w->end && !w->wrong; i++, w->rounds++) {
		uint32_t want = w->base + i % 1000;

		w->wrong |= set_magic(want) != 0;
		w->wrong |= magic() != want;
		if (i % 8 == 0) {
			pid_t pid = fork();
			int status = -1;

			if (!pid)
				_exit(magic() != want || set_magic(5) || magic() != 5);
			w->wrong |= pid < 0 || waitpid(pid, &status, 0) != pid || status != 0;
		}
		if (i % 16 == 0)
			w->wrong |= set_table(NULL, 0) != 0;
	}
	return NULL;
}

TEST_F_TIMEOUT(race, replace_in_all_threads, 120)
{
	struct worker w[THREADS] = {};

	for (int i = 0; i < THREADS; i++) {
		w[i] = (struct worker){.base = i << 16, .end = time(NULL) + SECONDS};
		ASSERT_EQ(0, pthread_create(&w[i].thread, NULL, replace_and_ask, &w[i]));
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(w[i].thread, NULL);
		EXPECT_FALSE(w[i].wrong);
		EXPECT_LT(0, w[i].rounds);
	}
}

static void *inherit_and_exit(void *data)
{
	(void)data;
	return (void *)(uintptr_t)(magic() != 0x66);
}

/* The last thread that has a table may be any. */
static void *make_threads(void *data)
{
	struct worker *w = data;

	if (set_magic(0x66)) {
		w->wrong = true;
		return NULL;
	}
	for (; time(NULL) < w->end; w->rounds++) {
		pthread_t thread;
		void *wrong;

		if (pthread_create(&thread, NULL, inherit_and_exit, NULL))
			continue;
		pthread_join(thread, &wrong);
		w->wrong |= wrong != NULL;
	}
	return NULL;
}

TEST_F_TIMEOUT(race, threads_come_and_go, 120)
{
	struct worker w[THREADS] = {};

	for (int i = 0; i < THREADS; i++) {
		w[i].end = time(NULL) + SECONDS;
		ASSERT_EQ(0, pthread_create(&w[i].thread, NULL, make_threads, &w[i]));
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(w[i].thread, NULL);
		EXPECT_FALSE(w[i].wrong);
	}
}

static void *spin(void *data)
{
	(void)data;
	for (;;)
		magic();
	return NULL;
}

/* execve() and exit kill threads in the middle of a fault. */
TEST_F_TIMEOUT(race, execve_and_exit_with_threads_that_ask, 120)
{
	time_t end = time(NULL) + SECONDS;
	unsigned int rounds = 0;

	for (; time(NULL) < end; rounds++) {
		int status = -1;
		pid_t pid = fork();

		if (!pid) {
			pthread_t thread;

			if (set_magic(0x31))
				_exit(90);
			for (int i = 0; i < THREADS; i++)
				pthread_create(&thread, NULL, spin, NULL);
			usleep(rand() % 2000);
			if (rounds & 1)
				_exit(0);
			execl(self->path, "report", "0x31", NULL);
			_exit(91);
		}
		ASSERT_LE(0, pid);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_EQ(0, status);
	}
	EXPECT_LT(1, rounds);
}

/* A tracer reads while the tracee is killed, or has just been resumed. */
TEST_F_TIMEOUT(race, tracer_reads_a_tracee_that_is_killed, 120)
{
	time_t end = time(NULL) + SECONDS;

	while (time(NULL) < end) {
		pid_t pid = fork(), killer;
		int status;

		if (!pid) {
			ptrace(PTRACE_TRACEME, 0, 0, 0);
			for (uint32_t i = 0;; i++) {
				set_magic(i);
				raise(SIGSTOP);
			}
		}
		/* No signal goes to -1, which is everybody. */
		ASSERT_LE(0, pid);
		killer = fork();
		if (!killer) {
			usleep(rand() % 4000);
			kill(pid, SIGKILL);
			_exit(0);
		}
		if (killer < 0)
			kill(pid, SIGKILL);
		ASSERT_LE(0, killer);
		while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
			struct arch_cpuid_row row = {};
			struct arch_cpuid_override arg = {
				.size = sizeof(arg), .nr_rows = 1, .rows = (uintptr_t)&row};
			long ret = syscall(SYS_ptrace, PTRACE_ARCH_PRCTL, pid, &arg,
					   ARCH_GET_CPUID_OVERRIDE);

			ASSERT_TRUE(!ret || errno == ESRCH);
			ASSERT_TRUE(ret || row.ebx == ~row.eax);
			ptrace(PTRACE_CONT, pid, 0, 0);
		}
		waitpid(killer, NULL, 0);
	}
}

TEST_HARNESS_MAIN
