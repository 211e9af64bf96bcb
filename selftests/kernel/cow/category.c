// SPDX-License-Identifier: GPL-2.0-only
/* PAGE_IS_COW: which pages are in the category, and which are not. */
#define _GNU_SOURCE
#include "cow.h"

#include "../kselftest_harness.h"

#define N   16
#define KSM "/sys/kernel/mm/ksm/"

FIXTURE(category)
{
	struct scan *scan;
	struct sharer child;
	struct changes changes;
	int pagemap;
};

FIXTURE_SETUP(category)
{
	const char *why = no_cow();

	if (why)
		SKIP(return, "%s", why);
	self->scan = mmap(NULL, sizeof(*self->scan), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->scan);
	self->pagemap = open_pagemap(getpid());
	ASSERT_LE(0, self->pagemap);
}

FIXTURE_TEARDOWN(category)
{
	sharer_stop(&self->child);
	undo_changes(&self->changes);
	close(self->pagemap);
}

#define EXPECT_COW(pagemap, addr, n, count)                                          \
	({                                                                           \
		ASSERT_LE(0, scan_pages(pagemap, addr, (n)*PAGE, self->scan));       \
		EXPECT_EQ((size_t)(count), count_pages(self->scan, n, PAGE_IS_COW)); \
	})

TEST_F(category, never_forked_is_not_cow)
{
	char *p = map_anon(N * PAGE);

	write_pages(p, N * PAGE);
	EXPECT_COW(self->pagemap, p, N, 0);
	EXPECT_EQ(N, count_pages(self->scan, N, PAGE_IS_PRESENT));
}

TEST_F(category, forked_is_cow_on_both_sides)
{
	char *p = map_anon(N * PAGE);

	write_pages(p, N * PAGE);
	ASSERT_EQ(0, sharer_start(&self->child));
	EXPECT_COW(self->pagemap, p, N, N);
	EXPECT_COW(self->child.pagemap, p, N, N);
	EXPECT_EQ(N, count_pages(self->scan, N, PAGE_IS_PRESENT));
	EXPECT_EQ(0, count_pages(self->scan, N,
				 PAGE_IS_FILE | PAGE_IS_PFNZERO | PAGE_IS_HUGE | PAGE_IS_SWAPPED));
}

TEST_F(category, a_write_takes_the_writers_page_out)
{
	char *p = map_anon(N * PAGE);

	write_pages(p, N * PAGE);
	ASSERT_EQ(0, sharer_start(&self->child));
	ASSERT_TRUE(sharer_do(&self->child, JOB_WRITE, p + 3 * PAGE, 5 * PAGE, NULL));

	EXPECT_COW(self->child.pagemap, p, N, N - 5);
	for (int i = 0; i < N; i++)
		EXPECT_EQ(i < 3 || i >= 8, !!(self->scan->categories[i] & PAGE_IS_COW));

	/* Nobody visits the parent's page tables: it may still be shared for all they know. */
	EXPECT_COW(self->pagemap, p, N, N);
	write_pages(p + 3 * PAGE, 5 * PAGE);
	EXPECT_COW(self->pagemap, p, N, N - 5);
}

TEST_F(category, stays_after_the_sharer_is_gone_until_written)
{
	char *p = map_anon(N * PAGE);

	write_pages(p, N * PAGE);
	ASSERT_EQ(0, sharer_start(&self->child));
	sharer_stop(&self->child);
	EXPECT_COW(self->pagemap, p, N, N);
	read_pages(p, N * PAGE);
	EXPECT_COW(self->pagemap, p, N, N);
	write_pages(p, N * PAGE);
	EXPECT_COW(self->pagemap, p, N, 0);
}

TEST_F(category, pages_made_after_fork_are_not_cow)
{
	char *p = map_anon(N * PAGE);

	ASSERT_EQ(0, sharer_start(&self->child));
	write_pages(p, N * PAGE);
	ASSERT_TRUE(sharer_do(&self->child, JOB_WRITE, p, N * PAGE, NULL));
	EXPECT_COW(self->pagemap, p, N, 0);
	EXPECT_COW(self->child.pagemap, p, N, 0);
}

