// SPDX-License-Identifier: GPL-2.0-only
/* Which tables are accepted, which are refused and with what, and that GET returns what was set. */
#define _GNU_SOURCE
#include "cpuid_test.h"

#include "../kselftest_harness.h"

static uint64_t xgetbv(uint32_t index)
{
	uint32_t a, d;

	asm volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(index));
	return a | (uint64_t)d << 32;
}

FIXTURE(rows)
{
	struct regs main, ext;
};

FIXTURE_SETUP(rows)
{
	const char *why = unsupported();

	if (why)
		SKIP(return, "%s", why);
	if (geteuid())
		SKIP(return, "one table after the other can be set with a capability only");
	self->main = cpuid(XSTATE_LEAF, 0);
	self->ext = cpuid(XSTATE_LEAF, 1);
}

FIXTURE_TEARDOWN(rows)
{
}

static int set_row(struct arch_cpuid_row row)
{
	return set_table(&row, 1);
}

static int set_regs(uint32_t leaf, uint32_t subleaf, struct regs r)
{
	return set_row(ROW(leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx));
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

/* The machine's own answers are always good. */
TEST_F(rows, xsave_as_it_is)
{
	struct arch_cpuid_row rows[64];

	for (uint32_t i = 0; i < 64; i++) {
		struct regs r = cpuid(XSTATE_LEAF, i);

		rows[i] = ROW(XSTATE_LEAF, i, r.eax, r.ebx, r.ecx, r.edx);
	}
	EXPECT_EQ(0, set_table(rows, 64));
	EXPECT_EQ(0, set_regs(XSTATE_LEAF, 0, self->main));
	EXPECT_EQ(0, set_regs(XSTATE_LEAF, 1, self->ext));
}

TEST_F(rows, xsave_components_can_not_be_invented)
{
	for (int bit = 0; bit < 63; bit++) {
		struct regs r = self->main;

		if (bit < 32 ? r.eax & (1u << bit) : r.edx & (1u << (bit - 32)))
			continue;
		if (bit < 32)
			r.eax |= 1u << bit;
		else
			r.edx |= 1u << (bit - 32);
		EXPECT_EQ(-EINVAL, set_regs(XSTATE_LEAF, 0, r)) TH_LOG("component %d", bit);
	}
}

TEST_F(rows, xsave_sizes_can_not_be_invented)
{
	struct regs r = self->main;

	r.ecx++;
	EXPECT_EQ(-EINVAL, set_regs(XSTATE_LEAF, 0, r));
	r = self->main, r.ebx = r.ecx + 1;
	EXPECT_EQ(-EINVAL, set_regs(XSTATE_LEAF, 0, r));
	/* Too small for what is shown: XSAVE would write beyond */
	r = self->main, r.ecx--;
	EXPECT_EQ(-EINVAL, set_regs(XSTATE_LEAF, 0, r));
	if (xgetbv(0) == (self->main.eax | (uint64_t)self->main.edx << 32)) {
		r = self->main, r.ebx--;
		EXPECT_EQ(-EINVAL, set_regs(XSTATE_LEAF, 0, r));
	}
	r = self->ext, r.ebx++;
	EXPECT_EQ(-EINVAL, set_regs(XSTATE_LEAF, 1, r));
	r = self->ext, r.eax |= 1u << 31;
	EXPECT_EQ(-EINVAL, set_regs(XSTATE_LEAF, 1, r));
	r = self->ext, r.ecx |= 1u << 31;
	EXPECT_EQ(-EINVAL, set_regs(XSTATE_LEAF, 1, r));
}

TEST_F(rows, xsave_layout_can_not_be_invented)
{
	struct regs r = cpuid(XSTATE_LEAF, 2);

	if (!(self->main.eax & 4))
		SKIP(return, "the CPU has no AVX state");
	r.eax += 64;
	EXPECT_EQ(-EINVAL, set_regs(XSTATE_LEAF, 2, r));
	r = cpuid(XSTATE_LEAF, 2), r.ebx += 64;
	EXPECT_EQ(-EINVAL, set_regs(XSTATE_LEAF, 2, r));
	r = cpuid(XSTATE_LEAF, 2), r.eax--;
	EXPECT_EQ(-EINVAL, set_regs(XSTATE_LEAF, 2, r));
	/* A component that is shown can't have size 0. */
	EXPECT_EQ(-EINVAL, set_regs(XSTATE_LEAF, 2, (struct regs){}));
	/* One that no CPU has can't have any. */
	EXPECT_EQ(-EINVAL, set_regs(XSTATE_LEAF, 61, (struct regs){64, 4096, 0, 0}));
	EXPECT_EQ(-EINVAL, set_regs(XSTATE_LEAF, 63, (struct regs){64, 4096, 0, 0}));
	EXPECT_EQ(-EINVAL, set_regs(XSTATE_LEAF, 1000, (struct regs){64, 4096, 0, 0}));
	EXPECT_EQ(0, set_regs(XSTATE_LEAF, 1000, (struct regs){}));
	EXPECT_EQ(-EINVAL, set_row(ANY_ROW(XSTATE_LEAF, 7, 832, 832, 0)));
}

TEST_F(rows, xsave_components_can_be_hidden)
{
	struct regs avx = cpuid(XSTATE_LEAF, 2);
	uint32_t size = avx.ebx + avx.eax;
	struct arch_cpuid_row rows[64] = {};

	if (!(self->main.eax & 4))
		SKIP(return, "the CPU has no AVX state");
	/* x87, SSE and AVX only, and nothing of the others */
	rows[0] = ROW(XSTATE_LEAF, 0, 7, size, size, 0);
	rows[1] = ROW(XSTATE_LEAF, 1, self->ext.eax, 0, 0, 0);
	rows[2] = ROW(XSTATE_LEAF, 2, avx.eax, avx.ebx, avx.ecx, avx.edx);
	for (uint32_t i = 3; i < 63; i++)
		rows[i] = ROW(XSTATE_LEAF, i, 0, 0, 0, 0);
	EXPECT_EQ(0, set_table(rows, 63));
	EXPECT_EQ(7, cpuid(XSTATE_LEAF, 0).eax);
	EXPECT_EQ(0, cpuid(XSTATE_LEAF, 5).eax);
	/* The place of hidden ones may also be told as it is. */
	EXPECT_EQ(0, set_table(rows, 3));
	/* But not too small a size. */
	rows[0].ecx = size - 1;
	EXPECT_EQ(-EINVAL, set_table(rows, 3));
	rows[0].ecx = size, rows[0].ebx = size - 1;
	EXPECT_EQ(-EINVAL, set_table(rows, 3));
	/* A size for all that the CPU has does no harm. */
	rows[0].ebx = rows[0].ecx = self->main.ecx;
	EXPECT_EQ(0, set_table(rows, 3));
	/* All of XSAVE */
	EXPECT_EQ(0, set_row(ANY_ROW(XSTATE_LEAF, 0, 0, 0, 0)));
	EXPECT_EQ(0, cpuid(XSTATE_LEAF, 0).ecx);
}

TEST_F(rows, tiles)
{
	struct regs tile = cpuid(0x1d, 1);

	if (cpuid(0, 0).eax < 0x1d)
		tile = (struct regs){};
	EXPECT_EQ(0, set_regs(0x1d, 1, tile));
	EXPECT_EQ(0, set_regs(0x1d, 1, (struct regs){}));
	tile.eax += 64;
	EXPECT_EQ(-EINVAL, set_regs(0x1d, 1, tile));
	EXPECT_EQ(-EINVAL, set_row(ANY_ROW(0x1d, 1, 0, 0, 0)));
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
