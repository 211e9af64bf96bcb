// SPDX-License-Identifier: GPL-2.0-only
/*
 * Code of 32 and 16 bits, and system calls of the 32-bit kind. All of it from a program of 64 bits,
 * which jumps into segments of other sizes: no compiler for 32 bits is needed.
 */
#define _GNU_SOURCE
#include "cpuid_test.h"

#include <asm/ldt.h>
#include <ucontext.h>

#include "../kselftest_harness.h"

#define USER32_CS 0x23
#define PAGE	  4096

/* Entries of the LDT: one, and one whose selector has the highest bit set */
#define SEGMENT	     1
#define HIGH_SEGMENT 4096

/*
 * ask_from(leaf, stack, target) jumps to the code at target, a far pointer, on a stack that can be
 * addressed with 32 bits; that jumps back. All of this is copied to where 32 bits reach, and the
 * way back is filled in. Far jumps do without the stack: QEMU's software emulation takes a far
 * call's accesses to the stack for the kernel's, and SMAP forbids them.
 */
asm(".pushsection .text\n"
    "ask_from:\n"
    "	push	%rbx\n"
    "	xchg	%rsp, %rsi\n"
    "	push	%rsi\n"
    "	mov	%edi, %eax\n"
    "	xor	%ecx, %ecx\n"
    "	ljmp	*(%rdx)\n"
    "ask_return:\n"
    "	pop	%rsp\n"
    "	pop	%rbx\n"
    "	ret\n"
    "in_32_bits:\n"
    "	cpuid\n"
    "	.byte	0xea\n" /* ljmp $0x33, $back */
    "back_32:\n"
    "	.long	0\n"
    "	.word	0x33\n"
    "in_16_bits:\n"
    "	cpuid\n"
    "	.byte	0x66, 0xea\n"
    "back_16:\n"
    "	.long	0\n"
    "	.word	0x33\n"
    "ask_end:\n"
    ".popsection\n");

extern const char ask_from[], ask_return[], in_32_bits[], back_32[], in_16_bits[], back_16[],
	ask_end[];

struct far_pointer {
	uint32_t offset;
	uint16_t selector;
} __attribute__((packed));

/* A page of code, one of stack, one of data */
struct low {
	unsigned char code[PAGE], stack[PAGE];
	struct far_pointer target;
	struct arch_cpuid_override arg;
	struct arch_cpuid_row row;
};

FIXTURE(code32)
{
	struct low *low;
};

FIXTURE_SETUP(code32)
{
	const char *why = unsupported();
	uint32_t back;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	self->low = mmap(NULL, sizeof(*self->low), PROT_READ | PROT_WRITE | PROT_EXEC,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->low);
	memcpy(self->low->code, ask_from, ask_end - ask_from);
	back = (uintptr_t)self->low->code + (ask_return - ask_from);
	memcpy(self->low->code + (back_32 - ask_from), &back, sizeof(back));
	memcpy(self->low->code + (back_16 - ask_from), &back, sizeof(back));
}

FIXTURE_TEARDOWN(code32)
{
}

static uint32_t ask_in(struct low *low, uint32_t offset, uint16_t selector)
{
	uint32_t (*call)(uint32_t, void *, void *) = (void *)low->code;

	low->target = (struct far_pointer){offset, selector};
	return call(MAGIC_LEAF, low->stack + PAGE, &low->target);
}

TEST_F(code32, segment_of_32_bits)
{
	struct low *low = self->low;
	uint32_t offset = (uintptr_t)low->code + (in_32_bits - ask_from);

	EXPECT_EQ(cpuid(MAGIC_LEAF, 0).eax, ask_in(low, offset, USER32_CS));
	ASSERT_EQ(0, set_magic(0x3232));
	EXPECT_EQ(0x3232, ask_in(low, offset, USER32_CS));
	EXPECT_EQ(0x3232, magic());
}

#define SELECTOR(entry) ((entry) << 3 | 7)
#define NEEDS_LDT	"modify_ldt() does not work (errno %d)"

/* With a base as well, so that the instruction is not where the instruction pointer points to */
static void segment_with_base(struct __test_metadata *_metadata, struct low *low,
			      unsigned int entry, bool wide, const char *code, uint32_t answer)
{
	struct user_desc segment = {
		.entry_number = entry,
		.base_addr = (uintptr_t)low->code,
		.limit = PAGE - 1,
		.seg_32bit = wide,
		.contents = MODIFY_LDT_CONTENTS_CODE,
	};

	if (syscall(SYS_modify_ldt, 1, &segment, sizeof(segment)))
		SKIP(return, NEEDS_LDT, errno);
	ASSERT_EQ(0, set_magic(answer));
	EXPECT_EQ(answer, ask_in(low, code - ask_from, SELECTOR(entry)));
}

