// SPDX-License-Identifier: GPL-2.0-only
/* Identities of COW pages: equal for equal pages only, in order, for those who may, within the
 * buffers' limits. */
#define _GNU_SOURCE
#include "cow.h"

#include "../kselftest_harness.h"

#define N 64

FIXTURE(identity)
{
	struct scan *mine, *its;
	struct sharer child;
	struct changes changes;
	int pagemap;
};

FIXTURE_SETUP(identity)
{
	const char *why = no_cow_ids();

	if (why)
		SKIP(return, "%s", why);
	if (!may_have_ids())
		SKIP(return, SKIP_NO_RIGHT);
	self->mine = mmap(NULL, 2 * sizeof(struct scan), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->mine);
	self->its = self->mine + 1;
	self->pagemap = open_pagemap(getpid());
	ASSERT_LE(0, self->pagemap);
}

FIXTURE_TEARDOWN(identity)
{
	sharer_stop(&self->child);
	undo_changes(&self->changes);
	close(self->pagemap);
}

static bool all_distinct(const uint64_t *ids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++)
			if (ids[i] == ids[j])
				return false;
	return true;
}

TEST_F(identity, equal_in_both_and_distinct_within)
{
	char *p = map_anon(N * PAGE);

	write_pages(p, N * PAGE);
	ASSERT_EQ(0, sharer_start(&self->child));
	ASSERT_EQ(1, scan_ids(self->pagemap, p, N * PAGE, self->mine));
	ASSERT_EQ(1, scan_ids(self->child.pagemap, p, N * PAGE, self->its));
	EXPECT_EQ(0, memcmp(self->mine->ids, self->its->ids, N * sizeof(uint64_t)));
	EXPECT_TRUE(all_distinct(self->mine->ids, N));

	/* As long as nothing moves a second scan says the same. */
	ASSERT_EQ(1, scan_ids(self->pagemap, p, N * PAGE, self->its));
	EXPECT_EQ(0, memcmp(self->mine->ids, self->its->ids, N * sizeof(uint64_t)));
}

TEST_F(identity, only_pages_that_are_returned_as_cow_have_one)
{
	char *p = map_anon(N * PAGE);
	struct pm_scan_arg_v1 arg;

	write_pages(p, N * PAGE);
	ASSERT_EQ(0, sharer_start(&self->child));
	write_pages(p, 10 * PAGE);
	write_pages(p + 20 * PAGE, 5 * PAGE);

	/* All present pages are returned: regions with and without PAGE_IS_COW take turns. */
	arg = scan_arg(p, N * PAGE, self->mine, PAGE_IS_PRESENT);
	arg.cow_ids = (uintptr_t)self->mine->raw_ids;
	arg.cow_ids_len = MAX_PAGES;
	for (int i = 0; i < N; i++)
		self->mine->raw_ids[i] = SENTINEL;
	ASSERT_EQ(4, run_scan(self->pagemap, &arg, self->mine));
	for (int i = 0; i < N; i++)
		EXPECT_EQ(i < 10 || (i >= 20 && i < 25), self->mine->ids[i] == 0);
	EXPECT_NE(SENTINEL, self->mine->raw_ids[N - 15 - 1]);
	EXPECT_EQ(SENTINEL, self->mine->raw_ids[N - 15]);

	ASSERT_LE(0, scan_ids(self->child.pagemap, p, N * PAGE, self->its));
	for (int i = 0; i < N; i++)
		if (self->mine->ids[i])
			EXPECT_EQ(self->mine->ids[i], self->its->ids[i]);
}

TEST_F(identity, follows_a_page_that_was_moved)
{
	char *p = map_anon(N * PAGE), *to = map_anon(N * PAGE);

	write_pages(p, N * PAGE);
	ASSERT_EQ(0, sharer_start(&self->child));
	ASSERT_TRUE(sharer_do(&self->child, JOB_MOVE, p, N * PAGE, to));
	ASSERT_EQ(1, scan_ids(self->pagemap, p, N * PAGE, self->mine));
	ASSERT_EQ(1, scan_ids(self->child.pagemap, to, N * PAGE, self->its));
	EXPECT_EQ(0, memcmp(self->mine->ids, self->its->ids, N * sizeof(uint64_t)));
}

