// SPDX-License-Identifier: GPL-2.0-only
/* The threads of each process, cloned by its leader once memory is in place. */
#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "restore/planner.h"

/* From here on nothing is ignored: what comes is pending, and is taken away or wanted. */
static void block_signals(struct plan *p, struct plan_slot *slot)
{
	static const uint64_t all = ~0ull;

	plan_call(p, slot, "block all signals", 0, __NR_rt_sigprocmask, imm(SIG_SETMASK),
		  plan_data(p, &all, sizeof(all)), imm(0), imm(8));
}

/* What the task had waited for already it does not see again. */
static void await_stopped(struct plan *p, struct task *t)
{
	struct task **c;

	vec_for_each (&t->children, c) {
		const TaskCoreEntry *tc = task_core(*c)->tc;

		if (tc->task_state == TASK_STOPPED)
			plan_call_flags(p, plan_task(t)->slot, "wait until %ld is stopped",
					task_pid(*c), __NR_waitid, STUB_RETRY, imm(P_PID),
					imm(task_pid(*c)), imm(0),
					imm(WSTOPPED | (tc->stop_waited ? 0 : WNOWAIT)), imm(0));
	}
}

static int plan_task_threads(struct plan *p, struct task *t)
{
	struct plan_task *pt = plan_task(t);
	size_t i;

	pt->threads = calloc(t->threads.n, sizeof(*pt->threads));
	if (!pt->threads)
		return fail(&p->run->err, -ENOMEM, "restore plan");
	pt->threads[0] = pt->slot;
	if (task_is_zombie(t))
		return 0;
	pt->slot->phase = PHASE_THREADS;
	await_stopped(p, t);
	block_signals(p, pt->slot);
	for (i = 1; i < t->threads.n; i++) {
		struct thread *th = &t->threads.at[i];
		struct plan_slot *slot = plan_slot_new(p, SLOT_THREAD, t, th, th->tid);

		if (!slot)
			return plan_ok(p);
		slot->parks = true;
		pt->threads[i] = slot;
		plan_clone(p, pt->slot, "create thread %ld", slot, THREAD_FLAGS, 0);
	}
	return 0;
}

int plan_threads(struct plan *p)
{
	struct task **it;
	int ret;

	vec_for_each (&p->cp->tasks, it) {
		ret = plan_task_threads(p, *it);
		if (ret)
			return ret;
	}
	return plan_ok(p);
}