TEST_F(code32, segment_of_32_bits_with_a_base)
{
	segment_with_base(_metadata, self->low, SEGMENT, true, in_32_bits, 0x3132);
}

TEST_F(code32, segment_of_16_bits)
{
	segment_with_base(_metadata, self->low, SEGMENT, false, in_16_bits, 0x1616);
}

TEST_F(code32, segment_in_the_upper_half_of_the_ldt)
{
	segment_with_base(_metadata, self->low, HIGH_SEGMENT, true, in_32_bits, 0x4096);
}

/* A base from which the code is reached by going round at 4 GiB */
#define WRAPPING_BASE 0xffff0000u

static uint32_t wrapping_offset(const struct low *low)
{
	return (uintptr_t)low->code + (in_32_bits - ask_from) - WRAPPING_BASE;
}

static struct low *faulting;

/* A #GP of the instruction, and not a page fault for want of it */
static void on_segv(int sig, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)sig;
	if (info->si_code != SI_KERNEL || (uint32_t)regs[REG_RIP] != wrapping_offset(faulting))
		_exit(89);
	regs[REG_RAX] = 0x5e9;
	regs[REG_RIP] += 2;
}

/* Whether a program with SIGSEGV for CPUID gets through there. Not all emulated CPUs do. */
static int ask_by_signal(void *data)
{
	struct sigaction action = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	static char stack[1 << 16];
	stack_t other = {.ss_sp = stack, .ss_size = sizeof(stack)};

	faulting = data;
	if (sigaltstack(&other, NULL) || sigaction(SIGSEGV, &action, NULL) ||
	    arch_prctl(ARCH_SET_CPUID, 0))
		return 90;
	return ask_in(faulting, wrapping_offset(faulting), SELECTOR(SEGMENT)) != 0x5e9;
}

TEST_F(code32, segment_that_wraps)
{
	struct user_desc segment = {
		.entry_number = SEGMENT,
		.base_addr = WRAPPING_BASE,
		.limit = 0xfffff,
		.limit_in_pages = 1,
		.seg_32bit = 1,
		.contents = MODIFY_LDT_CONTENTS_CODE,
	};

	if (syscall(SYS_modify_ldt, 1, &segment, sizeof(segment)))
		SKIP(return, NEEDS_LDT, errno);
	if (in_child(ask_by_signal, self->low))
		SKIP(return, "the CPU does not wrap addresses at 4 GiB; is it emulated?");
	ASSERT_EQ(0, set_magic(0x4141));
	EXPECT_EQ(0x4141, ask_in(self->low, wrapping_offset(self->low), SELECTOR(SEGMENT)));
}

/* The structures are the same for both, so that a table is set and read by either. */
TEST_F(code32, compat_calls)
{
	struct low *low = self->low;
	struct arch_cpuid_row row = {};

	low->arg = (struct arch_cpuid_override){.size = sizeof(low->arg)};
	if (!has_compat_calls())
		SKIP(return, NO_COMPAT_CALLS);
	EXPECT_EQ(0, compat_arch_prctl(ARCH_GET_CPUID_OVERRIDE, &low->arg));
	EXPECT_EQ(0, low->arg.nr_rows);

	low->row = ANY_ROW(MAGIC_LEAF, 0x80, 1, 2, 3);
	low->arg.nr_rows = 1;
	low->arg.rows = (uintptr_t)&low->row;
	ASSERT_EQ(0, compat_arch_prctl(ARCH_SET_CPUID_OVERRIDE, &low->arg));
	EXPECT_EQ(0x80, magic());
	ASSERT_EQ(1, get_table(&row, 1));
	EXPECT_EQ(0, memcmp(&row, &low->row, sizeof(row)));

	memset(&low->row, 0, sizeof(low->row));
	EXPECT_EQ(0, compat_arch_prctl(ARCH_GET_CPUID_OVERRIDE, &low->arg));
	EXPECT_EQ(0, memcmp(&row, &low->row, sizeof(row)));
	low->arg.size--;
	EXPECT_EQ(-EINVAL, compat_arch_prctl(ARCH_GET_CPUID_OVERRIDE, &low->arg));
	EXPECT_EQ(-EFAULT, compat_arch_prctl(ARCH_GET_CPUID_OVERRIDE, NULL));
}

TEST_HARNESS_MAIN