TEST_F(category, zero_page_is_not_cow)
{
	char *p = map_anon(N * PAGE);

	read_pages(p, N * PAGE);
	ASSERT_EQ(0, sharer_start(&self->child));
	EXPECT_COW(self->pagemap, p, N, 0);
	EXPECT_EQ(N, count_pages(self->scan, N, PAGE_IS_PFNZERO));
}

TEST_F(category, shared_memory_is_not_cow)
{
	char *p = mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, (void *)p);
	write_pages(p, N * PAGE);
	ASSERT_EQ(0, sharer_start(&self->child));
	EXPECT_COW(self->pagemap, p, N, 0);
	EXPECT_EQ(N, count_pages(self->scan, N, PAGE_IS_FILE));
}

TEST_F(category, of_a_private_file_only_what_was_written_is_cow)
{
	int fd = memfd_create("file", MFD_CLOEXEC);
	char *p;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, N * PAGE));
	p = mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	read_pages(p, N * PAGE);
	write_pages(p, 4 * PAGE);
	ASSERT_EQ(0, sharer_start(&self->child));
	EXPECT_COW(self->pagemap, p, N, 4);
	for (int i = 0; i < N; i++)
		EXPECT_EQ(i < 4, !!(self->scan->categories[i] & PAGE_IS_COW));
	close(fd);
}

TEST_F(category, without_access_is_cow_too)
{
	char *p = map_anon(N * PAGE);

	write_pages(p, N * PAGE);
	ASSERT_EQ(0, sharer_start(&self->child));
	ASSERT_EQ(0, mprotect(p, N * PAGE, PROT_NONE));
	EXPECT_COW(self->pagemap, p, N, N);
	ASSERT_EQ(0, mprotect(p, N * PAGE, PROT_READ | PROT_WRITE));
	EXPECT_COW(self->pagemap, p, N, N);
}

TEST_F(category, moved_after_the_fork_is_cow)
{
	char *p = map_anon(N * PAGE), *to = map_anon(N * PAGE);

	write_pages(p, N * PAGE);
	ASSERT_EQ(0, sharer_start(&self->child));
	ASSERT_TRUE(sharer_do(&self->child, JOB_MOVE, p, N * PAGE, to));
	EXPECT_COW(self->child.pagemap, to, N, N);
	EXPECT_COW(self->child.pagemap, p, N, 0);
}

/* Have KSM make one page of N. Returns NULL, or why it didn't. */
static const char *merge_pages(struct changes *changes, int pagemap, char *p)
{
	bool merged = false;

	for (int i = 0; i < N; i++)
		memset(p + i * PAGE, 'k', PAGE);
	if (!page_frame(pagemap, p))
		return SKIP_NO_FRAMES;
	change_setting(changes, KSM "sleep_millisecs", 1);
	change_setting(changes, KSM "pages_to_scan", 5000);
	if (change_setting(changes, KSM "run", 1))
		return "can't start KSM (root, CONFIG_KSM)";
	if (madvise(p, N * PAGE, MADV_MERGEABLE))
		return "madvise(MADV_MERGEABLE) failed";
	/* Merged pages have one frame. */
	for (int tries = 0; tries < 600 && !merged; tries++) {
		uint64_t frame = page_frame(pagemap, p);

		merged = frame != 0;
		for (int i = 1; i < N; i++)
			merged &= page_frame(pagemap, p + i * PAGE) == frame;
		usleep(20000);
	}
	change_setting(changes, KSM "run", 0);
	return merged ? NULL : "KSM didn't merge within 12 s";
}

TEST_F(category, ksm_is_not_cow)
{
	char *p = map_anon(N * PAGE);
	const char *why = merge_pages(&self->changes, self->pagemap, p);

	if (why)
		SKIP(return, "%s", why);
	EXPECT_COW(self->pagemap, p, N, 0);
	ASSERT_EQ(0, sharer_start(&self->child));
	EXPECT_COW(self->pagemap, p, N, 0);
	EXPECT_COW(self->child.pagemap, p, N, 0);
	/* kcmp may be missing where the category is not. */
	if (!no_kcmp_cow()) {
		EXPECT_EQ(-1, syscall(SYS_kcmp, getpid(), self->child.pid, KCMP_TYPE_COW, p, p));
		EXPECT_EQ(ENOENT, errno);
	}
}

