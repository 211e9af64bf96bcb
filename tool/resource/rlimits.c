// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resource limits. The process reads its own: prlimit(2) on another user's task
 * needs CAP_SYS_RESOURCE even for reading.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>

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

const struct attribute attribute_rlimits = {
	.name = "resource limits",
	.per_process = true,
	.ask = ask_limits,
	.answer = answer_limits,
};
