// SPDX-License-Identifier: GPL-2.0-only
/* What CPUID answers with a table: the row, or the machine; and nothing else about the program
 * changes. */
#define _GNU_SOURCE
#include "cpuid_test.h"

#include <sys/user.h>
#include <ucontext.h>

#include "../kselftest_harness.h"

FIXTURE(answers)
{
	int unused;
};

FIXTURE_SETUP(answers)
{
	const char *why = unsupported();

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	/* CPUs of one machine may differ, and have numbers. */
	ASSERT_EQ(0, run_on(sched_getcpu()));
}

FIXTURE_TEARDOWN(answers)
{
}

TEST_F(answers, row_for_one_subleaf)
{
	struct arch_cpuid_row rows[] = {ROW(MAGIC_LEAF, 1, 11, 12, 13, 14),
					ROW(MAGIC_LEAF, 2, 21, 22, 23, 24)};
	struct regs before = cpuid(MAGIC_LEAF, 3);

	ASSERT_EQ(0, set_table(rows, 2));
	EXPECT_TRUE(regs_equal((struct regs){11, 12, 13, 14}, cpuid(MAGIC_LEAF, 1)));
	EXPECT_TRUE(regs_equal((struct regs){21, 22, 23, 24}, cpuid(MAGIC_LEAF, 2)));
	EXPECT_TRUE(regs_equal(before, cpuid(MAGIC_LEAF, 3)));
}

TEST_F(answers, row_for_any_subleaf_yields_to_others)
{
	struct arch_cpuid_row rows[] = {ANY_ROW(MAGIC_LEAF, 1, 2, 3, 4),
					ROW(MAGIC_LEAF, 5, 11, 12, 13, 14),
					ROW(MAGIC_LEAF, ~0u, 21, 22, 23, 24)};

	ASSERT_EQ(0, set_table(rows, 3));
	EXPECT_TRUE(regs_equal((struct regs){1, 2, 3, 4}, cpuid(MAGIC_LEAF, 0)));
	EXPECT_TRUE(regs_equal((struct regs){1, 2, 3, 4}, cpuid(MAGIC_LEAF, 6)));
	EXPECT_TRUE(regs_equal((struct regs){11, 12, 13, 14}, cpuid(MAGIC_LEAF, 5)));
	EXPECT_TRUE(regs_equal((struct regs){21, 22, 23, 24}, cpuid(MAGIC_LEAF, ~0u)));
}

TEST_F(answers, machine_where_there_is_no_row)
{
	struct regs before[32], ext[8];

	for (uint32_t i = 0; i < 32; i++)
		before[i] = cpuid(i, 0);
	for (uint32_t i = 0; i < 8; i++)
		ext[i] = cpuid(0x80000000 + i, 0);
	ASSERT_EQ(0, set_magic(7));
	for (uint32_t i = 0; i < 32; i++) {
		EXPECT_TRUE(regs_equal(before[i], cpuid(i, 0))) TH_LOG("leaf %u", i);
	}
	for (uint32_t i = 0; i < 8; i++)
		EXPECT_TRUE(regs_equal(ext[i], cpuid(0x80000000 + i, 0)));
}

TEST_F(answers, feature_can_be_hidden)
{
	struct regs real = cpuid(7, 0);
	struct arch_cpuid_row row = ROW(7, 0, real.eax, real.ebx & ~(1u << 5), real.ecx, real.edx);

	/* AVX2, or nothing that could be hidden */
	ASSERT_EQ(0, set_table(&row, 1));
	EXPECT_EQ(0, cpuid(7, 0).ebx & (1u << 5));
	EXPECT_EQ(real.ebx & ~(1u << 5), cpuid(7, 0).ebx);
	EXPECT_EQ(real.ecx, cpuid(7, 0).ecx);
}

