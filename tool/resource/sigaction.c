// SPDX-License-Identifier: GPL-2.0-only
/* Signal actions: rt_sigaction(2), which only the process itself can ask. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "plan/inherited.h"
#include "plan/plan.h"
#include "remote/program.h"
#include "resource/attribute.h"
#include "resource/attributes.h"

#define N_SIGNALS 64

/* SIGKILL and SIGSTOP have no action. */
static bool has_action(int sig)
{
	return sig != SIGKILL && sig != SIGSTOP;
}

static int ask_actions(struct ask *a)
{
	struct kernel_sigaction *act;
	uint64_t at;
	int sig;

	act = program_space(a->prog, N_SIGNALS * sizeof(*act), &at);
	if (!act)
		return -ENOSPC;
	for (sig = 1; sig <= N_SIGNALS; sig++) {
		if (has_action(sig) &&
		    !program_call(a->prog, SYS_rt_sigaction, 0, arg_imm(sig), arg_imm(0),
				  arg_arena(at + (sig - 1) * sizeof(*act)), arg_imm(8)))
			return -ENOSPC;
	}
	a->mine = act;
	return 0;
}

static int answer_actions(struct ask *a)
{
	const struct kernel_sigaction *act = a->mine;
	TaskCoreEntry *tc = a->thread->core->tc;
	int sig;

	tc->sigactions = calloc(N_SIGNALS, sizeof(*tc->sigactions));
	if (!tc->sigactions)
		return -ENOMEM;
	for (sig = 1; sig <= N_SIGNALS; sig++) {
		SaEntry *e;

		if (!has_action(sig))
			continue;
		e = malloc(sizeof(*e));
		if (!e)
			return -ENOMEM;
		sa_entry__init(e);
		e->sigaction = act[sig - 1].handler;
		e->flags = act[sig - 1].flags;
		e->restorer = act[sig - 1].restorer;
		e->mask = act[sig - 1].mask;
		e->has_compat_sigaction = true;
		tc->sigactions[tc->n_sigactions++] = e;
	}
	return 0;
}

/* In the order of answer_actions(): all but SIGKILL and SIGSTOP. */
static int plan_actions(struct plan *p, struct plan_slot *slot, const struct thread *t)
{
	const TaskCoreEntry *tc = t->core->tc;
	size_t i = 0;
	int sig;

	slot->phase = PHASE_SIGNALS;
	for (sig = 1; sig <= N_SIGNALS && i < tc->n_sigactions; sig++) {
		const SaEntry *e;
		struct kernel_sigaction act;

		if (!has_action(sig))
			continue;
		e = tc->sigactions[i++];
		act = (struct kernel_sigaction){e->sigaction, e->flags, e->restorer, e->mask};
		if (!act.handler && !act.flags && !act.restorer && !act.mask)
			continue;
		plan_call(p, slot, "action of signal %ld", sig, __NR_rt_sigaction, imm(sig),
			  plan_data(p, &act, sizeof(act)), imm(0), imm(8));
	}
	return 0;
}

bool sigaction_is_default(const struct task *t, int sig)
{
	const TaskCoreEntry *tc = task_core(t)->tc;
	size_t i = 0;
	int s;

	for (s = 1; s < sig; s++)
		i += has_action(s);
	return i < tc->n_sigactions && tc->sigactions[i]->sigaction == (uintptr_t)SIG_DFL;
}

const struct attribute attribute_sigaction = {
	.name = "signal actions",
	.per_process = true,
	.ask = ask_actions,
	.answer = answer_actions,
	.plan = plan_actions,
};
