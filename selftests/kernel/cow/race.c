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
#include <sys/mount.h>

#include "../kselftest_harness.h"

#define N	256
#define SECONDS 4  /* that each test takes at least */
#define LIMIT	60 /* if what it waits for has not happened */

/* Memory control group, to have shared pages written to swap: madvise() leaves them alone. */
struct group {
	char top[32], procs[64], reclaim[64], old_procs[512];
	bool mounted, made, enabled;
};

FIXTURE(race)
{
	atomic_bool *stop;
	char *p;
	struct sharer child;
	struct changes changes;
	struct group group;
	const char *no_swap;
	pid_t mover;
};

static const char *group_start(struct group *g)
{
	char path[64], text[256] = "";
	FILE *file;

	strcpy(g->top, "/tmp/cow-group.XXXXXX");
	if (!mkdtemp(g->top))
		return "can't make a directory in /tmp";
	if (mount("none", g->top, "cgroup2", 0, NULL)) {
		rmdir(g->top);
		return "can't mount cgroup2 (root, CONFIG_CGROUPS)";
	}
	g->mounted = true;

	/* Where to go back to in the end */
	file = fopen("/proc/self/cgroup", "re");
	while (file && fgets(text, sizeof(text), file) && strncmp(text, "0::/", 4))
		;
	if (file)
		fclose(file);
	text[strcspn(text, "\n")] = 0;
	if (strncmp(text, "0::/", 4))
		return "the process has no place in cgroup2";
	snprintf(g->old_procs, sizeof(g->old_procs), "%s%s/cgroup.procs", g->top, text + 3);

	snprintf(path, sizeof(path), "%s/cow/memory.reclaim", g->top);
	strcpy(g->reclaim, path);
	snprintf(g->procs, sizeof(g->procs), "%s/cow/cgroup.procs", g->top);
	snprintf(path, sizeof(path), "%s/cow", g->top);
	g->made = mkdir(path, 0700) == 0;
	if (g->made && access(g->reclaim, W_OK)) {
		snprintf(path, sizeof(path), "%s/cgroup.subtree_control", g->top);
		g->enabled = write_file(path, "+memory") == 0;
	}
	if (!g->made || access(g->reclaim, W_OK))
		return "no memory.reclaim in cgroup2 (CONFIG_MEMCG)";
	return write_file(g->procs, "0") ? "can't enter the control group" : NULL;
}

static void group_stop(struct group *g)
{
	char path[64];

	if (!g->mounted)
		return;
	write_file(g->old_procs, "0");
	snprintf(path, sizeof(path), "%s/cow", g->top);
	if (g->made)
		rmdir(path);
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", g->top);
	if (g->enabled)
		write_file(path, "-memory");
	umount(g->top);
	rmdir(g->top);
	g->mounted = false;
}

FIXTURE_SETUP(race)
{
	const char *why = no_cow_ids();

	if (!why)
		why = no_kcmp_cow();
	if (why)
		SKIP(return, "%s", why);
	self->stop = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->stop);
	self->p = map_anon(N * PAGE);
	write_pages(self->p, N * PAGE);
	self->no_swap = swap_start(&self->changes);
}

FIXTURE_TEARDOWN(race)
{
	if (self->mover > 0) {
		kill(self->mover, SIGKILL);
		waitpid(self->mover, NULL, 0);
	}
	sharer_stop(&self->child);
	group_stop(&self->group);
	undo_changes(&self->changes);
}

/* Some seconds at least, and more if the machine is so slow that nothing has happened yet */
static bool go_on(time_t start, bool happened)
{
	time_t now = time(NULL);

	return now < start + SECONDS || (!happened && now < start + LIMIT);
}

struct scanner {
	pthread_t thread;
	atomic_bool *stop;
	pid_t pid;
	char *p;
	bool ids;
	unsigned long scans, compares;
	atomic_ulong regions; /* that were found */
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
	pid_t pids[2] = {getpid(), s->pid ? s->pid : getpid()};