TEST_F(identity, differs_once_written)
{
	char *p = map_anon(N * PAGE);
	struct sharer second;

	write_pages(p, N * PAGE);
	ASSERT_EQ(0, sharer_start(&self->child));
	ASSERT_TRUE(sharer_do(&self->child, JOB_WRITE, p + 5 * PAGE, PAGE, NULL));
	/* A page that the child has for itself now, and that it shares again with a child of ours
	 * by no means. */
	ASSERT_EQ(0, sharer_start(&second));
	ASSERT_LE(0, scan_ids(self->pagemap, p, N * PAGE, self->mine));
	ASSERT_LE(0, scan_ids(second.pagemap, p, N * PAGE, self->its));
	EXPECT_EQ(0, memcmp(self->mine->ids, self->its->ids, N * sizeof(uint64_t)));
	ASSERT_LE(0, scan_ids(self->child.pagemap, p, N * PAGE, self->its));
	for (int i = 0; i < N; i++)
		EXPECT_EQ(i != 5, self->mine->ids[i] == self->its->ids[i]);
	sharer_stop(&second);
}

/* Neither the frame number itself nor its order may show. */
TEST_F(identity, says_nothing_about_page_frames)
{
	const size_t n = 2048;
	char *p = map_anon(n * PAGE);
	size_t same_order = 0, with_zeroes = 0;

	write_pages(p, n * PAGE);
	if (!page_frame(self->pagemap, p))
		SKIP(return, SKIP_NO_FRAMES);
	ASSERT_EQ(0, sharer_start(&self->child));
	ASSERT_EQ(1, scan_ids(self->pagemap, p, n * PAGE, self->mine));
	for (size_t i = 1; i < n; i++) {
		uint64_t before = page_frame(self->pagemap, p + (i - 1) * PAGE);
		uint64_t frame = page_frame(self->pagemap, p + i * PAGE);

		EXPECT_NE(frame, self->mine->ids[i]);
		same_order += (before < frame) == (self->mine->ids[i - 1] < self->mine->ids[i]);
		with_zeroes += !(self->mine->ids[i] >> 32) || !(uint32_t)self->mine->ids[i];
	}
	/* Half of them agree by chance; 2047 throws leave 40 % to 60 % once in 10^18 times. */
	EXPECT_LT(n * 4 / 10, same_order);
	EXPECT_GT(n * 6 / 10, same_order);
	EXPECT_EQ(0, with_zeroes);
	EXPECT_TRUE(all_distinct(self->mine->ids, n));
}

TEST_F(identity, full_array_stops_the_scan)
{
	char *p = map_anon(N * PAGE);
	struct pm_scan_arg_v1 arg;
	size_t got = 0;
	int calls = 0;

	write_pages(p, N * PAGE);
	ASSERT_EQ(0, sharer_start(&self->child));
	ASSERT_EQ(1, scan_ids(self->child.pagemap, p, N * PAGE, self->its));

	arg = scan_arg(p, N * PAGE, self->mine, PAGE_IS_COW);
	arg.cow_ids = (uintptr_t)self->mine->raw_ids;
	arg.cow_ids_len = 10;
	while (arg.start < arg.end) {
		self->mine->raw_ids[10] = SENTINEL;
		ASSERT_EQ(1, ioctl(self->pagemap, PAGEMAP_SCAN_V1, &arg));
		EXPECT_EQ(arg.start, self->mine->regions[0].start);
		EXPECT_EQ(arg.walk_end, self->mine->regions[0].end);
		EXPECT_EQ(SENTINEL, self->mine->raw_ids[10]);
		for (uint64_t a = arg.start; a < arg.walk_end; a += PAGE, got++)
			EXPECT_EQ(self->its->ids[got], self->mine->raw_ids[(a - arg.start) / PAGE]);
		arg.start = arg.walk_end;
		calls++;
	}
	EXPECT_EQ(N, got);
	EXPECT_EQ((N + 9) / 10, calls);
}

