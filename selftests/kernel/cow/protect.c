// SPDX-License-Identifier: GPL-2.0-only
/* Identities of COW pages from scans that write protect the pages at once. */
#define _GNU_SOURCE
#include "cow.h"

#include <linux/userfaultfd.h>

#include "../kselftest_harness.h"

/* Asynchronous write protection: pages are written, for the scan, until it has protected them. */
static int wp_open(void)
{
	struct uffdio_api api = {.api = UFFD_API, .features = (1 << 13) | (1 << 15)};
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (uffd >= 0 && ioctl(uffd, UFFDIO_API, &api)) {
		close(uffd);
		uffd = -1;
	}
	return uffd;
}

static int wp_register(int uffd, void *p, size_t size)
{
	struct uffdio_register reg = {.range = {.start = (uintptr_t)p, .len = size},
				      .mode = UFFDIO_REGISTER_MODE_WP};

	return ioctl(uffd, UFFDIO_REGISTER, &reg);
}

static struct pm_scan_arg_v1 wp_arg(void *p, size_t size, struct scan *scan, uint64_t mask,
				    uint64_t n_ids)
{
	struct pm_scan_arg_v1 arg = scan_arg(p, size, scan, mask | PAGE_IS_COW | PAGE_IS_WRITTEN);

	arg.flags = PM_SCAN_WP_MATCHING;
	arg.cow_ids = (uintptr_t)scan->raw_ids;
	arg.cow_ids_len = n_ids;
	return arg;
}

#define SKIP_NO_WP "no asynchronous write protection by userfaultfd"

FIXTURE(protect)
{
	struct scan *mine, *its;
	struct sharer child;
	struct changes changes;
	int pagemap, uffd;
};

FIXTURE_SETUP(protect)
{
	const char *why = no_cow_ids();

	if (why)
		SKIP(return, "%s", why);
	if (!may_have_ids())
		SKIP(return, SKIP_NO_RIGHT);
	self->uffd = wp_open();
	if (self->uffd < 0)
		SKIP(return, SKIP_NO_WP);
	self->mine = mmap(NULL, 2 * sizeof(struct scan), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->mine);
	self->its = self->mine + 1;
	self->pagemap = open_pagemap(getpid());
	ASSERT_LE(0, self->pagemap);
}

FIXTURE_TEARDOWN(protect)
{
	sharer_stop(&self->child);
	close(self->uffd);
	undo_changes(&self->changes);
	close(self->pagemap);
}

/* Write protection in the same scan: it must not come out differently for the identities. */
TEST_F(protect, together_with_write_protection)
{
	const size_t n = HUGE_SIZE / PAGE;
	char *p = map_aligned(HUGE_SIZE);
	struct pm_scan_arg_v1 arg;

	if (!get_huge(self->pagemap, p, HUGE_SIZE, self->mine))
		SKIP(return, "got no transparent huge page");
	ASSERT_EQ(0, sharer_start(&self->child));
	ASSERT_LE(1, scan_ids(self->child.pagemap, p, HUGE_SIZE, self->its));
	ASSERT_EQ(0, wp_register(self->uffd, p, HUGE_SIZE));

	arg = wp_arg(p, HUGE_SIZE, self->mine, 0, 100);
	/* A part of the huge page: it is split, and what was noted for the whole is taken back. */
	ASSERT_LE(1, run_scan(self->pagemap, &arg, self->mine));
	EXPECT_EQ((uintptr_t)p + 100 * PAGE, self->mine->walk_end);
	EXPECT_EQ(0, memcmp(self->mine->ids, self->its->ids, 100 * sizeof(uint64_t)));
	arg.start = arg.walk_end;
	arg.cow_ids_len = MAX_PAGES;
	ASSERT_LE(1, run_scan(self->pagemap, &arg, self->mine));
	EXPECT_EQ(0, memcmp(self->mine->ids, self->its->ids + 100, (n - 100) * sizeof(uint64_t)));
	/* All are protected now. */
	arg.start = (uintptr_t)p;
	EXPECT_EQ(0, run_scan(self->pagemap, &arg, self->mine));
}

/* The huge page doesn't fit, and the small ones it is split into don't match: that is no reason to
 * stop there. */
TEST_F(protect, split_for_write_protection_and_no_longer_wanted)
{
	char *p = map_aligned(2 * HUGE_SIZE);
	struct pm_scan_arg_v1 arg;

	if (!get_huge(self->pagemap, p, 2 * HUGE_SIZE, self->mine))
		SKIP(return, "got no transparent huge page");
	ASSERT_EQ(0, sharer_start(&self->child));
	ASSERT_EQ(0, wp_register(self->uffd, p, 2 * HUGE_SIZE));

	arg = wp_arg(p, HUGE_SIZE, self->mine, PAGE_IS_HUGE, 100);
	EXPECT_EQ(0, run_scan(self->pagemap, &arg, self->mine));
	EXPECT_EQ(arg.end, self->mine->walk_end);

	/* The same by the limit that mainline has */
	p += HUGE_SIZE;
	arg = wp_arg(p, HUGE_SIZE, self->mine, PAGE_IS_HUGE, MAX_PAGES);
	arg.max_pages = 100;
	EXPECT_EQ(0, run_scan(self->pagemap, &arg, self->mine));
	EXPECT_EQ(arg.end, self->mine->walk_end);
}

/* A page of hugetlbfs is protected as a whole or not at all. Where its identities have no room the
 * scan has to end, and the next one goes on there: no page may be lost. */
