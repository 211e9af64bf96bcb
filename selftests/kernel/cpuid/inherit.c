// SPDX-License-Identifier: GPL-2.0-only
/* Who has the table: children, threads and what they execute; and who has not. */
#define _GNU_SOURCE
#include "cpuid_test.h"

#include <pthread.h>
#include <semaphore.h>
#include <spawn.h>

#include "../kselftest_harness.h"

FIXTURE(inherit)
{
	char path[4096];
};

FIXTURE_SETUP(inherit)
{
	const char *why = unsupported();

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	ASSERT_NE(NULL, beside("report", self->path, sizeof(self->path)));
	if (access(self->path, X_OK))
		SKIP(return, "the program 'report' isn't beside this one");
}

FIXTURE_TEARDOWN(inherit)
{
}

static int child_sees(void *data)
{
	return magic() != *(uint32_t *)data;
}

TEST_F(inherit, fork_and_vfork)
{
	uint32_t want = 0x1234;
	pid_t pid;
	int status;

	ASSERT_EQ(0, set_magic(want));
	EXPECT_EQ(0, in_child(child_sees, &want));
	pid = vfork();
	if (!pid)
		_exit(magic() != want);
	ASSERT_LT(0, pid);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

static int grandchild_sees(void *data)
{
	return in_child(child_sees, data);
}

TEST_F(inherit, grandchildren_after_the_parent_is_gone)
{
	uint32_t want = 0x77;

	ASSERT_EQ(0, set_magic(want));
	EXPECT_EQ(0, in_child(grandchild_sees, &want));
}

static int execute(void *data)
{
	execl(data, "report", "0x4321", NULL);
	return 99;
}

TEST_F(inherit, execve)
{
	ASSERT_EQ(0, set_magic(0x4321));
	EXPECT_EQ(0, in_child(execute, self->path));
	EXPECT_EQ(0x4321, magic());
}

static int execute_after_disabling(void *data)
{
	/* ARCH_SET_CPUID ends at execve, as ever; the table goes on. */
	if (arch_prctl(ARCH_SET_CPUID, 0))
		return 98;
	execl(data, "report", "0x4321", NULL);
	return 99;
}

TEST_F(inherit, execve_ends_sigsegv_but_not_the_table)
{
	ASSERT_EQ(0, set_magic(0x4321));
	EXPECT_EQ(0, in_child(execute_after_disabling, self->path));
}

static int execute_without_table(void *data)
{
	if (arch_prctl(ARCH_SET_CPUID, 0))
		return 98;
	execl(data, "report", "0x4321", NULL);
	return 99;
}

TEST_F(inherit, without_a_table_execve_sees_the_machine)
{
	/* No SIGSEGV, but another answer */
	EXPECT_EQ(1, in_child(execute_without_table, self->path));
}

struct thread_call {
	sem_t go, done;
	uint32_t seen, again;
	char *path;
};

static void *early_thread(void *data)
{
	struct thread_call *call = data;

	sem_wait(&call->go);
	call->seen = magic();
	return NULL;
}

static void *late_thread(void *data)
{
	((struct thread_call *)data)->seen = magic();
	return NULL;
}

TEST_F(inherit, new_threads_but_not_existing_ones)
{
	struct thread_call early = {}, late = {};
	uint32_t real = magic();
	pthread_t thread, other;

	sem_init(&early.go, 0, 0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, early_thread, &early));
	ASSERT_EQ(0, set_magic(0xabc));
	ASSERT_EQ(0, pthread_create(&other, NULL, late_thread, &late));
	pthread_join(other, NULL);
	EXPECT_EQ(0xabc, late.seen);
	sem_post(&early.go);
	pthread_join(thread, NULL);
	EXPECT_EQ(real, early.seen);
	EXPECT_EQ(0xabc, magic());
}

static void *setting_thread(void *data)
{
	struct thread_call *call = data;

	if (!set_magic(0xdef))
		call->seen = magic();
	sem_post(&call->done);
	sem_wait(&call->go);
	call->again = magic();
	return NULL;
}

TEST_F(inherit, a_threads_table_is_its_own)
{
	struct thread_call call = {};
	uint32_t real = magic();
	pthread_t thread;

	sem_init(&call.go, 0, 0);
	sem_init(&call.done, 0, 0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, setting_thread, &call));
	sem_wait(&call.done);
	EXPECT_EQ(0xdef, call.seen);
	EXPECT_EQ(real, magic());
	sem_post(&call.go);
	pthread_join(thread, NULL);
	EXPECT_EQ(0xdef, call.again);
}

static void *executing_thread(void *data)
{
	struct thread_call *call = data;

	if (!set_magic(0x99))
		execl(call->path, "report", "0x99", NULL);
	_exit(97);
}

static int execute_in_thread(void *data)
{
	struct thread_call call = {.path = data};
	pthread_t thread;

	if (pthread_create(&thread, NULL, executing_thread, &call))
		return 96;
	for (;;)
		pause();
}

/* The thread that executes becomes the process: it is its table that counts. */
TEST_F(inherit, execve_by_a_thread_other_than_the_leader)
{
	EXPECT_EQ(0, in_child(execute_in_thread, self->path));
}

static int replace_in_child(void *data)
{
	(void)data;
	return set_magic(2) || magic() != 2;
}

TEST_F(inherit, a_childs_new_table_is_not_the_parents)
{
	if (!may_replace())
		SKIP(return, NEEDS_CAPABILITY);
	ASSERT_EQ(0, set_magic(1));
	EXPECT_EQ(0, in_child(replace_in_child, NULL));
	EXPECT_EQ(1, magic());
}

static int switch_between(void *data)
{
	uint32_t want = *(uint32_t *)data;

	for (int i = 0; i < 200; i++) {
		if (magic() != want)
			return 1;
		sched_yield();
	}
	return 0;
}

/* With the machine's answers and two tables taking turns on one CPU */
TEST_F(inherit, context_switches)
{
	uint32_t real = magic(), want[3] = {0x111, 0x222, real};
	cpu_set_t cpus;
	pid_t pids[3];

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	for (int i = 0; i < 3; i++) {
		pids[i] = fork();
		if (!pids[i])
			_exit((i < 2 && set_magic(want[i])) || switch_between(&want[i]));
	}
	for (int i = 0; i < 3; i++) {
		int status = -1;

		waitpid(pids[i], &status, 0);
		EXPECT_EQ(0, status) TH_LOG("process %d", i);
	}
	EXPECT_EQ(real, magic());
}

TEST_HARNESS_MAIN