TEST_F(identity, full_array_lets_other_regions_pass)
{
	char *p = map_anon(N * PAGE);
	struct pm_scan_arg_v1 arg;

	write_pages(p, N * PAGE);
	ASSERT_EQ(0, sharer_start(&self->child));
	write_pages(p + 4 * PAGE, 8 * PAGE);
	arg = scan_arg(p, N * PAGE, self->mine, PAGE_IS_PRESENT);
	arg.cow_ids = (uintptr_t)self->mine->raw_ids;
	arg.cow_ids_len = 4;
	/* Four shared pages fill the array, the eight that follow need none, the next one does. */
	ASSERT_EQ(2, run_scan(self->pagemap, &arg, self->mine));
	EXPECT_EQ((uintptr_t)p + 12 * PAGE, self->mine->walk_end);
}

TEST_F(identity, regions_and_pages_keep_their_limits)
{
	char *p = map_anon(N * PAGE);
	struct pm_scan_arg_v1 arg;

	write_pages(p, N * PAGE);
	ASSERT_EQ(0, sharer_start(&self->child));
	for (int i = 0; i < N; i += 2)
		write_pages(p + i * PAGE, PAGE);

	arg = scan_arg(p, N * PAGE, self->mine, PAGE_IS_COW);
	arg.cow_ids = (uintptr_t)self->mine->raw_ids;
	arg.cow_ids_len = MAX_PAGES;
	arg.vec_len = 3;
	self->mine->raw_ids[3] = SENTINEL;
	ASSERT_EQ(3, run_scan(self->pagemap, &arg, self->mine));
	EXPECT_EQ((uintptr_t)p + 7 * PAGE, self->mine->walk_end);
	EXPECT_EQ(SENTINEL, self->mine->raw_ids[3]);

	arg.vec_len = MAX_PAGES;
	arg.max_pages = 5;
	self->mine->raw_ids[5] = SENTINEL;
	ASSERT_EQ(5, run_scan(self->pagemap, &arg, self->mine));
	EXPECT_EQ((uintptr_t)p + 11 * PAGE, self->mine->walk_end);
	EXPECT_EQ(SENTINEL, self->mine->raw_ids[5]);
}

/* More than the kernel buffers: regions must not be cut where it pauses, and the end must be the
 * end. */
TEST_F(identity, many_pages_in_one_region)
{
	const size_t n = 3000;
	char *p = map_anon(2 * n * PAGE);

	/* Every other page first, then the rest, so that frames are not consecutive */
	for (size_t i = 0; i < 2 * n; i += 2)
		write_pages(p + i * PAGE, PAGE);
	for (size_t i = 1; i < 2 * n; i += 2)
		write_pages(p + i * PAGE, PAGE);
	ASSERT_EQ(0, sharer_start(&self->child));
	ASSERT_EQ(1, scan_ids(self->pagemap, p, n * PAGE, self->mine));
	EXPECT_EQ((uintptr_t)p + n * PAGE, self->mine->walk_end);
	ASSERT_EQ(1, scan_ids(self->child.pagemap, p, n * PAGE, self->its));
	EXPECT_EQ(0, memcmp(self->mine->ids, self->its->ids, n * sizeof(uint64_t)));
	EXPECT_EQ(n, count_pages(self->mine, n, PAGE_IS_COW));
}

