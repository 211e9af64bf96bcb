// SPDX-License-Identifier: GPL-2.0-only
#include "resource/attributes.h"

#include <stddef.h>

/*
 * Dump looks in this order (credentials find out whether there are filters);
 * the phases say when restore does what.
 */
const struct attribute *const attributes[] = {
	&attribute_registers, &attribute_process,    &attribute_mlockall, &attribute_thread,
	&attribute_sched,     &attribute_fs,	     &attribute_rlimits,  &attribute_timers,
	&attribute_sigaction, &attribute_sigpending, &attribute_stops,	  &attribute_cpuid,
	&attribute_ctty,      &attribute_creds,	     &attribute_seccomp,  NULL,
};

_Static_assert(sizeof(attributes) / sizeof(attributes[0]) <= MAX_ATTRIBUTES + 1, "MAX_ATTRIBUTES");
