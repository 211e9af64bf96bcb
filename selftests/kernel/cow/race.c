// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scans and comparisons of processes that fork, write, unmap, execute and exit at the same time,
 * while memory is compacted and swapped. What must not happen: an answer that can't be, a scan that
 * doesn't end, a splat.
 */
#define _GNU_SOURCE
#include "cow.h"

#include <pthread.h>
#include <stdatomic.h>

#include "../kselftest_harness.h"

#define N	256
#define SECONDS 4

FIXTURE(race)
{
	atomic_bool *stop;
	char *p;
	bool swap;
};

FIXTURE_SETUP(race)
{
	if (!have_cow_ids())
		SKIP(return, SKIP_NO_IDS);
	if (!have_kcmp_cow())
		SKIP(return, SKIP_NO_KCMP);
	self->stop = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->stop);
	self->p = map_anon(N * PAGE);
	write_pages(self->p, N * PAGE);
	self->swap = !swap_start();
}

FIXTURE_TEARDOWN(race)
{
	if (self->swap)
		swap_stop();
}

struct scanner {
	pthread_t thread;
	atomic_bool *stop;
	pid_t pid;
	char *p;
	unsigned long scans, compares;
	const char *wrong;
};

static const char *check_scan(struct scan *scan, struct pm_scan_arg_v1 *arg, long ret)
{
	uint64_t last = arg->start;

	if (ret == -ESRCH)
		return NULL;
	if (ret < 0)
		return "a scan failed";
	if (arg->walk_end < arg->start || arg->walk_end > arg->end)
		return "walk_end is outside of the range";
	for (long i = 0; i < ret; i++) {
		if (scan->regions[i].start < last || scan->regions[i].end <= scan->regions[i].start)
			return "regions are out of order";
		last = scan->regions[i].end;
		if (!(scan->regions[i].categories & PAGE_IS_COW))
			return "a region is not COW";
	}
	return last > arg->walk_end ? "a region lies behind walk_end" : NULL;
}

static void *scanner_main(void *data)
{
	struct scanner *s = data;
	struct scan *scan = calloc(1, sizeof(*scan));
	unsigned int seed = (uintptr_t)s;

	while (!atomic_load(s->stop) && !s->wrong) {
		struct pm_scan_arg_v1 arg = scan_arg(s->p, N * PAGE, scan, PAGE_IS_COW);
		int pagemap = open_pagemap(s->pid ? s->pid : getpid());
		long ret;

		if (pagemap >= 0) {
			arg.vec_len = 1 + rand_r(&seed) % N;
			if (!geteuid()) {
				arg.cow_ids = (uintptr_t)scan->raw_ids;
				arg.cow_ids_len = 1 + rand_r(&seed) % N;
			}
			ret = run_scan(pagemap, &arg, scan);
			s->wrong = check_scan(scan, &arg, ret);
			s->scans++;
			close(pagemap);
		}
		ret = syscall(SYS_kcmp, getpid(), s->pid ? s->pid : getpid(), KCMP_TYPE_COW,
			      s->p + rand_r(&seed) % N * PAGE, s->p + rand_r(&seed) % N * PAGE);
		if (ret < 0 && errno != ENOENT && errno != EFAULT && errno != ESRCH &&
		    errno != EPERM && errno != EAGAIN)
			s->wrong = "kcmp failed in a way that it must not";
		s->compares++;
	}
	free(scan);
	return NULL;
}

static void scanner_start(struct scanner *s, atomic_bool *stop, char *p, pid_t pid)
{
	*s = (struct scanner){.stop = stop, .p = p, .pid = pid};
	pthread_create(&s->thread, NULL, scanner_main, s);
}

static void move_memory(void *p, size_t size)
{
	write_file("/proc/sys/vm/compact_memory", "1");
	madvise(p, size, MADV_PAGEOUT);
}

TEST_F_TIMEOUT(race, fork_write_exit, 120)
{
	time_t end = time(NULL) + SECONDS;
	struct scanner s[2];
	unsigned long forks = 0;

	for (int i = 0; i < 2; i++)
		scanner_start(&s[i], self->stop, self->p, 0);
	while (time(NULL) < end) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid) {
			write_pages(self->p, N / 2 * PAGE);
			_exit(0);
		}
		write_pages(self->p + N / 2 * PAGE, N / 2 * PAGE);
		waitpid(pid, NULL, 0);
		if (forks++ % 16 == 0)
			move_memory(self->p, N * PAGE);
	}
	atomic_store(self->stop, true);
	for (int i = 0; i < 2; i++) {
		pthread_join(s[i].thread, NULL);
		EXPECT_EQ(NULL, s[i].wrong) TH_LOG("%s", s[i].wrong);
		EXPECT_LT(0, s[i].scans);
	}
	TH_LOG("%lu forks, %lu scans", forks, s[0].scans + s[1].scans);
}