/* In swap nothing is left of KSM: the page is one of those that can't be told to be exclusive. */
TEST_F(category, ksm_in_swap_is_cow)
{
	char *p = map_anon(N * PAGE);
	const char *why = swap_start(&self->changes);

	if (!why)
		why = merge_pages(&self->changes, self->pagemap, p);
	if (why)
		SKIP(return, "%s", why);
	EXPECT_COW(self->pagemap, p, 1, 0);
	/* madvise() writes out what has one user only. */
	ASSERT_EQ(0, madvise(p + PAGE, (N - 1) * PAGE, MADV_DONTNEED));
	if (!swap_out(self->pagemap, p, PAGE, self->scan))
		SKIP(return, "the page didn't go to swap");
	EXPECT_COW(self->pagemap, p, 1, 1);
	if (!no_kcmp_cow())
		EXPECT_EQ(0, syscall(SYS_kcmp, getpid(), getpid(), KCMP_TYPE_COW, p, p));
}

TEST_F(category, huge_page_is_cow_as_a_whole)
{
	const size_t n = HUGE_SIZE / PAGE;
	char *p = map_aligned(HUGE_SIZE);

	ASSERT_NE(NULL, p);
	madvise(p, HUGE_SIZE, MADV_HUGEPAGE);
	write_pages(p, HUGE_SIZE);
	madvise(p, HUGE_SIZE, MADV_COLLAPSE);
	EXPECT_COW(self->pagemap, p, n, 0);
	if (count_pages(self->scan, n, PAGE_IS_HUGE) != n)
		SKIP(return, "got no transparent huge page");

	ASSERT_EQ(0, sharer_start(&self->child));
	EXPECT_COW(self->pagemap, p, n, n);
	EXPECT_EQ(n, count_pages(self->scan, n, PAGE_IS_HUGE));
	EXPECT_COW(self->child.pagemap, p, n, n);

	/* A write splits the child's mapping: one page is its own, the others stay shared, mapped
	 * by ptes. */
	ASSERT_TRUE(sharer_do(&self->child, JOB_WRITE, p + 7 * PAGE, PAGE, NULL));
	EXPECT_COW(self->child.pagemap, p, n, n - 1);
	EXPECT_EQ(0, count_pages(self->scan, n, PAGE_IS_HUGE));
	EXPECT_FALSE(self->scan->categories[7] & PAGE_IS_COW);
	EXPECT_COW(self->pagemap, p, n, n);
}

TEST_F(category, huge_zero_page_is_not_cow)
{
	const size_t n = HUGE_SIZE / PAGE;
	char *p = map_aligned(HUGE_SIZE);

	ASSERT_NE(NULL, p);
	madvise(p, HUGE_SIZE, MADV_HUGEPAGE);
	read_pages(p, PAGE);
	ASSERT_EQ(0, sharer_start(&self->child));
	EXPECT_COW(self->pagemap, p, n, 0);
	if (count_pages(self->scan, n, PAGE_IS_HUGE) != n)
		SKIP(return, "got no huge zero page");
	EXPECT_EQ(n, count_pages(self->scan, n, PAGE_IS_PFNZERO));
	if (!no_kcmp_cow()) {
		EXPECT_EQ(-1, syscall(SYS_kcmp, getpid(), getpid(), KCMP_TYPE_COW, p, p));
		EXPECT_EQ(ENOENT, errno);
	}
}

