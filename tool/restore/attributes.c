// SPDX-License-Identifier: GPL-2.0-only
/* State of tasks and threads that is no descriptor and no memory. */
#include "resource/attribute.h"

#include <signal.h>
#include <sys/prctl.h>

#include "plan/inherited.h"
#include "resource/attributes.h"
#include "restore/planner.h"

static int plan_rows(struct plan *p, struct plan_slot *slot, const struct thread *th, bool leader)
{
	const struct attribute *const *a;
	int ret;

	for (a = attributes; *a; a++) {
		if (!(*a)->plan || ((*a)->per_process && !leader))
			continue;
		ret = (*a)->plan(p, slot, th);
		if (ret)
			return ret;
	}
	return 0;
}

static bool has_filters(const struct plan_task *pt, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (pt->threads[i]->head[PHASE_FILTERS] != NO_STEP)
			return true;
	return false;
}

/* A word that all threads but the leader have counted up. */
static struct operand gather_threads(struct plan *p, struct task *t, enum plan_phase phase)
{
	struct plan_task *pt = plan_task(t);
	struct operand word = plan_word(p);
	size_t i;

	for (i = 1; i < t->threads.n; i++) {
		pt->threads[i]->phase = phase;
		plan_signal(p, pt->threads[i], word, t->threads.n - 1);
	}
	return word;
}

/* A change of credentials of any thread makes the process undumpable. */
static void plan_dumpable(struct plan *p, struct task *t)
{
	struct plan_slot *slot = plan_task(t)->slot;
	const MmEntry *m = t->mm->msg;
	int32_t dumpable = m->has_dumpable ? m->dumpable : 1;
	struct operand word;

	/* 2 (readable by root only) is what the kernel sets itself, and cannot be asked for. */
	if (t->mm->owner != t || dumpable > 1 || (dumpable == 1 && !p->creds_change))
		return;
	if (t->threads.n > 1) {
		word = gather_threads(p, t, PHASE_CREDS);
		slot->phase = PHASE_LAST;
		plan_await(p, slot, word, t->threads.n - 1, "wait for the threads' credentials", 0);
	}
	slot->phase = PHASE_LAST;
	plan_call(p, slot, "dumpable %ld", dumpable, __NR_prctl, imm(PR_SET_DUMPABLE),
		  imm(dumpable));
}

/* As the kernel has it: without a parent in another group of the session nobody would wake it. */
static bool is_orphaned(const struct plan *p, pid_t pgid)
{
	struct task **t;

	vec_for_each (&p->cp->tasks, t) {
		const struct plan_task *pt = plan_task(*t);
		const struct task *parent = (*t)->parent;

		if (pt->pgid == pgid && !task_is_zombie(*t) && parent &&
		    plan_task(parent)->pgid != pgid && plan_task(parent)->sid == pt->sid)
			return false;
	}
	return true;
}

/* Signals of terminals stop by their default action, and not in orphaned groups. */
static int stop_signal(const struct plan *p, const struct task *t)
{
	const TaskCoreEntry *tc = task_core(t)->tc;
	int sig = tc->has_stop_signo ? tc->stop_signo : SIGSTOP;

	if (sig != SIGTSTP && sig != SIGTTIN && sig != SIGTTOU)
		return SIGSTOP;
	return sigaction_is_default(t, sig) && !is_orphaned(p, plan_task(t)->pgid) ? sig : SIGSTOP;
}

/*
 * Job control: the process stops itself, when its threads have come to their
 * ends. Its parent waits for that, so that it does not see it happen later.
 */
static void plan_stop(struct plan *p, struct task *t)
{
	struct plan_task *pt = plan_task(t);
	struct operand word = gather_threads(p, t, PHASE_LAST);
	int sig = stop_signal(p, t);
	uint64_t set = 1ull << (sig - 1);
	size_t i;

	for (i = 0; i < t->threads.n; i++)
		pt->threads[i]->stops = true;
	pt->slot->phase = PHASE_LAST;
	if (t->threads.n > 1)
		plan_await(p, pt->slot, word, t->threads.n - 1, "wait for the threads", 0);
	if (sig != SIGSTOP)
		plan_call(p, pt->slot, "let signal %ld through", sig, __NR_rt_sigprocmask,
			  imm(SIG_UNBLOCK), plan_data(p, &set, sizeof(set)), imm(0), imm(8));
	plan_call(p, pt->slot, "stop by signal %ld", sig, __NR_kill, imm(task_pid(t)), imm(sig));
}

static int plan_task_attributes(struct plan *p, struct task *t)
{
	struct plan_task *pt = plan_task(t);
	size_t i;
	int ret;

	for (i = 0; i < t->threads.n; i++) {
		ret = plan_rows(p, pt->threads[i], &t->threads.at[i], !i);
		if (ret)
			return ret;
	}
	if (has_filters(pt, t->threads.n)) {
		p->has_filters = true;
		for (i = 0; i < t->threads.n; i++)
			pt->threads[i]->split = true;
	}
	return 0;
}

int plan_attributes(struct plan *p)
{
	struct task **t;
	int ret = plan_read_inherited(p);

	plan_close_service(p);
	vec_for_each (&p->cp->tasks, t) {
		if (ret)
			return ret;
		if (!task_is_zombie(*t))
			ret = plan_task_attributes(p, *t);
	}
	vec_for_each (&p->cp->tasks, t) {
		if (task_is_zombie(*t))
			continue;
		plan_dumpable(p, *t);
		if (task_core(*t)->tc->task_state == TASK_STOPPED)
			plan_stop(p, *t);
	}
	return ret ? ret : plan_ok(p);
}
