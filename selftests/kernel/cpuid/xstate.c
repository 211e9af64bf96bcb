// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rows about the layout of memory that hardware writes, which are checked against the machine: what
 * is shown of XSAVE's components is there and in its place, and the sizes have room for what the
 * instructions that are shown would write.
 */
#define _GNU_SOURCE
#include "cpuid_test.h"

#include "../kselftest_harness.h"

/* Leaf 1, ECX */
#define XSAVE	(1u << 26)
#define OSXSAVE (1u << 27)
/* Leaf 0xd, subleaf 1, EAX */
#define XSAVEC_AND_XSAVES ((1u << 1) | (1u << 3))
#define XSAVEC		  (1u << 1)
/* x87, SSE and AVX */
#define SMALL 7u

FIXTURE(xstate)
{
	struct regs main, ext, avx, leaf1;
	/* Of an area with x87, SSE and AVX, in either format */
	uint32_t small;
};

FIXTURE_SETUP(xstate)
{
	const char *why = unsupported();

	if (why)
		SKIP(return, "%s", why);
	if (!may_replace())
		SKIP(return, NEEDS_CAPABILITY);
	self->leaf1 = cpuid(1, 0);
	self->main = cpuid(XSTATE_LEAF, 0);
	self->ext = cpuid(XSTATE_LEAF, 1);
	self->avx = cpuid(XSTATE_LEAF, 2);
	self->small = self->avx.ebx + self->avx.eax;
	if (!(self->leaf1.ecx & OSXSAVE) || !(self->main.eax & 4))
		SKIP(return, "the CPU has no AVX state, or the kernel does not use it");
}

FIXTURE_TEARDOWN(xstate)
{
}

/* With these sizes in leaf 0xd, subleaf 0, these features in subleaf 1, and with rows for leaf 1 */
struct sizes {
	uint32_t ebx, ecx, features, compacted;
	const struct arch_cpuid_row *leaf1;
	int nr_leaf1;
};

static int set_small(const FIXTURE_DATA(xstate) * self, struct sizes s)
{
	struct arch_cpuid_row rows[8] = {
		ROW(XSTATE_LEAF, 0, SMALL, s.ebx, s.ecx, 0),
		ROW(XSTATE_LEAF, 1, s.features, s.compacted, 0, 0),
	};

	for (int i = 0; i < s.nr_leaf1; i++)
		rows[2 + i] = s.leaf1[i];
	return set_table(rows, 2 + s.nr_leaf1);
}

#define SET_SMALL(...) set_small(self, (struct sizes){__VA_ARGS__})

/* The machine's own answers are always good. */
TEST_F(xstate, as_it_is)
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

