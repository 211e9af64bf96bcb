// SPDX-License-Identifier: GPL-2.0-only
/* Who has the table: children, threads and what they execute; and who has not. */
#define _GNU_SOURCE
#include "cpuid_test.h"

#include <linux/membarrier.h>
#include <linux/sched.h>
#include <pthread.h>
#include <semaphore.h>
#include <spawn.h>
#include <sys/resource.h>

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

struct orphan {
	int go[2], report[2];
};

/* A process with a table, its child, and that one's child, which is the only one to stay. */
static void __attribute__((noreturn)) leave_orphan(const struct orphan *o, uint32_t want)
{
	char byte;
	uint32_t seen;

	if (set_magic(want))
		_exit(90);
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (pid)
			_exit(pid < 0 ? 91 : 0);
	}
	if (read(o->go[0], &byte, 1) != 1)
		_exit(92);
	seen = magic();
	_exit(write(o->report[1], &seen, sizeof(seen)) != sizeof(seen));
}

TEST_F(inherit, orphans_after_all_before_them_are_reaped)
{
	uint32_t want = 0x77, seen = 0;
	struct orphan o;
	int status;
	pid_t pid;

	ASSERT_EQ(0, pipe(o.go));
	ASSERT_EQ(0, pipe(o.report));
	/* We get to wait for all of them. */
	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		leave_orphan(&o, want);
	for (int i = 0; i < 2; i++) {
		status = -1;
		ASSERT_LT(0, wait(&status));
		ASSERT_EQ(0, status);
	}
	ASSERT_EQ(1, write(o.go[1], "g", 1));
	ASSERT_LT(0, wait(&status));
	ASSERT_EQ(0, status);
	ASSERT_EQ(sizeof(seen), read(o.report[0], &seen, sizeof(seen)));
	EXPECT_EQ(want, seen);
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

/* The first CPUs that this process may run on: how many of them there are */
static int some_cpus(int *cpu, int most)
{
	cpu_set_t cpus;
	int n = 0;

	if (sched_getaffinity(0, sizeof(cpus), &cpus))
		return 0;
	for (int i = 0; i < CPU_SETSIZE && n < most; i++)
		if (CPU_ISSET(i, &cpus))
			cpu[n++] = i;
	return n;
}

#define ROUNDS 200

/* Taking turns with others on the CPU */
static int yield_and_ask(uint32_t want, const int *cpu)
{
	(void)cpu;
	for (int i = 0; i < ROUNDS; i++) {
		if (magic() != want)
			return 1;
		sched_yield();
	}
	return 0;
}

static int move_and_ask(uint32_t want, const int *cpu)
{
	for (int i = 0; i < ROUNDS; i++) {
		if (run_on(cpu[i % 2]))
			return 2;
		if (magic() != want)
			return 1;
	}
	return 0;
}

/*
 * Runs @fn in three processes, two with a table of their own and one with the machine's answers.
 * None begins before all have what they are to have.
 */
static void three_processes(struct __test_metadata *_metadata, const int *cpu,
			    int (*fn)(uint32_t want, const int *cpu))
{
	uint32_t want[3] = {0x111, 0x222, magic()};
	int ready[2], go[2];
	pid_t pids[3];
	char byte;

	ASSERT_EQ(0, pipe(ready));
	ASSERT_EQ(0, pipe(go));
	for (int i = 0; i < 3; i++) {
		pids[i] = fork();
		ASSERT_LE(0, pids[i]);
		if (pids[i])
			continue;
		close(go[1]);
		if (i < 2 && set_magic(want[i]))
			_exit(90);
		if (write(ready[1], "r", 1) != 1 || read(go[0], &byte, 1))
			_exit(91);
		_exit(fn(want[i], cpu));
	}
	close(ready[1]);
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(1, read(ready[0], &byte, 1));
	close(go[1]);
	for (int i = 0; i < 3; i++) {
		int status = -1;

		EXPECT_EQ(pids[i], waitpid(pids[i], &status, 0));
		EXPECT_EQ(0, status) TH_LOG("process %d", i);
	}
	EXPECT_EQ(want[2], magic());
}

TEST_F_TIMEOUT(inherit, context_switches, 120)
{
	int cpu;

	ASSERT_EQ(1, some_cpus(&cpu, 1));
	ASSERT_EQ(0, run_on(cpu));
	three_processes(_metadata, NULL, yield_and_ask);
}

TEST_F_TIMEOUT(inherit, migration_between_cpus, 120)
{
	int cpu[2];

	if (some_cpus(cpu, 2) < 2)
		SKIP(return, "there is one CPU only");
	three_processes(_metadata, cpu, move_and_ask);
}

/* What failed got its copy of the table, and gave it back once and not twice. */
TEST_F(inherit, fork_that_fails_late)
{
	pid_t taken[] = {getpid()};
	struct clone_args args = {
		.set_tid = (uintptr_t)taken, .set_tid_size = 1, .exit_signal = SIGCHLD};
	uint32_t want = 0x5150;

	if (!may_replace())
		SKIP(return, NEEDS_CAPABILITY);
	ASSERT_EQ(0, set_magic(want));
	for (int i = 0; i < 50; i++) {
		ASSERT_EQ(-1, syscall(SYS_clone3, &args, sizeof(args)));
		ASSERT_EQ(EEXIST, errno);
	}
	EXPECT_EQ(want, magic());
	EXPECT_EQ(0, in_child(child_sees, &want));
	ASSERT_EQ(0, set_table(NULL, 0));
	EXPECT_EQ(0, get_table(NULL, 0));
}

#define EARLY_FORKS 50

/* The limit of processes is looked at when the new task is no more than a copy of this one. */
static int fork_over_the_limit(void *data)
{
	uint32_t want = *(uint32_t *)data;
	struct rlimit none = {};

	if (set_magic(want))
		return 90;
	if (setresuid(NOBODY, NOBODY, NOBODY) || setrlimit(RLIMIT_NPROC, &none))
		return 91;
	for (int i = 0; i < EARLY_FORKS; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		if (pid > 0 || errno != EAGAIN)
			return 92;
		/* The copy is freed after a grace period. */
		if (i % 10 == 9)
			syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	}
	return !regs_equal((struct regs){want, ~want, 1, 2}, cpuid(MAGIC_LEAF, 77));
}

/* What failed had no copy yet, and gave none back. */
TEST_F(inherit, fork_that_fails_early)
{
	uint32_t want = 0x5151;

	if (geteuid())
		SKIP(return, "needs root, to become a user with a limit of processes");
	EXPECT_EQ(0, in_child(fork_over_the_limit, &want));
}

TEST_HARNESS_MAIN