	while (!atomic_load(s->stop) && !s->wrong) {
		struct pm_scan_arg_v1 arg = scan_arg(s->p, N * PAGE, scan, PAGE_IS_COW);
		int pagemap = open_pagemap(pids[1]);
		long ret;

		if (pagemap >= 0) {
			arg.vec_len = 1 + rand_r(&seed) % N;
			if (s->ids) {
				arg.cow_ids = (uintptr_t)scan->raw_ids;
				arg.cow_ids_len = 1 + rand_r(&seed) % N;
			}
			ret = run_scan(pagemap, &arg, scan);
			s->wrong = check_scan(scan, &arg, ret);
			s->scans++;
			if (ret > 0)
				atomic_fetch_add(&s->regions, ret);
			close(pagemap);
		}
		ret = syscall(SYS_kcmp, pids[rand_r(&seed) & 1], pids[rand_r(&seed) & 1],
			      KCMP_TYPE_COW, s->p + rand_r(&seed) % N * PAGE,
			      s->p + rand_r(&seed) % N * PAGE);
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
	*s = (struct scanner){.stop = stop, .p = p, .pid = pid, .ids = may_have_ids()};
	pthread_create(&s->thread, NULL, scanner_main, s);
}

static bool found(struct scanner *s)
{
	return atomic_load(&s->regions) > 0;
}

static void move_memory(void *p, size_t size)
{
	write_file("/proc/sys/vm/compact_memory", "1");
	madvise(p, size, MADV_PAGEOUT);
}

TEST_F_TIMEOUT(race, fork_write_exit, 120)
{
	time_t start = time(NULL);
	struct scanner s[2];
	unsigned long forks = 0;

	for (int i = 0; i < 2; i++)
		scanner_start(&s[i], self->stop, self->p, 0);
	while (go_on(start, found(&s[0]) && found(&s[1]))) {
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
		EXPECT_TRUE(found(&s[i]));
	}
	TH_LOG("%lu forks, %lu scans", forks, s[0].scans + s[1].scans);
}

TEST_F_TIMEOUT(race, unmap_and_map_again, 120)
{
	time_t start = time(NULL);
	struct scanner s[2];
	unsigned int round;

	for (int i = 0; i < 2; i++)
		scanner_start(&s[i], self->stop, self->p, 0);
	for (round = 0; go_on(start, found(&s[0]) && found(&s[1])); round++) {
		/* New memory, and somebody to share it with */
		if (round % 8 == 0) {
			sharer_stop(&self->child);
			ASSERT_EQ(self->p, mmap(self->p, N * PAGE, PROT_READ | PROT_WRITE,
						MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
			write_pages(self->p, N * PAGE);
			madvise(self->p, N * PAGE, MADV_PAGEOUT);
			ASSERT_EQ(0, sharer_start(&self->child));
		}
		/* It gets less from round to round. */
		mprotect(self->p, N / 2 * PAGE, PROT_READ);
		mprotect(self->p, N / 2 * PAGE, PROT_READ | PROT_WRITE);
		read_pages(self->p, N * PAGE);
		write_pages(self->p + round % 8 * N / 16 * PAGE, N / 16 * PAGE);
		madvise(self->p + (N - N / 16 * (round % 8 + 1)) * PAGE, N / 16 * PAGE,
			MADV_DONTNEED);
	}
	atomic_store(self->stop, true);
	for (int i = 0; i < 2; i++) {
		pthread_join(s[i].thread, NULL);
		EXPECT_EQ(NULL, s[i].wrong) TH_LOG("%s", s[i].wrong);
		EXPECT_TRUE(found(&s[i]));
	}
	TH_LOG("%u rounds, %lu scans, %lu regions", round, s[0].scans + s[1].scans,
	       atomic_load(&s[0].regions) + atomic_load(&s[1].regions));
}

TEST_F_TIMEOUT(race, huge_pages_split_and_collapse, 120)
{
	time_t start = time(NULL);
	char *p = map_aligned(HUGE_SIZE);
	struct scanner s;

	madvise(p, HUGE_SIZE, MADV_HUGEPAGE);
	write_pages(p, HUGE_SIZE);
	scanner_start(&s, self->stop, p + 100 * PAGE, 0);
	while (go_on(start, found(&s))) {
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
	EXPECT_TRUE(found(&s));
	munmap(p, HUGE_SIZE);
}

/* The target executes and dies; the same pid shows another address space or none. */
TEST_F_TIMEOUT(race, exec_and_exit, 120)
{
	unsigned long execs = 0, scans = 0;
	time_t start = time(NULL);

	while (go_on(start, execs && scans)) {
		struct scanner s;
		int status;
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid) {
			usleep(rand() % 3000);
			execl("/bin/true", "true", NULL);
			_exit(1);
		}
		atomic_store(self->stop, false);
		scanner_start(&s, self->stop, self->p, pid);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		usleep(rand() % 1000);
		atomic_store(self->stop, true);
		pthread_join(s.thread, NULL);
		ASSERT_EQ(NULL, s.wrong) TH_LOG("%s", s.wrong);
		execs += WIFEXITED(status) && !WEXITSTATUS(status);
		scans += s.scans;
	}
	EXPECT_LT(0, execs);
	EXPECT_LT(0, scans);
	TH_LOG("%lu execs, %lu scans", execs, scans);
}

static void __attribute__((noreturn)) mover_main(const struct group *g)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned int round = 0;; round++) {
		if (write_file(g->reclaim, "256K swappiness=200") == -EINVAL)
			write_file(g->reclaim, "256K"); /* before 6.9 */
		if (round % 64 == 0)
			write_file("/proc/sys/vm/compact_memory", "1");
		usleep(1000);
	}
}

/* How many pages have gone to another frame, to swap or back since the last time */
static unsigned long count_moves(int pagemap, char *p, uint64_t *frames)
{
	unsigned long moves = 0;

	for (int i = 0; i < N; i++) {
		uint64_t frame = page_frame(pagemap, p + i * PAGE);

		moves += frame != frames[i];
		frames[i] = frame;
	}
	return moves;
}

/* When nothing moves any more, identities are equal, and different from page to page. */
static bool ids_agree(int mine, int its, char *p)
{
	struct scan *scans = calloc(2, sizeof(*scans));
	bool agree = false;

	for (int tries = 0; tries < 10 && !agree; tries++) {
		agree = scan_ids(mine, p, N * PAGE, &scans[0]) > 0 &&
			scan_ids(its, p, N * PAGE, &scans[1]) > 0 &&
			count_pages(&scans[0], N, PAGE_IS_COW) == N &&
			!memcmp(scans[0].ids, scans[1].ids, N * sizeof(uint64_t));
		for (int i = 0; i < N; i++)
			for (int j = 0; j < i; j++)
				agree &= scans[0].ids[i] != scans[0].ids[j];
	}
	free(scans);
	return agree;
}

/* Pages that are shared all the time must compare as equal, be they in a frame, in swap, or on
 * their way. */
TEST_F_TIMEOUT(race, comparison_is_right_while_pages_move, 120)
{
	unsigned long compares = 0, busy = 0, moves = 0;
	struct sharer *child = &self->child;
	uint64_t frames[N];
	const char *why;
	time_t start;
	int pagemap;
	char *p;

	if (self->no_swap)
		SKIP(return, "%s", self->no_swap);
	why = group_start(&self->group);
	if (why)
		SKIP(return, "%s", why);
	p = map_anon(N * PAGE);
	write_pages(p, N * PAGE);
	pagemap = open_pagemap(getpid());
	count_moves(pagemap, p, frames);
	if (!frames[0])
		SKIP(return, SKIP_NO_FRAMES);
	ASSERT_EQ(0, sharer_start(child));
	self->mover = fork();
	ASSERT_LE(0, self->mover);
	if (!self->mover)
		mover_main(&self->group);

	start = time(NULL);
	for (unsigned int round = 0; go_on(start, moves > N); round++) {
		for (int i = 0; i < N; i++, compares++) {
			long ret = syscall(SYS_kcmp, getpid(), child->pid, KCMP_TYPE_COW,
					   p + i * PAGE, p + i * PAGE);

			busy += ret < 0 && errno == EAGAIN;
			ASSERT_TRUE(ret == 0 || (ret < 0 && errno == EAGAIN))
			TH_LOG("page %d: %ld, %s", i, ret, ret < 0 ? strerror(errno) : "differs");
		}
		moves += count_moves(pagemap, p, frames);
		if (round & 1)
			read_pages(p, N * PAGE);
		else
			ASSERT_TRUE(sharer_do(child, JOB_READ, p, N * PAGE, NULL));
	}
	kill(self->mover, SIGKILL);
	waitpid(self->mover, NULL, 0);
	self->mover = 0;
	TH_LOG("%lu comparisons, %lu times EAGAIN, %lu moves", compares, busy, moves);
	if (!moves)
		SKIP(return, "no page has moved");
	EXPECT_LT(busy, compares);
	EXPECT_TRUE(ids_agree(pagemap, child->pagemap, p));
}

TEST_HARNESS_MAIN
