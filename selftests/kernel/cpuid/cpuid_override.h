/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ARCH_{GET,SET}_CPUID_OVERRIDE for programs that are built with the headers of any kernel. The one
 * place for these names outside of the kernel patches.
 */
#ifndef CPUID_OVERRIDE_H
#define CPUID_OVERRIDE_H

#include <asm/prctl.h>
#include <linux/types.h>

#ifdef ARCH_SET_CPUID_OVERRIDE
#include <asm/cpuid_override.h>
#else

#define ARCH_GET_CPUID_OVERRIDE 0x1013
#define ARCH_SET_CPUID_OVERRIDE 0x1014

#define ARCH_CPUID_ROW_ANY_SUBLEAF    (1U << 0)
#define ARCH_CPUID_MAX_ROWS	      256
#define ARCH_CPUID_OVERRIDE_SIZE_VER0 24

struct arch_cpuid_row {
	__u32 leaf;
	__u32 subleaf;
	__u32 flags;
	__u32 eax;
	__u32 ebx;
	__u32 ecx;
	__u32 edx;
	__u32 reserved;
};

struct arch_cpuid_override {
	__u32 size;
	__u32 flags;
	__u32 nr_rows;
	__u32 reserved;
	__u64 rows;
};
#endif

#endif