TEST_F(xstate, components_can_not_be_invented)
{
	for (int bit = 0; bit < 64; bit++) {
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

TEST_F(xstate, sizes_can_not_be_invented)
{
	struct regs r = self->main;

	r.ecx++;
	EXPECT_EQ(-EINVAL, set_regs(XSTATE_LEAF, 0, r));
	r = self->main, r.ebx = r.ecx + 1;
	EXPECT_EQ(-EINVAL, set_regs(XSTATE_LEAF, 0, r));
	r = self->ext, r.ebx++;
	EXPECT_EQ(-EINVAL, set_regs(XSTATE_LEAF, 1, r));
	r = self->ext, r.eax |= 1u << 31;
	EXPECT_EQ(-EINVAL, set_regs(XSTATE_LEAF, 1, r));
	r = self->ext, r.ecx |= 1u << 31;
	EXPECT_EQ(-EINVAL, set_regs(XSTATE_LEAF, 1, r));
	r = self->ext, r.edx |= 1u << 31;
	EXPECT_EQ(-EINVAL, set_regs(XSTATE_LEAF, 1, r));
}

TEST_F(xstate, layout_can_not_be_invented)
{
	struct regs r = self->avx;

	r.eax += 64;
	EXPECT_EQ(-EINVAL, set_regs(XSTATE_LEAF, 2, r));
	r = self->avx, r.ebx += 64;
	EXPECT_EQ(-EINVAL, set_regs(XSTATE_LEAF, 2, r));
	r = self->avx, r.eax--;
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

TEST_F(xstate, room_for_what_is_shown)
{
	struct regs r = self->main;

	r.ecx--;
	EXPECT_EQ(-EINVAL, set_regs(XSTATE_LEAF, 0, r));
	r = self->main, r.ebx--;
	EXPECT_EQ(-EINVAL, set_regs(XSTATE_LEAF, 0, r));
}

TEST_F(xstate, components_can_be_hidden)
{
	uint32_t size = self->main.ebx;
	struct arch_cpuid_row rows[63];

	/* x87, SSE and AVX only, and nothing of the others */
	rows[0] = ROW(XSTATE_LEAF, 0, SMALL, size, size, 0);
	rows[1] = ROW(XSTATE_LEAF, 1, self->ext.eax & ~XSAVEC_AND_XSAVES, 0, 0, 0);
	rows[2] = ROW(XSTATE_LEAF, 2, self->avx.eax, self->avx.ebx, self->avx.ecx, self->avx.edx);
	for (uint32_t i = 3; i < 63; i++)
		rows[i] = ROW(XSTATE_LEAF, i, 0, 0, 0, 0);
	EXPECT_EQ(0, set_table(rows, 63));
	EXPECT_EQ(SMALL, cpuid(XSTATE_LEAF, 0).eax);
	EXPECT_EQ(0, cpuid(XSTATE_LEAF, 5).eax);
	/* The place of hidden ones may also be told as it is. */
	EXPECT_EQ(0, set_table(rows, 3));
	/* A size for all that the CPU has does no harm. */
	rows[0].ebx = rows[0].ecx = self->main.ecx;
	EXPECT_EQ(0, set_table(rows, 3));
}

/*
 * XSAVE writes whatever its mask names and XCR0 has, and masks may be constants: hiding components
 * doesn't make the area smaller.
 */
TEST_F(xstate, xsave_needs_the_machines_size)
{
	uint32_t features = self->ext.eax & ~XSAVEC_AND_XSAVES, real = self->main.ebx;

	if (self->small >= real)
		SKIP(return, "no component beyond AVX is enabled, so that none can be hidden");
	EXPECT_EQ(0, SET_SMALL(.ebx = real, .ecx = real, .features = features));
	EXPECT_EQ(-EINVAL, SET_SMALL(.ebx = self->small, .ecx = self->small, .features = features));
	EXPECT_EQ(-EINVAL, SET_SMALL(.ebx = self->small, .ecx = real, .features = features));
	EXPECT_EQ(-EINVAL, SET_SMALL(.ebx = real - 1, .ecx = real, .features = features));
	/* Neither for who takes the size of all components that there are */
	EXPECT_EQ(-EINVAL, SET_SMALL(.ebx = real, .ecx = self->small, .features = features));
	EXPECT_EQ(-EINVAL, SET_SMALL(.ebx = real, .ecx = real - 1, .features = features));
	/* All of XSAVE's leaf is hidden, but it seems to be in use. */
	EXPECT_EQ(-EINVAL, set_row(ANY_ROW(XSTATE_LEAF, 0, 0, 0, 0)));
}

/* Who finds no OSXSAVE does not use XSAVE. */
TEST_F(xstate, without_osxsave_no_room_is_needed)
{
	uint32_t features = self->ext.eax & ~XSAVEC_AND_XSAVES, small = self->small;
	struct regs r = self->leaf1;
	struct arch_cpuid_row none[] = {ANY_ROW(1, r.eax, r.ebx, r.ecx & ~(XSAVE | OSXSAVE), r.edx),
					ANY_ROW(XSTATE_LEAF, 0, 0, 0, 0)};
	struct arch_cpuid_row both[] = {none[0], ROW(1, 5, r.eax, r.ebx, r.ecx, r.edx)};
	struct arch_cpuid_row one = ROW(1, 0, r.eax, r.ebx, r.ecx & ~OSXSAVE, r.edx);
	struct arch_cpuid_row xsave = ANY_ROW(1, r.eax, r.ebx, r.ecx & ~XSAVE, r.edx);

	if (small >= self->main.ebx)
		SKIP(return, "no component beyond AVX is enabled, so that none can be hidden");
	EXPECT_EQ(0, SET_SMALL(.ebx = small, .ecx = small, .features = features, .leaf1 = none,
			       .nr_leaf1 = 1));
	EXPECT_EQ(0, set_table(none, 2));
	EXPECT_EQ(0, cpuid(XSTATE_LEAF, 0).ecx);
	/* But for what is shown nevertheless */
	EXPECT_EQ(-EINVAL, SET_SMALL(.ebx = small - 1, .ecx = small, .features = features,
				     .leaf1 = none, .nr_leaf1 = 1));
	EXPECT_EQ(-EINVAL, SET_SMALL(.ebx = small, .ecx = small - 1, .features = features,
				     .leaf1 = none, .nr_leaf1 = 1));
	/* Hidden is what is hidden whatever is in ECX. */
	EXPECT_EQ(-EINVAL, SET_SMALL(.ebx = small, .ecx = small, .features = features,
				     .leaf1 = both, .nr_leaf1 = 2));
	EXPECT_EQ(-EINVAL, SET_SMALL(.ebx = small, .ecx = small, .features = features,
				     .leaf1 = &one, .nr_leaf1 = 1));
	/* XSAVE says what the CPU has, OSXSAVE what can be used. */
	EXPECT_EQ(-EINVAL, SET_SMALL(.ebx = small, .ecx = small, .features = features,
				     .leaf1 = &xsave, .nr_leaf1 = 1));
}

/* XSAVEC does not write what the CPU knows to be in its initial state, as hidden components are. */
TEST_F(xstate, with_xsavec_room_for_what_is_shown_is_enough)
{
	uint32_t features = self->ext.eax, small = self->small;

	if (!(features & XSAVEC))
		SKIP(return, "the CPU has no XSAVEC");
	EXPECT_EQ(0,
		  SET_SMALL(.ebx = small, .ecx = small, .features = features, .compacted = small));
	EXPECT_EQ(-EINVAL, SET_SMALL(.ebx = small - 1, .ecx = small, .features = features,
				     .compacted = small));
	EXPECT_EQ(-EINVAL, SET_SMALL(.ebx = small, .ecx = small - 1, .features = features,
				     .compacted = small));
	EXPECT_EQ(-EINVAL, SET_SMALL(.ebx = small, .ecx = small, .features = features,
				     .compacted = small - 1));
	EXPECT_EQ(-EINVAL,
		  SET_SMALL(.ebx = small, .ecx = small, .features = features, .compacted = 0));
	EXPECT_EQ(-EINVAL, SET_SMALL(.ebx = small, .ecx = small, .features = features,
				     .compacted = self->ext.ebx + 1));
	/* The size of the compacted format alone */
	EXPECT_EQ(-EINVAL, set_regs(XSTATE_LEAF, 1,
				    (struct regs){features, 0, self->ext.ecx, self->ext.edx}));
}

static void layout_or_nothing(struct __test_metadata *_metadata, uint32_t leaf, uint32_t subleaf)
{
	struct regs r = cpuid(leaf, subleaf);

	if (cpuid(0, 0).eax < leaf)
		r = (struct regs){};
	EXPECT_EQ(0, set_regs(leaf, subleaf, r));
	EXPECT_EQ(0, set_regs(leaf, subleaf, (struct regs){}));
	EXPECT_EQ(0, set_row(ANY_ROW(leaf, 0, 0, 0, 0)));
	r.ebx += 64;
	EXPECT_EQ(-EINVAL, set_regs(leaf, subleaf, r));
	r.ebx -= 64, r.eax += 64;
	EXPECT_EQ(-EINVAL, set_regs(leaf, subleaf, r));
	EXPECT_EQ(-EINVAL, set_row(ANY_ROW(leaf, 1, 0, 0, 0)));
}

TEST_F(xstate, tiles)
{
	layout_or_nothing(_metadata, 0x1d, 1);
}

TEST_F(xstate, multiplication_of_tiles)
{
	layout_or_nothing(_metadata, 0x1e, 0);
}

TEST_HARNESS_MAIN