TEST_F(identity, many_regions_of_one_page)
{
	const size_t n = 2 * 1300;
	char *p = map_anon(n * PAGE);

	write_pages(p, n * PAGE);
	ASSERT_EQ(0, sharer_start(&self->child));
	for (size_t i = 0; i < n; i += 2)
		write_pages(p + i * PAGE, PAGE);
	ASSERT_EQ(n / 2, scan_ids(self->pagemap, p, n * PAGE, self->mine));
	EXPECT_EQ((uintptr_t)p + n * PAGE, self->mine->walk_end);
	ASSERT_LE(0, scan_ids(self->child.pagemap, p, n * PAGE, self->its));
	for (size_t i = 0; i < n; i++)
		EXPECT_EQ(i & 1 ? self->its->ids[i] : 0, self->mine->ids[i]);
}

/* The scan took several walks, and walk_end must not tell of the last but one. */
TEST_F(identity, walk_end_after_many_regions)
{
	const size_t n = 2 * 700;
	char *p = map_anon(n * PAGE);
	struct pm_scan_arg_v1 arg;

	for (size_t i = 0; i < n; i += 2)
		write_pages(p + i * PAGE, PAGE);
	arg = scan_arg(p, n * PAGE, self->mine, PAGE_IS_PRESENT);
	EXPECT_EQ(n / 2, run_scan(self->pagemap, &arg, self->mine));
	EXPECT_EQ((uintptr_t)p + n * PAGE, self->mine->walk_end);
}

TEST_F(identity, huge_page_has_those_of_its_pages)
{
	const size_t n = HUGE_SIZE / PAGE;
	char *p = map_aligned(2 * HUGE_SIZE);

	ASSERT_NE(NULL, p);
	if (!get_huge(self->pagemap, p, 2 * HUGE_SIZE, self->mine))
		SKIP(return, "got no transparent huge page");
	ASSERT_EQ(0, sharer_start(&self->child));
	/* A huge page here, mapped by ptes there: the same pages */
	ASSERT_TRUE(sharer_do(&self->child, JOB_WRITE, p + 7 * PAGE, PAGE, NULL));
	ASSERT_LE(1, scan_ids(self->pagemap, p, 2 * HUGE_SIZE, self->mine));
	ASSERT_LE(1, scan_ids(self->child.pagemap, p, 2 * HUGE_SIZE, self->its));
	EXPECT_EQ(2 * n, count_pages(self->mine, 2 * n, PAGE_IS_HUGE));
	EXPECT_EQ(n, count_pages(self->its, 2 * n, PAGE_IS_HUGE));
	for (size_t i = 0; i < 2 * n; i++)
		EXPECT_EQ(i == 7 ? 0 : self->mine->ids[i], self->its->ids[i]);
	EXPECT_TRUE(all_distinct(self->mine->ids, 2 * n));

	/* A scan that begins within one */
	ASSERT_LE(1, scan_ids(self->pagemap, p + 100 * PAGE, HUGE_SIZE, self->its));
	for (size_t i = 0; i < n; i++)
		EXPECT_EQ(self->mine->ids[i + 100], self->its->ids[i]);
}

TEST_F(identity, array_full_within_a_huge_page)
{
	char *p = map_aligned(HUGE_SIZE);
	struct pm_scan_arg_v1 arg;

	ASSERT_NE(NULL, p);
	if (!get_huge(self->pagemap, p, HUGE_SIZE, self->mine))
		SKIP(return, "got no transparent huge page");
	ASSERT_EQ(0, sharer_start(&self->child));
	ASSERT_LE(1, scan_ids(self->child.pagemap, p, HUGE_SIZE, self->its));
	arg = scan_arg(p, HUGE_SIZE, self->mine, PAGE_IS_COW);
	arg.cow_ids = (uintptr_t)self->mine->raw_ids;
	arg.cow_ids_len = 100;
	self->mine->raw_ids[100] = SENTINEL;
	ASSERT_EQ(1, run_scan(self->pagemap, &arg, self->mine));
	EXPECT_EQ((uintptr_t)p + 100 * PAGE, self->mine->walk_end);
	EXPECT_EQ(0, memcmp(self->mine->raw_ids, self->its->raw_ids, 100 * sizeof(uint64_t)));
	EXPECT_EQ(SENTINEL, self->mine->raw_ids[100]);
	arg.start = arg.walk_end;
	arg.cow_ids_len = MAX_PAGES;
	ASSERT_EQ(1, run_scan(self->pagemap, &arg, self->mine));
	EXPECT_EQ(0, memcmp(self->mine->raw_ids, self->its->raw_ids + 100, 412 * sizeof(uint64_t)));
}

