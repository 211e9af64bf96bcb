// SPDX-License-Identifier: GPL-2.0-only
/* What a tracer sees: the table of its tracee, and one step for one instruction. */
#define _GNU_SOURCE
#include "cpuid_test.h"

#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>

#include "../kselftest_harness.h"

#ifndef PTRACE_ARCH_PRCTL
#define PTRACE_ARCH_PRCTL 30
#endif

FIXTURE(tracer)
{
	pid_t pid;
};

FIXTURE_SETUP(tracer)
{
	const char *why = unsupported();

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

FIXTURE_TEARDOWN(tracer)
{
	if (self->pid > 0) {
		kill(self->pid, SIGKILL);
		waitpid(self->pid, NULL, 0);
	}
}

extern char before_cpuid[], after_cpuid[];

/* Naked of everything that a compiler could put between the stop and the instruction */
static uint32_t __attribute__((noinline)) ask(uint32_t leaf)
{
	uint32_t a = leaf, b, c = 0, d;

	asm volatile(".globl before_cpuid, after_cpuid\n"
		     "int3\n"
		     "before_cpuid: cpuid\n"
		     "after_cpuid: nop\n"
		     : "+a"(a), "=&b"(b), "+c"(c), "=&d"(d));
	return a;
}

static pid_t start_tracee(void)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	if (set_magic(0x70))
		_exit(90);
	_exit(ask(MAGIC_LEAF) != 0x70);
}

static int wait_for_stop(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return -1;
	return WSTOPSIG(status);
}

static int get_by_ptrace(pid_t pid, int option, struct arch_cpuid_row *rows, uint32_t room)
{
	struct arch_cpuid_override arg = {
		.size = sizeof(arg), .nr_rows = room, .rows = (uintptr_t)rows};

	if (syscall(SYS_ptrace, PTRACE_ARCH_PRCTL, pid, &arg, option) < 0)
		return -errno;
	return arg.nr_rows;
}

TEST_F(tracer, reads_the_tracees_table)
{
	struct arch_cpuid_row rows[2] = {};

	self->pid = start_tracee();
	ASSERT_LT(0, self->pid);
	ASSERT_EQ(SIGTRAP, wait_for_stop(self->pid));
	EXPECT_EQ(1, get_by_ptrace(self->pid, ARCH_GET_CPUID_OVERRIDE, NULL, 0));
	EXPECT_EQ(1, get_by_ptrace(self->pid, ARCH_GET_CPUID_OVERRIDE, rows, 2));
	EXPECT_EQ(MAGIC_LEAF, rows[0].leaf);
	EXPECT_EQ(0x70, rows[0].eax);
	EXPECT_EQ(~0x70u, rows[0].ebx);
	EXPECT_EQ(ARCH_CPUID_ROW_ANY_SUBLEAF, rows[0].flags);
	/* The tracer itself has none. */
	EXPECT_EQ(0, get_table(NULL, 0));
}

TEST_F(tracer, can_not_set_it)
{
	self->pid = start_tracee();
	ASSERT_LT(0, self->pid);
	ASSERT_EQ(SIGTRAP, wait_for_stop(self->pid));
	EXPECT_EQ(-EINVAL, get_by_ptrace(self->pid, ARCH_SET_CPUID_OVERRIDE, NULL, 0));
	EXPECT_EQ(1, get_by_ptrace(self->pid, ARCH_GET_CPUID_OVERRIDE, NULL, 0));
}

TEST_F(tracer, needs_a_stopped_tracee)
{
	pid_t stranger = fork();

	ASSERT_LE(0, stranger);
	if (!stranger) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	EXPECT_EQ(-ESRCH, get_by_ptrace(stranger, ARCH_GET_CPUID_OVERRIDE, NULL, 0));
	/* It is ours, but it runs. */
	EXPECT_EQ(0, ptrace(PTRACE_SEIZE, stranger, 0, 0));
	EXPECT_EQ(-ESRCH, get_by_ptrace(stranger, ARCH_GET_CPUID_OVERRIDE, NULL, 0));
	kill(stranger, SIGKILL);
	waitpid(stranger, NULL, 0);
}

TEST_F(tracer, steps_over_the_instruction_once)
{
	struct user_regs_struct regs;
	siginfo_t info;

	self->pid = start_tracee();
	ASSERT_LT(0, self->pid);
	ASSERT_EQ(SIGTRAP, wait_for_stop(self->pid));
	ASSERT_EQ(0, ptrace(PTRACE_GETREGS, self->pid, 0, &regs));
	ASSERT_EQ((uintptr_t)before_cpuid, regs.rip);

	ASSERT_EQ(0, ptrace(PTRACE_SINGLESTEP, self->pid, 0, 0));
	ASSERT_EQ(SIGTRAP, wait_for_stop(self->pid));
	ASSERT_EQ(0, ptrace(PTRACE_GETREGS, self->pid, 0, &regs));
	EXPECT_EQ((uintptr_t)after_cpuid, regs.rip);
	EXPECT_EQ(0x70, regs.rax);
	ASSERT_EQ(0, ptrace(PTRACE_GETSIGINFO, self->pid, 0, &info));
	EXPECT_EQ(TRAP_TRACE, info.si_code);
	/* The step shows in DR6 as well. */
	EXPECT_EQ(1 << 14,
		  ptrace(PTRACE_PEEKUSER, self->pid, offsetof(struct user, u_debugreg[6]), 0) &
			  (1 << 14));

	ASSERT_EQ(0, ptrace(PTRACE_SINGLESTEP, self->pid, 0, 0));
	ASSERT_EQ(SIGTRAP, wait_for_stop(self->pid));
	ASSERT_EQ(0, ptrace(PTRACE_GETREGS, self->pid, 0, &regs));
	EXPECT_EQ((uintptr_t)after_cpuid + 1, regs.rip);
}

/* TF traps branches then, and CPUID is none. */
TEST_F(tracer, block_step_does_not_stop_at_it)
{
	struct user_regs_struct regs;

	self->pid = start_tracee();
	ASSERT_LT(0, self->pid);
	ASSERT_EQ(SIGTRAP, wait_for_stop(self->pid));
	if (ptrace(PTRACE_SINGLEBLOCK, self->pid, 0, 0))
		SKIP(return, "no PTRACE_SINGLEBLOCK (errno %d)", errno);
	ASSERT_EQ(SIGTRAP, wait_for_stop(self->pid));
	ASSERT_EQ(0, ptrace(PTRACE_GETREGS, self->pid, 0, &regs));
	/* At a branch on a real CPU. Emulators that don't know branch stepping stop after the nop.
	 */
	EXPECT_NE((uintptr_t)after_cpuid, regs.rip);
	EXPECT_NE((uintptr_t)before_cpuid, regs.rip);
}

TEST_F(tracer, lets_it_run)
{
	int status;

	self->pid = start_tracee();
	ASSERT_LT(0, self->pid);
	ASSERT_EQ(SIGTRAP, wait_for_stop(self->pid));
	ASSERT_EQ(0, ptrace(PTRACE_CONT, self->pid, 0, 0));
	ASSERT_EQ(self->pid, waitpid(self->pid, &status, 0));
	self->pid = 0;
	/* No stop in between, and the answer was right. */
	ASSERT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
}

TEST_HARNESS_MAIN
