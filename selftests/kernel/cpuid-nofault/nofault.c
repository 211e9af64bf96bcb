// SPDX-License-Identifier: GPL-2.0-only
/*
 * A CPU that can't fault CPUID: the kernel says ENODEV, to everybody and whatever the argument is,
 * so that it can be probed for.
 */
#define _GNU_SOURCE
#include "../cpuid/cpuid_test.h"

#include <sys/ptrace.h>

#include "../kselftest_harness.h"

#ifndef PTRACE_ARCH_PRCTL
#define PTRACE_ARCH_PRCTL 30
#endif

/* Where 32-bit programs reach as well */
struct low {
	struct arch_cpuid_override arg;
	struct arch_cpuid_row row;
};

FIXTURE(nofault)
{
	struct low *low;
};

FIXTURE_SETUP(nofault)
{
	if (get_table(NULL, 0) == -EINVAL)
		SKIP(return, UNKNOWN_CALL);
	if (cpu_can_fault())
		SKIP(return, "the CPU can fault CPUID");
	ASSERT_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	self->low = mmap(NULL, sizeof(*self->low), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->low);
	self->low->row = ANY_ROW(MAGIC_LEAF, 1, 2, 3, 4);
	self->low->arg = (struct arch_cpuid_override){
		.size = sizeof(self->low->arg), .nr_rows = 1, .rows = (uintptr_t)&self->low->row};
}

FIXTURE_TEARDOWN(nofault)
{
}

typedef int (*call_fn)(int option, const void *arg);

static int native(int option, const void *arg)
{
	return arch_prctl(option, (uintptr_t)arg);
}

static void enodev(struct __test_metadata *_metadata, struct low *low, call_fn call)
{
	EXPECT_EQ(-ENODEV, call(ARCH_GET_CPUID_OVERRIDE, &low->arg));
	EXPECT_EQ(-ENODEV, call(ARCH_SET_CPUID_OVERRIDE, &low->arg));
	EXPECT_EQ(-ENODEV, call(ARCH_GET_CPUID_OVERRIDE, NULL));
	EXPECT_EQ(-ENODEV, call(ARCH_SET_CPUID_OVERRIDE, NULL));
	/* Nor would it be good on another CPU. */
	low->arg.size = 1;
	EXPECT_EQ(-ENODEV, call(ARCH_GET_CPUID_OVERRIDE, &low->arg));
	EXPECT_EQ(-ENODEV, call(ARCH_SET_CPUID_OVERRIDE, &low->arg));
	low->arg.size = sizeof(low->arg);
	low->arg.flags = ~0u;
	EXPECT_EQ(-ENODEV, call(ARCH_GET_CPUID_OVERRIDE, &low->arg));
	EXPECT_EQ(-ENODEV, call(ARCH_SET_CPUID_OVERRIDE, &low->arg));
	low->arg.flags = 0;
	low->arg.nr_rows = ~0u;
	EXPECT_EQ(-ENODEV, call(ARCH_SET_CPUID_OVERRIDE, &low->arg));
	/* Not even nothing can be set. */
	low->arg.nr_rows = 0;
	EXPECT_EQ(-ENODEV, call(ARCH_SET_CPUID_OVERRIDE, &low->arg));
	EXPECT_EQ(0, low->arg.nr_rows);
}

TEST_F(nofault, enodev)
{
	enodev(_metadata, self->low, native);
}

TEST_F(nofault, enodev_for_32_bits)
{
	if (!has_compat_calls())
		SKIP(return, NO_COMPAT_CALLS);
	enodev(_metadata, self->low, compat_arch_prctl);
}

TEST_F(nofault, enodev_without_privileges)
{
	ASSERT_EQ(0, drop_capabilities(0));
	enodev(_metadata, self->low, native);
}

TEST_F(nofault, enodev_for_tracers)
{
	int status;
	pid_t pid = fork();
	long ret;

	ASSERT_LE(0, pid);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSTOPPED(status));
	errno = 0;
	ret = syscall(SYS_ptrace, PTRACE_ARCH_PRCTL, pid, &self->low->arg, ARCH_GET_CPUID_OVERRIDE);
	EXPECT_EQ(-1, ret);
	EXPECT_EQ(ENODEV, errno);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Nothing has come of it. */
TEST_F(nofault, cpuid_answers_as_before)
{
	struct regs real = cpuid(0, 0);

	EXPECT_EQ(-ENODEV, set_magic(7));
	EXPECT_TRUE(regs_equal(real, cpuid(0, 0)));
	EXPECT_EQ(-ENODEV, arch_prctl(ARCH_SET_CPUID, 0));
	EXPECT_EQ(1, syscall(SYS_arch_prctl, ARCH_GET_CPUID, 0));
	EXPECT_TRUE(regs_equal(real, cpuid(0, 0)));
}

TEST_HARNESS_MAIN