TEST_F(identity, private_hugetlb)
{
	const size_t n = HUGE_SIZE / PAGE;
	char *p;

	more_huge_pages(&self->changes, 4);
	p = mmap(NULL, HUGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB,
		 -1, 0);
	if (p == MAP_FAILED)
		SKIP(return, "no hugetlb pages: %s", strerror(errno));
	write_pages(p, HUGE_SIZE);
	ASSERT_EQ(0, sharer_start(&self->child));
	ASSERT_EQ(1, scan_ids(self->pagemap, p, HUGE_SIZE, self->mine));
	ASSERT_EQ(1, scan_ids(self->child.pagemap, p, HUGE_SIZE, self->its));
	EXPECT_EQ(0, memcmp(self->mine->ids, self->its->ids, n * sizeof(uint64_t)));
	EXPECT_TRUE(all_distinct(self->mine->ids, n));
	ASSERT_EQ(1, scan_ids(self->pagemap, p + 33 * PAGE, PAGE, self->its));
	EXPECT_EQ(self->mine->ids[33], self->its->ids[0]);
	munmap(p, HUGE_SIZE);
}

TEST_F(identity, in_swap_and_back_for_one)
{
	char *p = map_anon(N * PAGE);
	const char *why = swap_start(&self->changes);

	if (why)
		SKIP(return, "%s", why);
	write_pages(p, N * PAGE);
	if (!swap_out(self->pagemap, p, N * PAGE, self->mine))
		SKIP(return, "the pages didn't go to swap");
	ASSERT_EQ(0, sharer_start(&self->child));
	ASSERT_EQ(1, scan_ids(self->pagemap, p, N * PAGE, self->mine));
	ASSERT_EQ(1, scan_ids(self->child.pagemap, p, N * PAGE, self->its));
	EXPECT_EQ(N, count_pages(self->mine, N, PAGE_IS_SWAPPED));
	EXPECT_EQ(0, memcmp(self->mine->ids, self->its->ids, N * sizeof(uint64_t)));
	EXPECT_TRUE(all_distinct(self->mine->ids, N));

	/* Present there, a swap entry here: still the same page */
	ASSERT_TRUE(sharer_do(&self->child, JOB_READ, p, N * PAGE, NULL));
	ASSERT_LE(1, scan_ids(self->pagemap, p, N * PAGE, self->mine));
	ASSERT_LE(1, scan_ids(self->child.pagemap, p, N * PAGE, self->its));
	EXPECT_EQ(N, count_pages(self->mine, N, PAGE_IS_SWAPPED));
	EXPECT_EQ(N, count_pages(self->its, N, PAGE_IS_PRESENT));
	EXPECT_EQ(0, memcmp(self->mine->ids, self->its->ids, N * sizeof(uint64_t)));

	/* And back for both */
	read_pages(p, N * PAGE);
	ASSERT_LE(1, scan_ids(self->pagemap, p, N * PAGE, self->mine));
	ASSERT_LE(1, scan_ids(self->child.pagemap, p, N * PAGE, self->its));
	EXPECT_EQ(N, count_pages(self->mine, N, PAGE_IS_PRESENT));
	EXPECT_EQ(0, memcmp(self->mine->ids, self->its->ids, N * sizeof(uint64_t)));
}