TEST_F(protect, hugetlb_with_write_protection)
{
	const size_t n = HUGE_SIZE / PAGE;
	struct pm_scan_arg_v1 arg;
	uint64_t *ids = self->its->ids;
	char *p;

	more_huge_pages(&self->changes, 4);
	p = mmap(NULL, 3 * HUGE_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (p == MAP_FAILED)
		SKIP(return, "no hugetlb pages: %s", strerror(errno));
	write_pages(p, 3 * HUGE_SIZE);
	ASSERT_EQ(0, sharer_start(&self->child));
	ASSERT_EQ(1, scan_ids(self->child.pagemap, p, 3 * HUGE_SIZE, self->its));
	if (wp_register(self->uffd, p, 3 * HUGE_SIZE))
		SKIP(return, SKIP_NO_WP " of hugetlb: %s", strerror(errno));

	/* No room for even one: nothing is returned, and nothing skipped. */
	arg = wp_arg(p, 3 * HUGE_SIZE, self->mine, 0, n - 1);
	EXPECT_EQ(0, run_scan(self->pagemap, &arg, self->mine));
	EXPECT_EQ(arg.start, self->mine->walk_end);

	/* Room for one and a half, three times */
	for (int i = 0; i < 3; i++) {
		arg = wp_arg(p + i * HUGE_SIZE, (3 - i) * HUGE_SIZE, self->mine, 0, n + n / 2);
		self->mine->raw_ids[n] = SENTINEL;
		ASSERT_EQ(1, run_scan(self->pagemap, &arg, self->mine));
		ASSERT_EQ(arg.start + HUGE_SIZE, self->mine->walk_end);
		EXPECT_EQ(arg.start, self->mine->regions[0].start);
		EXPECT_EQ(arg.start + HUGE_SIZE, self->mine->regions[0].end);
		EXPECT_EQ(0, memcmp(self->mine->raw_ids, ids + i * n, n * sizeof(*ids)));
		EXPECT_EQ(SENTINEL, self->mine->raw_ids[n]);
	}
	arg = wp_arg(p, 3 * HUGE_SIZE, self->mine, 0, MAX_PAGES);
	EXPECT_EQ(0, run_scan(self->pagemap, &arg, self->mine));
}

/* More runs of frames than the kernel notes at a time: it pauses, also before max_pages, and each
 * page is still protected and named once. */
TEST_F(protect, many_pages_with_write_protection)
{
	const size_t n = 1000, first = 700;
	char *p = map_anon(n * PAGE);
	struct pm_scan_arg_v1 arg;

	/* Every other page first, then the rest, so that frames are not consecutive */
	for (size_t i = 0; i < n; i += 2)
		write_pages(p + i * PAGE, PAGE);
	for (size_t i = 1; i < n; i += 2)
		write_pages(p + i * PAGE, PAGE);
	ASSERT_EQ(0, sharer_start(&self->child));
	ASSERT_EQ(1, scan_ids(self->child.pagemap, p, n * PAGE, self->its));
	ASSERT_EQ(0, wp_register(self->uffd, p, n * PAGE));

	arg = wp_arg(p, n * PAGE, self->mine, 0, n);
	arg.max_pages = first;
	self->mine->raw_ids[first] = SENTINEL;
	ASSERT_EQ(1, run_scan(self->pagemap, &arg, self->mine));
	EXPECT_EQ((uintptr_t)p, self->mine->regions[0].start);
	EXPECT_EQ((uintptr_t)p + first * PAGE, self->mine->regions[0].end);
	EXPECT_EQ((uintptr_t)p + first * PAGE, self->mine->walk_end);
	EXPECT_EQ(0, memcmp(self->mine->raw_ids, self->its->raw_ids, first * sizeof(uint64_t)));
	EXPECT_EQ(SENTINEL, self->mine->raw_ids[first]);

	/* Those are protected, and no other: a scan of all returns the rest. */
	arg = wp_arg(p, n * PAGE, self->mine, 0, n);
	self->mine->raw_ids[n - first] = SENTINEL;
	ASSERT_EQ(1, run_scan(self->pagemap, &arg, self->mine));
	EXPECT_EQ((uintptr_t)p + first * PAGE, self->mine->regions[0].start);
	EXPECT_EQ((uintptr_t)p + n * PAGE, self->mine->regions[0].end);
	EXPECT_EQ(0, memcmp(self->mine->raw_ids, self->its->raw_ids + first,
			    (n - first) * sizeof(uint64_t)));
	EXPECT_EQ(SENTINEL, self->mine->raw_ids[n - first]);
}

/* What write protection leaves where there is no page is no page. */
TEST_F(protect, markers_are_not_cow)
{
	const size_t n = 8;
	char *p = map_anon(n * PAGE);
	struct pm_scan_arg_v1 arg;

	ASSERT_EQ(0, wp_register(self->uffd, p, n * PAGE));
	arg = scan_arg_v0(p, n * PAGE, self->mine, PAGE_IS_WRITTEN);
	arg.flags = PM_SCAN_WP_MATCHING;
	ASSERT_EQ(1, run_scan(self->pagemap, &arg, self->mine));

	/* The scan calls a marker swapped. */
	ASSERT_LE(1, scan_pages(self->pagemap, p, n * PAGE, self->mine));
	EXPECT_EQ(n, count_pages(self->mine, n, PAGE_IS_SWAPPED));
	EXPECT_EQ(0, count_pages(self->mine, n, PAGE_IS_COW));
	EXPECT_EQ(0, scan_ids(self->pagemap, p, n * PAGE, self->mine));
	if (!no_kcmp_cow()) {
		EXPECT_EQ(-1, syscall(SYS_kcmp, getpid(), getpid(), KCMP_TYPE_COW, p, p));
		EXPECT_EQ(ENOENT, errno);
	}
}

TEST_HARNESS_MAIN