TEST_F(answers, upper_halves_are_cleared_and_others_kept)
{
	struct arch_cpuid_row row = ANY_ROW(MAGIC_LEAF, 1, 2, 3, ~0u);
	uint64_t a = 0xdead00000000ULL << 16 | MAGIC_LEAF, b = ~0ULL, c = ~0ULL, d = ~0ULL;
	uint64_t si = 0x1111, r8 = 0x8888, r15 = 0xffff;
	register uint64_t r8_ asm("r8");
	register uint64_t r15_ asm("r15");
	uint64_t r8_after, r15_after;

	ASSERT_EQ(0, set_table(&row, 1));
	/* Nothing is called between here and the copies: it may use these registers. */
	r8_ = r8;
	r15_ = r15;
	asm volatile("cpuid" : "+a"(a), "+b"(b), "+c"(c), "+d"(d), "+S"(si), "+r"(r8_), "+r"(r15_));
	r8_after = r8_;
	r15_after = r15_;
	EXPECT_EQ(1, a);
	EXPECT_EQ(2, b);
	EXPECT_EQ(3, c);
	EXPECT_EQ(0xffffffff, d);
	EXPECT_EQ(0x1111, si);
	EXPECT_EQ(r8, r8_after);
	EXPECT_EQ(r15, r15_after);
}

TEST_F(answers, flags_are_kept)
{
	uint64_t before, after;
	uint32_t a = MAGIC_LEAF, b, c = 0, d;

	ASSERT_EQ(0, set_magic(1));
	asm volatile("stc\n std\n pushfq\n pop %[before]\n cpuid\n pushfq\n pop %[after]\n cld"
		     : [before] "=&r"(before), [after] "=&r"(after), "+a"(a), "=&b"(b), "+c"(c),
		       "=&d"(d)
		     :
		     : "cc");
	EXPECT_EQ(before, after);
	EXPECT_EQ(1, a);
}

TEST_F(answers, prefixed_instruction)
{
	uint32_t a = MAGIC_LEAF, b, c = 0, d;

	ASSERT_EQ(0, set_magic(5));
	asm volatile(".byte 0x66, 0x48, 0x0f, 0xa2" : "+a"(a), "=&b"(b), "+c"(c), "=&d"(d));
	EXPECT_EQ(5, a);
}

/* push %rbx; mov %edi, %eax; xor %ecx, %ecx; cpuid; pop %rbx; ret */
static const unsigned char body[] = {0x53, 0x89, 0xf8, 0x31, 0xc9, 0x0f, 0xa2, 0x5b, 0xc3};

#define UP_TO_0F 6

/* Two pages, with the function so that @before of its bytes are in the first one, or NULL */
static unsigned char *two_pages(size_t before)
{
	unsigned char *code = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				   -1, 0);

	if (code == MAP_FAILED)
		return NULL;
	memcpy(code + 4096 - before, body, sizeof(body));
	return code;
}

static uint32_t call(unsigned char *code, size_t before)
{
	return ((uint32_t(*)(uint32_t))(code + 4096 - before))(MAGIC_LEAF);
}

TEST_F(answers, instruction_across_pages)
{
	unsigned char *code = two_pages(UP_TO_0F);

	ASSERT_NE(NULL, code);
	ASSERT_EQ(0, mprotect(code, 8192, PROT_READ | PROT_EXEC));
	ASSERT_EQ(0, set_magic(9));
	EXPECT_EQ(9, call(code, UP_TO_0F));
}

/* The last bytes of a mapping: the kernel must not ask for more than there is. */
TEST_F(answers, instruction_at_the_end_of_memory)
{
	unsigned char *code = two_pages(sizeof(body));

	ASSERT_NE(NULL, code);
	ASSERT_EQ(0, munmap(code + 4096, 4096));
	ASSERT_EQ(0, mprotect(code, 4096, PROT_READ | PROT_EXEC));
	ASSERT_EQ(0, set_magic(9));
	EXPECT_EQ(9, call(code, sizeof(body)));
}

static int reads(void *data)
{
	return *(volatile unsigned char *)data & 0;
}

/* With protection keys PROT_EXEC alone is memory that can be executed but not read. */
#define NEEDS_KEYS "the CPU has no protection keys, or the kernel does not use them"

static bool has_keys(void)
{
	return cpuid(0, 0).eax >= 7 && cpuid(7, 0).ecx & (1u << 4);
}

TEST_F(answers, instruction_that_can_only_be_executed)
{
	unsigned char *code = two_pages(sizeof(body));

	if (!has_keys())
		SKIP(return, NEEDS_KEYS);
	ASSERT_NE(NULL, code);
	ASSERT_EQ(0, mprotect(code, 8192, PROT_EXEC));
	ASSERT_EQ(128 + SIGSEGV, in_child(reads, code));
	ASSERT_EQ(0, set_magic(9));
	EXPECT_EQ(9, call(code, sizeof(body)));
}

