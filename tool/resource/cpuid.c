// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of what CPUID answers (ARCH_SET_CPUID_OVERRIDE), of each thread. Kernels without it
 * do not know the call; CPUs that cannot fault CPUID have no tables.
 */
#include <asm/prctl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "kernel/features.h"
#include "kernel/uapi.h"
#include "plan/plan.h"
#include "resource/attribute.h"
#include "resource/attributes.h"

#define MAX_ROWS 256 /* ARCH_CPUID_MAX_ROWS */

#ifndef PTRACE_ARCH_PRCTL
#define PTRACE_ARCH_PRCTL 30
#endif

static int look_cpuid(struct ask *a)
{
	ThreadCoreEntry *tc = a->thread->core->thread_core;
	struct arch_cpuid_row rows[MAX_ROWS];
	struct arch_cpuid_override arg = {
		.size = sizeof(arg),
		.nr_rows = MAX_ROWS,
		.rows = (uintptr_t)rows,
	};
	size_t len;

	if (ptrace(PTRACE_ARCH_PRCTL, a->thread->tid, &arg, ARCH_GET_CPUID_OVERRIDE) < 0)
		return errno == EINVAL || errno == ENODEV || errno == EIO ? 0 : -errno;
	if (!arg.nr_rows)
		return 0;
	len = arg.nr_rows * sizeof(rows[0]);
	tc->cpuid_override.data = malloc(len);
	if (!tc->cpuid_override.data)
		return -ENOMEM;
	memcpy(tc->cpuid_override.data, rows, len);
	tc->cpuid_override.len = len;
	tc->has_cpuid_override = true;
	return 0;
}

static int plan_cpuid(struct plan *p, struct plan_slot *slot, const struct thread *t)
{
	const ThreadCoreEntry *tc = t->core->thread_core;
	struct arch_cpuid_override arg = {.size = sizeof(arg)};
	struct operand data;

	if (!tc->has_cpuid_override || !tc->cpuid_override.len)
		return 0;
	arg.nr_rows = tc->cpuid_override.len / sizeof(struct arch_cpuid_row);
	if (tc->cpuid_override.len % sizeof(struct arch_cpuid_row) || arg.nr_rows > MAX_ROWS)
		return fail_text(&p->run->err, -EBADMSG,
				 "thread %d: its table of CPUID answers has %zu bytes", t->tid,
				 tc->cpuid_override.len);
	if (!feature_has(p->run->features, FEATURE_cpuid_override)) {
		fail_text(&p->run->err, -EOPNOTSUPP,
			  "thread %d: it has a table of %u CPUID answers, which cannot be set here",
			  t->tid, arg.nr_rows);
		return fail_hint(&p->run->err, "this needs a kernel with ARCH_SET_CPUID_OVERRIDE, "
					       "and a CPU that can fault CPUID");
	}
	slot->phase = PHASE_TASK;
	data = plan_data(p, &arg, sizeof(arg));
	plan_pointer(p, data, offsetof(struct arch_cpuid_override, rows),
		     plan_data(p, tc->cpuid_override.data, tc->cpuid_override.len));
	plan_call(p, slot, "table of %ld CPUID answers", arg.nr_rows, __NR_arch_prctl,
		  imm(ARCH_SET_CPUID_OVERRIDE), data);
	return plan_ok(p);
}

const struct attribute attribute_cpuid = {
	.name = "CPUID override",
	.look = look_cpuid,
	.plan = plan_cpuid,
};