TEST_F(identity, wrong_arguments)
{
	char *p = map_anon(N * PAGE);
	struct pm_scan_arg_v1 good, arg;

	write_pages(p, N * PAGE);
	ASSERT_EQ(0, sharer_start(&self->child));
	good = scan_arg(p, N * PAGE, self->mine, PAGE_IS_COW);
	good.cow_ids = (uintptr_t)self->mine->raw_ids;
	good.cow_ids_len = N;
	arg = good;
	ASSERT_EQ(1, run_scan(self->pagemap, &arg, self->mine));

	arg = good, arg.cow_ids = 0;
	EXPECT_EQ(-EINVAL, run_scan(self->pagemap, &arg, self->mine));
	arg = good, arg.cow_ids_len = 0;
	EXPECT_EQ(-EINVAL, run_scan(self->pagemap, &arg, self->mine));
	arg = good, arg.vec_len = 0;
	EXPECT_EQ(-EINVAL, run_scan(self->pagemap, &arg, self->mine));
	arg = good, arg.return_mask = PAGE_IS_PRESENT;
	EXPECT_EQ(-EINVAL, run_scan(self->pagemap, &arg, self->mine));
	arg = good, arg.cow_ids = 1ULL << 63;
	EXPECT_EQ(-EFAULT, run_scan(self->pagemap, &arg, self->mine));
	arg = good, arg.cow_ids_len = 1ULL << 61;
	EXPECT_EQ(-EFAULT, run_scan(self->pagemap, &arg, self->mine));
	arg = good, arg.cow_ids = 4096;
	EXPECT_EQ(-EFAULT, run_scan(self->pagemap, &arg, self->mine));
}

struct scan_call {
	int pagemap;
	char *p;
	struct scan *scan;
	uint64_t keep;
};

static int scan_with_caps(void *data)
{
	struct scan_call *call = data;
	long ret;

	drop_capabilities(call->keep);
	ret = scan_ids(call->pagemap, call->p, N * PAGE, call->scan);
	return ret < 0 ? -ret : 0;
}

static int scan_in_userns(void *data)
{
	struct scan_call *call = data;
	int pagemap;
	long ret;

	if (unshare(CLONE_NEWUSER))
		return 127;
	pagemap = open_pagemap(getpid());
	ret = scan_ids(pagemap, call->p, N * PAGE, call->scan);
	if (ret != -EPERM)
		return ret < 0 ? -ret : 126;
	/* The category is for everybody. */
	return scan_pages(pagemap, call->p, N * PAGE, call->scan) == 1 ? EPERM : 125;
}

TEST_F(identity, needs_the_capability_at_the_time_of_the_scan)
{
	struct scan_call call = {
		.pagemap = self->pagemap, .p = map_anon(N * PAGE), .scan = self->mine};

	write_pages(call.p, N * PAGE);
	ASSERT_EQ(0, sharer_start(&self->child));
	EXPECT_EQ(EPERM, in_child(scan_with_caps, &call));
	call.keep = 1ULL << CAP_SYS_PTRACE | 1ULL << CAP_SYS_RESOURCE | 1ULL << CAP_DAC_OVERRIDE;
	EXPECT_EQ(EPERM, in_child(scan_with_caps, &call));
	call.keep = 1ULL << CAP_CHECKPOINT_RESTORE;
	if (permitted_capabilities() & call.keep)
		EXPECT_EQ(0, in_child(scan_with_caps, &call));
	call.keep = 1ULL << CAP_SYS_ADMIN;
	if (permitted_capabilities() & call.keep)
		EXPECT_EQ(0, in_child(scan_with_caps, &call));
}

TEST_F(identity, capability_in_a_user_namespace_does_not_count)
{
	struct scan_call call = {.p = map_anon(N * PAGE), .scan = self->mine};
	int ret;

	write_pages(call.p, N * PAGE);
	ASSERT_EQ(0, sharer_start(&self->child));
	ret = in_child(scan_in_userns, &call);
	if (ret == 127)
		SKIP(return, "no user namespaces");
	EXPECT_EQ(EPERM, ret);
}

TEST_HARNESS_MAIN
