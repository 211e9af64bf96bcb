// SPDX-License-Identifier: GPL-2.0-only
/* Which tables are accepted, which are refused and with what, and that GET returns what was set. */
#define _GNU_SOURCE
#include "cpuid_test.h"

#include "../kselftest_harness.h"

FIXTURE(rows)
{
	int unused;
};

FIXTURE_SETUP(rows)
{
	const char *why = unsupported();

	if (why)
		SKIP(return, "%s", why);
	if (!may_replace())
		SKIP(return, NEEDS_CAPABILITY);
}

FIXTURE_TEARDOWN(rows)
{
}

TEST_F(rows, up_to_the_limit)
{
	struct arch_cpuid_row rows[ARCH_CPUID_MAX_ROWS + 1], back[ARCH_CPUID_MAX_ROWS];

	for (uint32_t i = 0; i <= ARCH_CPUID_MAX_ROWS; i++)
		rows[i] = ROW(MAGIC_LEAF, i, i, i + 1, i + 2, i + 3);
	EXPECT_EQ(-E2BIG, set_table(rows, ARCH_CPUID_MAX_ROWS + 1));
	EXPECT_EQ(-E2BIG, set_table(rows, ~0u));
	EXPECT_EQ(0, get_table(NULL, 0));
	ASSERT_EQ(0, set_table(rows, ARCH_CPUID_MAX_ROWS));
	ASSERT_EQ(ARCH_CPUID_MAX_ROWS, get_table(back, ARCH_CPUID_MAX_ROWS));
	EXPECT_EQ(0, memcmp(rows, back, sizeof(back)));
	EXPECT_EQ(255, cpuid(MAGIC_LEAF, 255).eax);
}

TEST_F(rows, come_back_sorted)
{
	struct arch_cpuid_row rows[] = {ANY_ROW(9, 1, 0, 0, 0), ROW(0x80000001, 0, 2, 0, 0, 0),
					ROW(9, 7, 3, 0, 0, 0), ROW(9, 1, 4, 0, 0, 0),
					ROW(2, 0, 5, 0, 0, 0)};
	struct arch_cpuid_row back[8] = {};
	const uint32_t order[] = {5, 4, 3, 1, 2};

	ASSERT_EQ(0, set_table(rows, 5));
	ASSERT_EQ(5, get_table(back, 8));
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(order[i], back[i].eax);
	EXPECT_EQ(0, back[5].eax);
	/* And can be set as they are. */
	ASSERT_EQ(0, set_table(back, 5));
	memset(back, 0xff, sizeof(back));
	ASSERT_EQ(5, get_table(back, 5));
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(order[i], back[i].eax);
}

TEST_F(rows, get_without_room)
{
	struct arch_cpuid_row rows[] = {ROW(2, 0, 5, 0, 0, 0), ROW(3, 0, 5, 0, 0, 0)}, back[2] = {};
	struct arch_cpuid_override arg = {
		.size = sizeof(arg), .nr_rows = 1, .rows = (uintptr_t)back};

	EXPECT_EQ(0, get_table(NULL, 0));
	ASSERT_EQ(0, set_table(rows, 2));
	EXPECT_EQ(2, get_table(NULL, 0));
	EXPECT_EQ(-ENOSPC, arch_prctl(ARCH_GET_CPUID_OVERRIDE, (uintptr_t)&arg));
	EXPECT_EQ(2, arg.nr_rows);
	EXPECT_EQ(0, back[0].eax);
	EXPECT_EQ(-EFAULT, get_table((void *)4096, 2));
}

TEST_F(rows, same_question_twice)
{
	struct arch_cpuid_row rows[] = {ROW(9, 1, 1, 0, 0, 0), ROW(9, 2, 1, 0, 0, 0),
					ROW(9, 1, 1, 0, 0, 0)};
	struct arch_cpuid_row any[] = {ANY_ROW(9, 1, 0, 0, 0), ANY_ROW(9, 2, 0, 0, 0)};

	EXPECT_EQ(-EINVAL, set_table(rows, 3));
	EXPECT_EQ(0, set_table(rows, 2));
	EXPECT_EQ(-EINVAL, set_table(any, 2));
}

TEST_F(rows, unknown_bits)
{
	struct arch_cpuid_row row = ROW(9, 0, 1, 0, 0, 0);

	row.flags = 2;
	EXPECT_EQ(-EINVAL, set_row(row));
	row.flags = 1u << 31;
	EXPECT_EQ(-EINVAL, set_row(row));
	row.flags = 0;
	row.reserved = 1;
	EXPECT_EQ(-EINVAL, set_row(row));
	row.reserved = 0;
	EXPECT_EQ(0, set_row(row));
	row.flags = ARCH_CPUID_ROW_ANY_SUBLEAF;
	row.subleaf = 1;
	EXPECT_EQ(-EINVAL, set_row(row));
}