TEST_F_TIMEOUT(race, unmap_and_map_again, 120)
{
	time_t end = time(NULL) + SECONDS;
	struct sharer child = {};
	struct scanner s[2];

	ASSERT_EQ(0, sharer_start(&child));
	for (int i = 0; i < 2; i++)
		scanner_start(&s[i], self->stop, self->p, 0);
	for (unsigned int round = 0; time(NULL) < end; round++) {
		madvise(self->p, N * PAGE, round & 1 ? MADV_DONTNEED : MADV_PAGEOUT);
		mprotect(self->p, N / 2 * PAGE, PROT_READ);
		mprotect(self->p, N / 2 * PAGE, PROT_READ | PROT_WRITE);
		if (round % 4 == 0)
			mmap(self->p, N * PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		write_pages(self->p, N * PAGE);
	}
	atomic_store(self->stop, true);
	for (int i = 0; i < 2; i++) {
		pthread_join(s[i].thread, NULL);
		EXPECT_EQ(NULL, s[i].wrong) TH_LOG("%s", s[i].wrong);
	}
	sharer_stop(&child);
}

TEST_F_TIMEOUT(race, huge_pages_split_and_collapse, 120)
{
	time_t end = time(NULL) + SECONDS;
	char *p = map_aligned(HUGE_SIZE);
	struct scanner s;

	madvise(p, HUGE_SIZE, MADV_HUGEPAGE);
	write_pages(p, HUGE_SIZE);
	scanner_start(&s, self->stop, p + 100 * PAGE, 0);
	while (time(NULL) < end) {
		pid_t pid = fork();

		if (!pid) {
			write_pages(p + 120 * PAGE, 3 * PAGE);
			_exit(0);
		}
		write_pages(p + 130 * PAGE, 3 * PAGE);
		waitpid(pid, NULL, 0);
		madvise(p, HUGE_SIZE, MADV_COLLAPSE);
	}
	atomic_store(self->stop, true);
	pthread_join(s.thread, NULL);
	EXPECT_EQ(NULL, s.wrong) TH_LOG("%s", s.wrong);
	munmap(p, HUGE_SIZE);
}

/* The target executes and dies; the same pid shows another address space or none. */
TEST_F_TIMEOUT(race, exec_and_exit, 120)
{
	time_t end = time(NULL) + SECONDS;

	while (time(NULL) < end) {
		struct scanner s;
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid) {
			usleep(rand() % 3000);
			execl("/bin/true", "true", NULL);
			_exit(1);
		}
		atomic_store(self->stop, false);
		scanner_start(&s, self->stop, self->p, pid);
		waitpid(pid, NULL, 0);
		usleep(rand() % 1000);
		atomic_store(self->stop, true);
		pthread_join(s.thread, NULL);
		ASSERT_EQ(NULL, s.wrong) TH_LOG("%s", s.wrong);
	}
}

/* Pages that are shared all the time must compare as equal, wherever compaction takes them. */
TEST_F_TIMEOUT(race, comparison_is_right_while_pages_move, 120)
{
	time_t end = time(NULL) + SECONDS;
	unsigned long compares = 0, busy = 0;
	struct sharer child = {};
	pid_t mover;

	ASSERT_EQ(0, sharer_start(&child));
	mover = fork();
	if (!mover) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			move_memory(self->p, N * PAGE);
	}
	while (time(NULL) < end) {
		for (int i = 0; i < N; i++, compares++) {
			long ret = syscall(SYS_kcmp, getpid(), child.pid, KCMP_TYPE_COW,
					   self->p + i * PAGE, self->p + i * PAGE);

			busy += ret < 0 && errno == EAGAIN;
			ASSERT_TRUE(ret == 0 || (ret < 0 && errno == EAGAIN))
			TH_LOG("page %d: %ld", i, ret);
		}
	}
	kill(mover, SIGKILL);
	waitpid(mover, NULL, 0);
	sharer_stop(&child);
	EXPECT_LT(busy, compares);
	TH_LOG("%lu comparisons, %lu times EAGAIN", compares, busy);
}

TEST_HARNESS_MAIN
