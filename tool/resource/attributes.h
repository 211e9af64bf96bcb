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

extern const struct attribute attribute_registers, attribute_process, attribute_thread,
	attribute_sched, attribute_rlimits, attribute_timers, attribute_sigaction,
	attribute_sigpending, attribute_stops, attribute_mlockall, attribute_creds, attribute_fs,
	attribute_seccomp, attribute_cpuid, attribute_ctty;

/* Restore: whether @sig, which is not SIGKILL or SIGSTOP, does to @t what it does by default. */
bool sigaction_is_default(const struct task *t, int sig);

#endif
