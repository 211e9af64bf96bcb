// SPDX-License-Identifier: GPL-2.0-only
#include "resource/attributes.h"

#include <stddef.h>

/* In the order in which restore sets them; what takes privileges away comes last. */
const struct attribute *const attributes[] = {
	&attribute_registers,  &attribute_process, &attribute_thread, &attribute_sched,
	&attribute_fs,	       &attribute_rlimits, &attribute_timers, &attribute_sigaction,
	&attribute_sigpending, &attribute_seccomp, &attribute_creds,  NULL,
};

_Static_assert(sizeof(attributes) / sizeof(attributes[0]) <= MAX_ATTRIBUTES + 1, "MAX_ATTRIBUTES");
