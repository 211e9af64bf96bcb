// SPDX-License-Identifier: GPL-2.0-only
/* What only kernels with kernel-patches/ have; elsewhere these are skipped. */
#include <asm/prctl.h>
#include <cpuid.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "factory/factory.h"
#include "kernel/cpuid/cpuid_override.h"

#define LEAF 0x40000f00

static void set_cpuid(uint32_t answer)
{
	struct arch_cpuid_row row[] = {
		{.leaf = LEAF, .subleaf = 7, .eax = answer, .ebx = 2, .ecx = 3, .edx = 4},
		{.leaf = LEAF, .flags = ARCH_CPUID_ROW_ANY_SUBLEAF, .eax = answer + 1},
	};
	struct arch_cpuid_override arg = {
		.size = sizeof(arg), .nr_rows = 2, .rows = (uintptr_t)row};

	if (syscall(SYS_arch_prctl, ARCH_SET_CPUID_OVERRIDE, &arg))
		skip("no CPUID override: %s", strerror(errno));
}

static void check_cpuid(uint32_t answer)
{
	uint32_t a, b, c, d;

	__cpuid_count(LEAF, 7, a, b, c, d);
	CHECK_EQ(a, answer);
	CHECK_EQ(b, 2);
	CHECK_EQ(c, 3);
	CHECK_EQ(d, 4);
	__cpuid_count(LEAF, 1, a, b, c, d);
	CHECK_EQ(a, answer + 1);
	CHECK_EQ(b, 0);
}

static void *thread_with_cpuid(void *arg)
{
	set_cpuid(0x2000);
	pthread_barrier_wait(arg);
	hold_peer();
	check_cpuid(0x2000);
	return NULL;
}

static void *thread_without_change(void *arg)
{
	pthread_barrier_wait(arg);
	hold_peer();
	check_cpuid(0x1000);
	return NULL;
}

KIND(cpuid_override, "a table of CPUID answers, and another in one thread",
     .no_criu = "CRIU knows no CPUID override")
{
	pthread_barrier_t b;
	pthread_t one, two;

	set_cpuid(0x1000);
	pthread_barrier_init(&b, NULL, 3);
	pthread_create(&one, NULL, thread_with_cpuid, &b);
	pthread_create(&two, NULL, thread_without_change, &b);
	pthread_barrier_wait(&b);
	hold();
	check_cpuid(0x1000);
	pthread_join(one, NULL);
	pthread_join(two, NULL);
}