TEST_F(category, private_hugetlb_is_cow)
{
	const size_t n = HUGE_SIZE / PAGE;
	char *p;

	more_huge_pages(&self->changes, 4);
	p = mmap(NULL, 2 * HUGE_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (p == MAP_FAILED)
		SKIP(return, "no hugetlb pages: %s", strerror(errno));
	write_pages(p, 2 * HUGE_SIZE);
	EXPECT_COW(self->pagemap, p, 2 * n, 0);
	ASSERT_EQ(0, sharer_start(&self->child));
	EXPECT_COW(self->pagemap, p, 2 * n, 2 * n);
	EXPECT_COW(self->child.pagemap, p, 2 * n, 2 * n);
	ASSERT_TRUE(sharer_do(&self->child, JOB_WRITE, p, PAGE, NULL));
	EXPECT_COW(self->child.pagemap, p, 2 * n, n);
	EXPECT_FALSE(self->scan->categories[0] & PAGE_IS_COW);
	munmap(p, 2 * HUGE_SIZE);
}

TEST_F(category, swapped_out_before_fork_is_cow)
{
	char *p = map_anon(N * PAGE);
	const char *why = swap_start(&self->changes);

	if (why)
		SKIP(return, "%s", why);
	write_pages(p, N * PAGE);
	if (!swap_out(self->pagemap, p, N * PAGE, self->scan))
		SKIP(return, "the pages didn't go to swap");
	/* Exclusive swap entries, until the fork */
	EXPECT_COW(self->pagemap, p, N, 0);
	ASSERT_EQ(0, sharer_start(&self->child));
	EXPECT_COW(self->pagemap, p, N, N);
	EXPECT_EQ(N, count_pages(self->scan, N, PAGE_IS_SWAPPED));
	EXPECT_COW(self->child.pagemap, p, N, N);

	/* Back for one of them: present there, in swap here, and still shared */
	ASSERT_TRUE(sharer_do(&self->child, JOB_READ, p, N * PAGE, NULL));
	EXPECT_COW(self->child.pagemap, p, N, N);
	EXPECT_EQ(N, count_pages(self->scan, N, PAGE_IS_PRESENT));
	EXPECT_COW(self->pagemap, p, N, N);
	ASSERT_TRUE(sharer_do(&self->child, JOB_WRITE, p, N * PAGE, NULL));
	EXPECT_COW(self->child.pagemap, p, N, 0);
}

TEST_F(category, works_in_all_masks)
{
	char *p = map_anon(N * PAGE);
	struct pm_scan_arg_v1 arg;

	write_pages(p, N * PAGE);
	ASSERT_EQ(0, sharer_start(&self->child));
	write_pages(p, 4 * PAGE);

	arg = scan_arg_v0(p, N * PAGE, self->scan, PAGE_IS_COW);
	EXPECT_EQ(1, run_scan(self->pagemap, &arg, self->scan));
	EXPECT_EQ((uintptr_t)p + 4 * PAGE, self->scan->regions[0].start);

	arg = scan_arg_v0(p, N * PAGE, self->scan, PAGE_IS_COW | PAGE_IS_PRESENT);
	arg.category_inverted = PAGE_IS_COW;
	EXPECT_EQ(1, run_scan(self->pagemap, &arg, self->scan));
	EXPECT_EQ((uintptr_t)p, self->scan->regions[0].start);
	EXPECT_EQ((uintptr_t)p + 4 * PAGE, self->scan->regions[0].end);

	arg = scan_arg_v0(p, N * PAGE, self->scan, 0);
	arg.category_anyof_mask = PAGE_IS_COW | PAGE_IS_SWAPPED;
	arg.return_mask = PAGE_IS_PRESENT;
	EXPECT_EQ(1, run_scan(self->pagemap, &arg, self->scan));
	EXPECT_EQ(PAGE_IS_PRESENT, self->scan->regions[0].categories);
	EXPECT_EQ((uintptr_t)p + N * PAGE, self->scan->regions[0].end);
}

TEST_F(category, needs_no_capability)
{
	char *p = map_anon(N * PAGE);

	write_pages(p, N * PAGE);
	ASSERT_EQ(0, sharer_start(&self->child));
	drop_capabilities(0);
	EXPECT_COW(self->pagemap, p, N, N);
}

/* Random writes of two processes and the page frame numbers of both: all pages with equal frames
 * must be COW. */
TEST_F(category, random_writes_agree_with_page_frames)
{
	const size_t n = 512;
	char *p = map_anon(n * PAGE);
	unsigned int seed = time(NULL);
	size_t shared = 0, marked = 0;

	write_pages(p, n * PAGE);
	if (!page_frame(self->pagemap, p))
		SKIP(return, SKIP_NO_FRAMES);
	ASSERT_EQ(0, sharer_start(&self->child));
	TH_LOG("seed %u", seed);
	srand(seed);
	for (int i = 0; i < 300; i++) {
		char *page = p + rand() % n * PAGE;

		if (rand() & 1)
			write_pages(page, PAGE);
		else
			ASSERT_TRUE(sharer_do(&self->child, JOB_WRITE, page, PAGE, NULL));
	}
	ASSERT_LE(0, scan_pages(self->pagemap, p, n * PAGE, self->scan));
	for (size_t i = 0; i < n; i++) {
		uint64_t mine = page_frame(self->pagemap, p + i * PAGE);
		uint64_t its = page_frame(self->child.pagemap, p + i * PAGE);

		shared += mine == its;
		marked += !!(self->scan->categories[i] & PAGE_IS_COW);
		if (mine == its)
			ASSERT_TRUE(self->scan->categories[i] & PAGE_IS_COW) TH_LOG("page %zu", i);
	}
	EXPECT_LT(0, shared);
	EXPECT_LE(shared, marked);
	EXPECT_LT(marked, n);
}

/* Memory of all kinds: a huge page, and then page tables with entries of swap (if why is NULL), of
 * a file, of nothing, of shared pages and of others. */
static bool mix_memory(char *p, size_t n, struct sharer *child, int pagemap, struct scan *scan,
		       const char *why)
{
	const size_t huge = HUGE_SIZE / PAGE;
	int fd = memfd_create("file", MFD_CLOEXEC);
	char *file = p + (huge + 300) * PAGE;

	if (fd < 0 || ftruncate(fd, 64 * PAGE) ||
	    mmap(file, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0) != file)
		return false;
	close(fd);
	get_huge(pagemap, p, HUGE_SIZE, scan);
	madvise(p + HUGE_SIZE, (n - huge) * PAGE, MADV_NOHUGEPAGE);
	read_pages(file, 64 * PAGE);
	write_pages(p + HUGE_SIZE, 300 * PAGE);
	write_pages(file + 20 * PAGE, (n - huge - 320) * PAGE);
	if (!why)
		swap_out(pagemap, p + HUGE_SIZE, 100 * PAGE, scan);
	if (sharer_start(child))
		return false;
	for (int i = 0; i < 300; i++)
		write_pages(p + (huge + rand() % (n - huge)) * PAGE, PAGE);
	for (int i = 0; i < 20; i++)
		madvise(p + (huge + rand() % (n - huge)) * PAGE, PAGE, MADV_DONTNEED);
	return true;
}

/* The kernel answers a scan that asks for nothing but PAGE_IS_COW in a way of its own. To name the
 * category in another mask as well is to ask for the same, but not in that way: the answers must be
 * equal. */
TEST_F(category, asked_for_alone_is_the_same)
{
	const size_t n = 4 * HUGE_SIZE / PAGE;
	char *p = map_aligned(4 * HUGE_SIZE);
	struct page_region *general = calloc(MAX_PAGES, sizeof(*general));
	const char *why = swap_start(&self->changes);
	unsigned int seed = time(NULL);
	struct pm_scan_arg_v1 a, b;
	long ret, most = 0;

	ASSERT_NE(NULL, p);
	ASSERT_NE(NULL, general);
	TH_LOG("seed %u%s%s", seed, why ? ", without swap: " : "", why ? why : "");
	srand(seed);
	ASSERT_TRUE(mix_memory(p, n, &self->child, self->pagemap, self->scan, why));

	for (int i = 0; i < 300; i++) {
		size_t from = i ? rand() % n : 0, pages = i ? 1 + rand() % (n - from) : n;

		a = scan_arg_v0(p + from * PAGE, pages * PAGE, self->scan, PAGE_IS_COW);
		a.return_mask = PAGE_IS_COW | (rand() & 1 ? PAGE_IS_HUGE : 0);
		if (i) {
			a.vec_len = 1 + rand() % (rand() & 1 ? n : 16);
			a.max_pages = rand() & 1 ? 1 + rand() % n : 0;
		}
		b = a;
		b.vec = (uintptr_t)general;
		b.category_anyof_mask = PAGE_IS_COW;
		ret = ioctl(self->pagemap, PAGEMAP_SCAN_V0, &a);
		ASSERT_LE(0, ret);
		ASSERT_EQ(ret, ioctl(self->pagemap, PAGEMAP_SCAN_V0, &b));
		ASSERT_EQ(b.walk_end, a.walk_end);
		ASSERT_EQ(0, memcmp(general, self->scan->regions, ret * sizeof(*general)));
		most = ret > most ? ret : most;
	}
	EXPECT_LT(10, most);
	free(general);
}

TEST_HARNESS_MAIN