TEST_F(rows, a_refused_table_leaves_the_old_one)
{
	struct arch_cpuid_row bad = ROW(9, 0, 1, 0, 0, 0);

	ASSERT_EQ(0, set_magic(8));
	bad.reserved = 1;
	EXPECT_EQ(-EINVAL, set_row(bad));
	EXPECT_EQ(-EFAULT, set_table((void *)4096, 1));
	EXPECT_EQ(8, magic());
	EXPECT_EQ(1, get_table(NULL, 0));
}

TEST_F(rows, argument)
{
	unsigned char bytes[8192] = {};
	struct arch_cpuid_override *arg = (void *)bytes;
	struct arch_cpuid_row row = ROW(9, 0, 1, 0, 0, 0);

#define TRY(option) arch_prctl(option, (uintptr_t)arg)
	*arg = (struct arch_cpuid_override){.size = 24, .nr_rows = 1, .rows = (uintptr_t)&row};
	EXPECT_EQ(0, TRY(ARCH_SET_CPUID_OVERRIDE));
	arg->size = 23;
	EXPECT_EQ(-EINVAL, TRY(ARCH_SET_CPUID_OVERRIDE));
	EXPECT_EQ(-EINVAL, TRY(ARCH_GET_CPUID_OVERRIDE));
	arg->size = 0;
	EXPECT_EQ(-EINVAL, TRY(ARCH_SET_CPUID_OVERRIDE));
	arg->size = 40;
	EXPECT_EQ(0, TRY(ARCH_SET_CPUID_OVERRIDE));
	bytes[39] = 1;
	EXPECT_EQ(-E2BIG, TRY(ARCH_SET_CPUID_OVERRIDE));
	EXPECT_EQ(-E2BIG, TRY(ARCH_GET_CPUID_OVERRIDE));
	arg->size = 8192;
	EXPECT_EQ(-E2BIG, TRY(ARCH_SET_CPUID_OVERRIDE));
	arg->size = 24;
	arg->flags = 1;
	EXPECT_EQ(-EINVAL, TRY(ARCH_SET_CPUID_OVERRIDE));
	EXPECT_EQ(-EINVAL, TRY(ARCH_GET_CPUID_OVERRIDE));
	arg->flags = 0;
	arg->reserved = 1;
	EXPECT_EQ(-EINVAL, TRY(ARCH_SET_CPUID_OVERRIDE));
	EXPECT_EQ(-EFAULT, arch_prctl(ARCH_SET_CPUID_OVERRIDE, 0));
	EXPECT_EQ(-EFAULT, arch_prctl(ARCH_GET_CPUID_OVERRIDE, 1UL << 63));
#undef TRY
}

/*
 * A CPU answers a leaf that it lacks with the data of another one, which is not to be taken for a
 * layout. CPUs that fault CPUID have leaf 0xd, but emulated ones may lack it.
 */
TEST_F(rows, layout_leaves_that_the_cpu_lacks)
{
	const uint32_t leaves[] = {XSTATE_LEAF, 0x1d, 0x1e};
	int lacks = 0;

	for (int i = 0; i < 3; i++) {
		uint32_t leaf = leaves[i];
		struct regs noise = cpuid(leaf, 0);

		if (leaf <= cpuid(0, 0).eax)
			continue;
		lacks++;
		EXPECT_EQ(0, set_row(ROW(leaf, 0, 0, 0, 0, 0))) TH_LOG("leaf %#x", leaf);
		EXPECT_EQ(0, set_row(ROW(leaf, 1, 0, 0, 0, 0))) TH_LOG("leaf %#x", leaf);
		EXPECT_EQ(0, set_row(ANY_ROW(leaf, 0, 0, 0, 0))) TH_LOG("leaf %#x", leaf);
		EXPECT_EQ(-EINVAL, set_row(ROW(leaf, 0, 7, 832, 832, 0))) TH_LOG("leaf %#x", leaf);
		if (regs_equal(noise, (struct regs){}))
			continue;
		EXPECT_EQ(-EINVAL, set_regs(leaf, 0, noise)) TH_LOG("leaf %#x", leaf);
	}
	if (!lacks)
		SKIP(return, "the CPU has all of them");
}

/* What is no layout is believed: a bit may be harmless, or be answered for by other means. */
TEST_F(rows, features_are_believed)
{
	struct regs r = cpuid(7, 0);

	r.ebx |= 1u << 9; /* ERMS */
	EXPECT_EQ(0, set_regs(7, 0, r));
	EXPECT_EQ(0, set_row(ROW(0, 0, 13, 0x756e6547, 0x6c65746e, 0x49656e69)));
	EXPECT_EQ(0, set_row(ANY_ROW(0x80000002, 'a', 'b', 'c', 'd')));
}

TEST_HARNESS_MAIN