TEST_F(answers, instruction_whose_second_half_can_only_be_executed)
{
	unsigned char *code = two_pages(UP_TO_0F);

	if (!has_keys())
		SKIP(return, NEEDS_KEYS);
	ASSERT_NE(NULL, code);
	ASSERT_EQ(0, mprotect(code, 4096, PROT_READ | PROT_EXEC));
	ASSERT_EQ(0, mprotect(code + 4096, 4096, PROT_EXEC));
	ASSERT_EQ(0, in_child(reads, code));
	ASSERT_EQ(128 + SIGSEGV, in_child(reads, code + 4096));
	ASSERT_EQ(0, set_magic(9));
	EXPECT_EQ(9, call(code, UP_TO_0F));
}

static int other_fault(void *data)
{
	/* hlt is a #GP as well, and is not ours. */
	asm volatile("hlt");
	return 0;
}

TEST_F(answers, other_faults_are_still_sigsegv)
{
	ASSERT_EQ(0, set_magic(1));
	EXPECT_EQ(128 + SIGSEGV, in_child(other_fault, NULL));
}

static volatile sig_atomic_t segvs;

static void on_segv(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	segvs++;
	uc->uc_mcontext.gregs[REG_RAX] = 0x5e9;
	uc->uc_mcontext.gregs[REG_RIP] += 2;
}

TEST_F(answers, arch_set_cpuid_comes_first)
{
	struct sigaction action = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO};

	sigaction(SIGSEGV, &action, NULL);
	ASSERT_EQ(0, set_magic(3));
	EXPECT_EQ(3, magic());
	EXPECT_EQ(0, segvs);
	EXPECT_EQ(1, syscall(SYS_arch_prctl, ARCH_GET_CPUID, 0));

	ASSERT_EQ(0, arch_prctl(ARCH_SET_CPUID, 0));
	EXPECT_EQ(0, syscall(SYS_arch_prctl, ARCH_GET_CPUID, 0));
	EXPECT_EQ(0x5e9, magic());
	EXPECT_EQ(1, segvs);
	/* The table is there all the same. */
	EXPECT_EQ(1, get_table(NULL, 0));

	ASSERT_EQ(0, arch_prctl(ARCH_SET_CPUID, 1));
	EXPECT_EQ(1, syscall(SYS_arch_prctl, ARCH_GET_CPUID, 0));
	EXPECT_EQ(3, magic());
	EXPECT_EQ(1, segvs);
}

TEST_F(answers, arch_set_cpuid_without_a_table_is_as_ever)
{
	struct sigaction action = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO};
	struct regs real = cpuid(0, 0);

	sigaction(SIGSEGV, &action, NULL);
	segvs = 0;
	ASSERT_EQ(0, arch_prctl(ARCH_SET_CPUID, 0));
	cpuid(0, 0);
	EXPECT_EQ(1, segvs);
	ASSERT_EQ(0, arch_prctl(ARCH_SET_CPUID, 1));
	EXPECT_TRUE(regs_equal(real, cpuid(0, 0)));
	EXPECT_EQ(1, segvs);
}

TEST_F(answers, removed_table)
{
	struct regs real = cpuid(MAGIC_LEAF, 77);

	if (!may_replace())
		SKIP(return, NEEDS_CAPABILITY);
	ASSERT_EQ(0, set_magic(3));
	EXPECT_EQ(3, magic());
	ASSERT_EQ(0, set_table(NULL, 0));
	EXPECT_EQ(0, get_table(NULL, 0));
	EXPECT_TRUE(regs_equal(real, cpuid(MAGIC_LEAF, 77)));
}

TEST_F(answers, replaced_table)
{
	struct regs real = cpuid(MAGIC_LEAF + 1, 0);
	struct arch_cpuid_row row = ANY_ROW(MAGIC_LEAF + 1, 9, 9, 9, 9);

	if (!may_replace())
		SKIP(return, NEEDS_CAPABILITY);
	ASSERT_EQ(0, set_table(&row, 1));
	EXPECT_EQ(9, cpuid(MAGIC_LEAF + 1, 0).eax);
	ASSERT_EQ(0, set_magic(4));
	EXPECT_EQ(4, magic());
	EXPECT_TRUE(regs_equal(real, cpuid(MAGIC_LEAF + 1, 0)));
}

TEST_HARNESS_MAIN
