/* SPDX-License-Identifier: GPL-2.0-only */
/* The rows of attributes[], and structures of the kernel that they share. */
#ifndef STASIS_RESOURCE_ATTRIBUTES_H
#define STASIS_RESOURCE_ATTRIBUTES_H

#include <stdint.h>

#include "resource/attribute.h"

/* rt_sigaction(2) as the kernel has it on x86-64. */
struct kernel_sigaction {
	uint64_t handler, flags, restorer, mask;
};

/* sched_setattr(2), as of 5.3; the C library lacks it. */
struct kernel_sched_attr {
	uint32_t size, sched_policy;
	uint64_t sched_flags;
	int32_t sched_nice;
	uint32_t sched_priority;
	uint64_t sched_runtime, sched_deadline, sched_period;
	uint32_t sched_util_min, sched_util_max;
};

extern const struct attribute attribute_registers, attribute_process, attribute_thread,
	attribute_sched, attribute_rlimits, attribute_timers, attribute_sigaction,
	attribute_sigpending, attribute_creds, attribute_fs, attribute_seccomp, attribute_cpuid;

#endif
