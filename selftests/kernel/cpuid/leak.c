// SPDX-License-Identifier: GPL-2.0-only
/*
 * A table is freed with the last task that has it: the kernel's memory does not grow, however many
 * were set.
 */
#define _GNU_SOURCE
#include "cpuid_test.h"

#include <linux/sched.h>
#include <time.h>

#include "../kselftest_harness.h"

/* So many rows and what the kernel has before them fill an object of its slab allocator. */
#define ROWS   255
#define OBJECT 8192

/* 32 MiB would be lost. Emulators may not get so far; with less than ENOUGH nothing is said. */
#define ROUNDS	4000
#define ENOUGH	1000
#define SECONDS 15

FIXTURE(leak)
{
	struct arch_cpuid_row rows[ROWS];
};

/* A number out of one of the kernel's files, or -1 */
static long long read_number(const char *path, const char *format)
{
	FILE *f = fopen(path, "re");
	long long value = -1;
	char line[256];

	while (f && value < 0 && fgets(line, sizeof(line), f))
		if (sscanf(line, format, &value) != 1)
			value = -1;
	if (f)
		fclose(f);
	return value;
}

/*
 * Objects are larger than what is asked for where use after free is looked for. KASAN does so, and
 * keeps freed objects for long, as many as there are here.
 */
static bool slabs_are_plain(void)
{
	return read_number("/sys/kernel/slab/kmalloc-8k/object_size", "%lld") == OBJECT &&
	       read_number("/sys/kernel/slab/kmalloc-8k/slab_size", "%lld") == OBJECT;
}

/* In bytes. Each CPU counts for itself, and reading the one file adds that up for the other. */
static long long slab_memory(void)
{
	int fd = open("/proc/sys/vm/stat_refresh", O_RDONLY | O_CLOEXEC);
	long long kib;
	char byte;

	if (fd >= 0) {
		if (read(fd, &byte, 1))
			fprintf(stderr, "# stat_refresh has something to read\n");
		close(fd);
	}
	kib = read_number("/proc/meminfo", "SUnreclaim: %lld kB");
	return kib < 0 ? -1 : kib * 1024;
}

FIXTURE_SETUP(leak)
{
	const char *why = unsupported();

	if (why)
		SKIP(return, "%s", why);
	if (!may_replace())
		SKIP(return, NEEDS_CAPABILITY);
	if (slab_memory() < 0)
		SKIP(return, "/proc/meminfo has no SUnreclaim");
	if (!slabs_are_plain())
		SKIP(return, "the kernel debugs its slabs, and may keep what was freed");
	for (uint32_t i = 0; i < ROWS; i++)
		self->rows[i] = ROW(MAGIC_LEAF, i, i, i, i, i);
}

FIXTURE_TEARDOWN(leak)
{
}

static long long milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Much is freed after a grace period. Waits until no more than @limit is in use, and returns what
 * is. */
static long long wait_for_memory(long long limit)
{
	long long end = milliseconds() + 5000, now;

	while ((now = slab_memory()) > limit && milliseconds() < end)
		usleep(50000);
	return now;
}

/* What those before us left is not to hide what we leave. */
static long long wait_for_quiet(void)
{
	long long end = milliseconds() + 2000, before, now = slab_memory();

	do {
		before = now;
		usleep(100000);
		now = slab_memory();
	} while (now < before && milliseconds() < end);
	return now;
}

typedef int (*round_fn)(struct arch_cpuid_row *rows);

/* How many rounds there were, or a negative errno */
static int run_rounds(round_fn fn, struct arch_cpuid_row *rows)
{
	long long end = milliseconds() + SECONDS * 1000;
	int i;

	for (i = 0; i < ROUNDS && milliseconds() < end; i++) {
		int ret = fn(rows);

		if (ret)
			return ret;
	}
	return i;
}

/* Each round would lose an object. Others use memory as well, but not twice as much at the same
 * time. */
static void nothing_is_lost(struct __test_metadata *_metadata, struct arch_cpuid_row *rows,
			    round_fn fn)
{
	long long limit = 0, after = 0;

	for (int attempt = 0; attempt < 2; attempt++) {
		int rounds;

		limit = wait_for_quiet();
		rounds = run_rounds(fn, rows);
		ASSERT_LE(0, rounds);
		if (rounds < ENOUGH)
			SKIP(return, "%d rounds in %d s: a loss would not stand out", rounds,
				   SECONDS);
		limit += (long long)rounds * OBJECT / 2;
		after = wait_for_memory(limit);
		if (after <= limit)
			return;
		TH_LOG("after %d rounds %lld KiB are in use, %lld KiB more than could be", rounds,
		       after / 1024, (after - limit) / 1024);
	}
	EXPECT_LE(after, limit);
}

static int replace(struct arch_cpuid_row *rows)
{
	return set_table(rows, ROWS);
}

TEST_F_TIMEOUT(leak, replaced_table, 120)
{
	nothing_is_lost(_metadata, self->rows, replace);
	EXPECT_EQ(ROWS, get_table(NULL, 0));
}

static int be_refused(struct arch_cpuid_row *rows)
{
	rows[ROWS - 1].reserved = 1;
	return set_table(rows, ROWS) == -EINVAL ? 0 : -EPROTO;
}

TEST_F_TIMEOUT(leak, refused_table, 120)
{
	nothing_is_lost(_metadata, self->rows, be_refused);
}

/* With vfork(), which is much faster where there's an emulator */
static int exit_with_a_table(struct arch_cpuid_row *rows)
{
	int status;
	pid_t pid = vfork();

	if (!pid)
		_exit(set_table(rows, ROWS) != 0);
	if (pid < 0)
		return -errno;
	if (waitpid(pid, &status, 0) != pid || status)
		return -EPROTO;
	return 0;
}

TEST_F_TIMEOUT(leak, table_of_a_task_that_exits, 120)
{
	nothing_is_lost(_metadata, self->rows, exit_with_a_table);
}

/* The new task has the table already when its number is found to be taken. */
static int fail_to_fork(struct arch_cpuid_row *rows)
{
	pid_t taken[] = {getpid()};
	struct clone_args args = {
		.set_tid = (uintptr_t)taken, .set_tid_size = 1, .exit_signal = SIGCHLD};
	int ret = set_table(rows, ROWS);

	if (ret)
		return ret;
	if (syscall(SYS_clone3, &args, sizeof(args)) >= 0 || errno != EEXIST)
		return -EPROTO;
	return set_table(NULL, 0);
}

TEST_F_TIMEOUT(leak, table_of_a_fork_that_fails, 120)
{
	nothing_is_lost(_metadata, self->rows, fail_to_fork);
}

TEST_HARNESS_MAIN
