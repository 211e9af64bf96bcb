// SPDX-License-Identifier: GPL-2.0-only
/* Blocked and pending signals, by ptrace(2): PTRACE_PEEKSIGINFO. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>

#include "plan/inherited.h"
#include "plan/plan.h"
#include "remote/ptrace.h"
#include "resource/attribute.h"
#include "resource/attributes.h"

#define BATCH 32

static int add_signal(SignalQueueEntry *q, const siginfo_t *si)
{
	SiginfoEntry *e = malloc(sizeof(*e));
	void *grown = realloc(q->signals, (q->n_signals + 1) * sizeof(*q->signals));

	if (grown)
		q->signals = grown;
	if (e)
		siginfo_entry__init(e);
	if (e && grown)
		e->siginfo.data = malloc(sizeof(*si));
	if (!e || !grown || !e->siginfo.data) {
		free(e);
		return -ENOMEM;
	}
	memcpy(e->siginfo.data, si, sizeof(*si));
	e->siginfo.len = sizeof(*si);
	q->signals[q->n_signals++] = e;
	return 0;
}

static int peek_queue(pid_t tid, uint32_t flags, SignalQueueEntry **ret)
{
	struct __ptrace_peeksiginfo_args args = {.flags = flags, .nr = BATCH};
	SignalQueueEntry *q = malloc(sizeof(*q));
	siginfo_t si[BATCH];
	int n, i;

	if (!q)
		return -ENOMEM;
	signal_queue_entry__init(q);
	*ret = q;
	do {
		n = ptrace(PTRACE_PEEKSIGINFO, tid, &args, si);
		if (n < 0)
			return -errno;
		for (i = 0; i < n; i++) {
			if (add_signal(q, &si[i]))
				return -ENOMEM;
		}
		args.off += n;
	} while (n == BATCH);
	return 0;
}

static int look_pending(struct ask *a)
{
	CoreEntry *core = a->thread->core;
	int ret;

	if (a->leader) {
		core->tc->blk_sigset = a->tracee->sigmask;
		ret = peek_queue(a->thread->tid, PTRACE_PEEKSIGINFO_SHARED, &core->tc->signals_s);
		if (ret)
			return ret;
	}
	core->thread_core->has_blk_sigset = true;
	core->thread_core->blk_sigset = a->tracee->sigmask;
	return peek_queue(a->thread->tid, 0, &core->thread_core->signals_p);
}

/* To oneself, a signal may claim any origin (rt_sigqueueinfo(2)). */
static void queue(struct plan *p, struct plan_slot *slot, const SignalQueueEntry *q, bool shared)
{
	pid_t pid = task_pid(slot->task);
	size_t i;

	for (i = 0; q && i < q->n_signals; i++) {
		struct operand info = plan_data(p, q->signals[i]->siginfo.data,
						q->signals[i]->siginfo.len);
		siginfo_t si;

		memcpy(&si, q->signals[i]->siginfo.data, sizeof(si));
		if (shared)
			plan_call(p, slot, "pending signal %ld", si.si_signo, __NR_rt_sigqueueinfo,
				  imm(pid), imm(si.si_signo), info);
		else
			plan_call(p, slot, "pending signal %ld of the thread", si.si_signo,
				  __NR_rt_tgsigqueueinfo, imm(pid), imm(slot->tid),
				  imm(si.si_signo), info);
	}
}

static int plan_pending(struct plan *p, struct plan_slot *slot, const struct thread *t)
{
	slot->phase = PHASE_PENDING;
	if (t->core->tc && slot->kind == SLOT_TASK)
		queue(p, slot, t->core->tc->signals_s, true);
	queue(p, slot, t->core->thread_core->signals_p, false);
	return 0;
}

const struct attribute attribute_sigpending = {
	.name = "pending signals",
	.look = look_pending,
	.plan = plan_pending,
};
