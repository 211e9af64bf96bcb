// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resource limits. The process reads its own: prlimit(2) on another user's task
 * needs CAP_SYS_RESOURCE even for reading.
 */
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "plan/inherited.h"
#include "plan/plan.h"
#include "remote/program.h"
#include "resource/attribute.h"
#include "resource/attributes.h"

static int ask_limits(struct ask *a)
{
	struct rlimit64 *limits;
	uint64_t at;
	int i;

	limits = program_space(a->prog, RLIM_NLIMITS * sizeof(*limits), &at);
	if (!limits)
		return -ENOSPC;
	a->mine = limits;
	for (i = 0; i < RLIM_NLIMITS; i++) {
		if (!program_call(a->prog, SYS_prlimit64, 0, arg_imm(0), arg_imm(i), arg_imm(0),
				  arg_arena(at + i * sizeof(*limits))))
			return -ENOSPC;
	}
	return 0;
}

static int answer_limits(struct ask *a)
{
	TaskRlimitsEntry *e = malloc(sizeof(*e));
	const struct rlimit64 *limits = a->mine;
	int i;

	if (!e)
		return -ENOMEM;
	task_rlimits_entry__init(e);
	a->thread->core->tc->rlimits = e;
	e->rlimits = calloc(RLIM_NLIMITS, sizeof(*e->rlimits));
	if (!e->rlimits)
		return -ENOMEM;
	for (i = 0; i < RLIM_NLIMITS; i++) {
		RlimitEntry *r = malloc(sizeof(*r));

		if (!r)
			return -ENOMEM;
		rlimit_entry__init(r);
		r->cur = limits[i].rlim_cur;
		r->max = limits[i].rlim_max;
		e->rlimits[e->n_rlimits++] = r;
	}
	return 0;
}

/* As /proc/PID/limits has them. */
static const char *const names[RLIM_NLIMITS] = {
	[RLIMIT_CPU] = "cpu time",
	[RLIMIT_FSIZE] = "file size",
	[RLIMIT_DATA] = "data size",
	[RLIMIT_STACK] = "stack size",
	[RLIMIT_CORE] = "core file size",
	[RLIMIT_RSS] = "resident set",
	[RLIMIT_NPROC] = "processes",
	[RLIMIT_NOFILE] = "open files",
	[RLIMIT_MEMLOCK] = "locked memory",
	[RLIMIT_AS] = "address space",
	[RLIMIT_LOCKS] = "file locks",
	[RLIMIT_SIGPENDING] = "pending signals",
	[RLIMIT_MSGQUEUE] = "msgqueue size",
	[RLIMIT_NICE] = "nice priority",
	[RLIMIT_RTPRIO] = "realtime priority",
	[RLIMIT_RTTIME] = "realtime timeout",
};

static int plan_limits(struct plan *p, struct plan_slot *slot, const struct thread *t)
{
	const TaskRlimitsEntry *e = t->core->tc->rlimits;
	const struct inherited *in = p->inherited;
	size_t i;

	slot->phase = PHASE_LIMITS;
	for (i = 0; e && i < e->n_rlimits; i++) {
		uint64_t limit[2] = {e->rlimits[i]->cur, e->rlimits[i]->max};

		if (limit[0] == in->limits[i].cur && limit[1] == in->limits[i].max)
			continue;
		if (limit[1] > in->limits[i].max && !(in->cap_eff >> CAP_SYS_RESOURCE & 1)) {
			fail_text(&p->run->err, -EPERM,
				  "task %d: hard limit '%s' of %llu is above the caller's %llu",
				  slot->tid, names[i], (unsigned long long)limit[1],
				  (unsigned long long)in->limits[i].max);
			return fail_hint(&p->run->err,
					 "raise the caller's limit, or give it CAP_SYS_RESOURCE");
		}
		plan_call(p, slot, "resource limit %ld", i, __NR_prlimit64, imm(0), imm(i),
			  plan_data(p, limit, sizeof(limit)), imm(0));
	}
	return 0;
}

const struct attribute attribute_rlimits = {
	.name = "resource limits",
	.per_process = true,
	.ask = ask_limits,
	.answer = answer_limits,
	.plan = plan_limits,
};
