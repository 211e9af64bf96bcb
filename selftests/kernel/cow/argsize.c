// SPDX-License-Identifier: GPL-2.0-only
/* The argument of PAGEMAP_SCAN grows, and old programs don't notice. */
#define _GNU_SOURCE
#include "cow.h"

#include "../kselftest_harness.h"

#define N 8

FIXTURE(argsize)
{
	unsigned char bytes[4096 + 256];
	struct pm_scan_arg_v1 *arg;
	struct page_region regions[N];
	int pagemap;
	char *p;
};

FIXTURE_SETUP(argsize)
{
	const char *why = no_cow_ids();

	if (why)
		SKIP(return, "%s", why);
	self->pagemap = open_pagemap(getpid());
	ASSERT_LE(0, self->pagemap);
	self->p = map_anon(N * PAGE);
	write_pages(self->p, N * PAGE);
	self->arg = (void *)self->bytes;
	*self->arg = (struct pm_scan_arg_v1){
		.start = (uintptr_t)self->p,
		.end = (uintptr_t)self->p + N * PAGE,
		.vec = (uintptr_t)self->regions,
		.vec_len = N,
		.category_mask = PAGE_IS_PRESENT,
		.return_mask = PAGE_IS_PRESENT,
	};
}

FIXTURE_TEARDOWN(argsize)
{
	close(self->pagemap);
}

static int scan_sized(int pagemap, struct pm_scan_arg_v1 *arg, size_t number, size_t field)
{
	int ret;

	arg->size = field;
	ret = ioctl(pagemap, PAGEMAP_SCAN_SIZED(number), arg);
	return ret < 0 ? -errno : ret;
}

#define SCAN(number, field) scan_sized(self->pagemap, self->arg, number, field)

TEST_F(argsize, number_of_old_binaries)
{
	/* What a program has compiled in that was built before the structure grew */
	EXPECT_EQ(0xc0606610, PAGEMAP_SCAN_V0);
	EXPECT_EQ(1, SCAN(96, 96));
	EXPECT_EQ(self->arg->end, self->arg->walk_end);
	EXPECT_EQ((uintptr_t)self->p, self->regions[0].start);
	EXPECT_EQ((uintptr_t)self->p + N * PAGE, self->regions[0].end);
}

TEST_F(argsize, what_lies_behind_the_old_structure_is_not_looked_at)
{
	memset(self->bytes + 96, 0xff, sizeof(self->bytes) - 96);
	EXPECT_EQ(1, SCAN(96, 96));
	for (size_t i = 96; i < sizeof(self->bytes); i++)
		ASSERT_EQ(0xff, self->bytes[i]);
}

TEST_F(argsize, old_structure_at_the_end_of_memory)
{
	char *page = map_anon(2 * PAGE);

	ASSERT_EQ(0, munmap(page + PAGE, PAGE));
	memcpy(page + PAGE - 96, self->arg, 96);
	EXPECT_EQ(1, scan_sized(self->pagemap, (void *)(page + PAGE - 96), 96, 96));
	EXPECT_EQ(-EFAULT, scan_sized(self->pagemap, (void *)(page + PAGE - 96), 112, 112));
}

TEST_F(argsize, new_structure)
{
	EXPECT_EQ(1, SCAN(112, 112));
	EXPECT_EQ(self->arg->end, self->arg->walk_end);
}

TEST_F(argsize, larger_structure_with_zeroes)
{
	EXPECT_EQ(1, SCAN(120, 120));
	EXPECT_EQ(1, SCAN(4096, 4096));
	/* Sizes within a field are as good as others: what is missing is zero. */
	EXPECT_EQ(1, SCAN(104, 104));
}

TEST_F(argsize, larger_structure_with_a_request_is_refused)
{
	self->bytes[119] = 1;
	EXPECT_EQ(-E2BIG, SCAN(120, 120));
	EXPECT_EQ(1, SCAN(112, 112));
	EXPECT_EQ(-E2BIG, SCAN(4104, 4104));
}

TEST_F(argsize, two_sizes_must_agree)
{
	EXPECT_EQ(-EINVAL, SCAN(96, 112));
	EXPECT_EQ(-EINVAL, SCAN(112, 96));
	EXPECT_EQ(-EINVAL, SCAN(96, 0));
	EXPECT_EQ(-EINVAL, SCAN(96, 1ULL << 32 | 96));
}

TEST_F(argsize, too_small)
{
	EXPECT_EQ(-EINVAL, SCAN(88, 88));
	EXPECT_EQ(-EINVAL, SCAN(8, 8));
	EXPECT_EQ(-EINVAL, SCAN(0, 0));
}

TEST_F(argsize, other_numbers_are_still_unknown)
{
	self->arg->size = 96;
	EXPECT_EQ(-1, ioctl(self->pagemap, _IOC(_IOC_READ, 'f', 16, 96), self->arg));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(self->pagemap, _IOC(_IOC_READ | _IOC_WRITE, 'f', 17, 96), self->arg));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(self->pagemap, _IOC(_IOC_READ | _IOC_WRITE, 'g', 16, 96), self->arg));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(argsize, unreadable_argument)
{
	EXPECT_EQ(-1, ioctl(self->pagemap, PAGEMAP_SCAN_V0, NULL));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(self->pagemap, PAGEMAP_SCAN_V1, (void *)-PAGE));
	EXPECT_EQ(EFAULT, errno);
}

TEST_F(argsize, unknown_categories_and_flags_are_refused)
{
	self->arg->return_mask = 1ULL << 40;
	EXPECT_EQ(-EINVAL, SCAN(112, 112));
	self->arg->return_mask = PAGE_IS_PRESENT;
	self->arg->flags = 1ULL << 40;
	EXPECT_EQ(-EINVAL, SCAN(112, 112));
}

TEST_HARNESS_MAIN
