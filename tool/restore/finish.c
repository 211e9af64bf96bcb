// SPDX-License-Identifier: GPL-2.0-only
/*
 * The last stage, from outside: with every thread stopped by ptrace, the stub
 * is unmapped by a call made from the task's own vDSO, extended and general
 * registers and the signal mask are set, and the threads are let go. Until
 * then PTRACE_O_EXITKILL takes them along if their tracer dies: the guardian, which lets
 * them all go though we are killed meanwhile.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/scripts.h"
#include "remote/ptrace.h"
#include "resource/regs.h"
#include "restore/execute.h"

#ifndef NT_X86_XSTATE
#define NT_X86_XSTATE 0x202
#endif
#ifndef PTRACE_O_SUSPEND_SECCOMP
#define PTRACE_O_SUSPEND_SECCOMP (1 << 21)
#endif

struct finisher {
	size_t n;
	struct {
		const struct plan_slot *slot;
		struct tracee t;
	} at[];
};

void finisher_free(struct finisher *f)
{
	free(f);
}

static int lost(struct execution *x, const struct plan_slot *s, int code, const char *what)
{
	return fail(&x->run->err, code, "task %d, thread %d: %s", task_pid(s->task), s->tid, what);
}

static struct finisher *make_finisher(struct execution *x)
{
	struct finisher *f = calloc(1, sizeof(*f) + x->p->slots.n * sizeof(f->at[0]));
	struct plan_slot **s;

	if (!f)
		return NULL;
	vec_for_each (&x->p->slots, s)
		if ((*s)->parks)
			f->at[f->n++].slot = *s;
	return f;
}

/* A thread that helped to fill memory says so before it ends: its last steps need the stub. */
static int await_fillers(struct execution *x)
{
	const struct timespec pause = {.tv_nsec = 100000};
	struct plan_slot **s;
	int ret;

	vec_for_each (&x->p->slots, s) {
		if ((*s)->kind != SLOT_FILLER)
			continue;
		while (!syscall(SYS_tgkill, task_pid((*s)->task), (*s)->tid, 0)) {
			ret = run_check_time(x->run, "restoring the tasks");
			if (ret)
				return ret;
			nanosleep(&pause, NULL);
		}
	}
	return 0;
}

static int stop_all(struct execution *x, struct finisher *f)
{
	long options = PTRACE_O_EXITKILL;
	size_t i;
	int ret;

	if (x->p->has_filters)
		options |= PTRACE_O_SUSPEND_SECCOMP;
	for (i = 0; i < f->n; i++) {
		ret = tracee_seize(&f->at[i].t, f->at[i].slot->tid, options);
		if (ret)
			lost(x, f->at[i].slot, ret, "cannot be traced");
		if (ret == -EPERM)
			fail_hint(&x->run->err, "run as root, or with CAP_SYS_PTRACE where "
						"kernel.yama.ptrace_scope is not 0");
		if (ret)
			return ret;
	}
	for (i = 0; i < f->n; i++) {
		ret = tracee_wait_seized(&f->at[i].t);
		if (ret)
			return lost(x, f->at[i].slot, ret, "does not stop");
	}
	return 0;
}

/* What comes after filters are set (PHASE_FILTERS): run by the stopped threads' stubs. */
static int run_second(struct execution *x, struct finisher *f)
{
	size_t i;
	int ret;

	if (!x->p->has_filters)
		return 0;
	execution_head(x)->goal = x->p->n_parking + x->p->n_parking_second;
	for (i = 0; i < f->n; i++) {
		const struct plan_slot *s = f->at[i].slot;
		struct stub_slot *slot = execution_slot(x, s);

		if (!s->split)
			continue;
		slot->program = s->second;
		slot->n_ops = s->n_second;
		__atomic_add_fetch(&slot->go, 1, __ATOMIC_RELEASE);
		ret = tracee_continue(&f->at[i].t);
		if (ret)
			return lost(x, s, ret, "cannot be continued");
	}
	ret = execute_wait(x, x->p->n_parking + x->p->n_parking_second);
	for (i = 0; !ret && i < f->n; i++) {
		if (!f->at[i].slot->split)
			continue;
		ret = tracee_interrupt(&f->at[i].t);
		if (ret)
			return lost(x, f->at[i].slot, ret, "does not stop");
	}
	return ret;
}

/* One leader per address space, after all its threads and sharers are stopped. */
static bool unmaps(const struct plan_slot *s)
{
	return s->kind == SLOT_TASK && s->task->mm && s->task->mm->owner == s->task;
}

static int go_on(struct execution *x, struct tracee *t, const struct plan_slot *s)
{
	if (ptrace(PTRACE_SYSCALL, t->tid, NULL, NULL))
		return lost(x, s, -errno, "unmap the stub");
	return 0;
}

/* Wait for the stop at the entry or the exit of the call. */
static int await_call(struct execution *x, struct tracee *t, const struct plan_slot *s)
{
	int status, ret;

	for (;;) {
		if (waitpid(t->tid, &status, __WALL) != t->tid || !WIFSTOPPED(status))
			return lost(x, s, -ECHILD, "died while the stub was unmapped");
		/* A task in job-control stop reports that first. */
		if (status >> 16 != PTRACE_EVENT_STOP)
			return 0;
		ret = go_on(x, t, s);
		if (ret)
			return ret;
	}
}

/*
 * Unmap stub and arena by a call from the task's own vDSO, in three rounds over
 * all tasks: start, entered, left. (Single-stepping would take fewer stops, but
 * its SIGTRAP resets that signal's action where it is blocked or ignored.)
 */
static int unmap_round(struct execution *x, struct tracee *t, const struct plan_slot *s, int round)
{
	struct plan *p = x->p;
	struct user_regs_struct r = t->regs;
	int ret;

	if (round == 0) {
		r.rip = plan_task(s->task)->vdso + p->vdso.syscall_at;
		r.rax = __NR_munmap;
		r.orig_rax = -1;
		r.rdi = p->arena_at;
		r.rsi = p->arena_len + p->text_len;
		ret = tracee_set_regs(t, &r);
		return ret ? lost(x, s, ret, "registers") : go_on(x, t, s);
	}
	ret = await_call(x, t, s);
	if (ret || round == 1)
		return ret ? ret : go_on(x, t, s);
	ret = tracee_get_regs(t, &r);
	if (!ret)
		ret = (long)r.rax;
	return ret ? lost(x, s, ret, "unmap the stub") : 0;
}

static int unmap_all(struct execution *x, struct finisher *f)
{
	int round, ret;
	size_t i;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < f->n; i++) {
			if (!unmaps(f->at[i].slot))
				continue;
			ret = unmap_round(x, &f->at[i].t, f->at[i].slot, round);
			if (ret)
				return ret;
		}
	}
	return 0;
}

static uint64_t signal_mask(const struct thread *th)
{
	const CoreEntry *c = th->core;

	if (c->thread_core && c->thread_core->has_blk_sigset)
		return c->thread_core->blk_sigset;
	return c->tc ? c->tc->blk_sigset : 0;
}

static int set_state(struct execution *x, struct tracee *t, const struct plan_slot *s,
		     const struct xsave_layout *layout)
{
	static const char none[] = "extended registers";
	_Alignas(64) uint8_t xstate[XSTATE_MAX];
	size_t len = sizeof(xstate);
	struct user_regs_struct regs;
	struct iovec iov = {.iov_base = xstate};
	int ret;

	ret = regs_from_message(layout, s->thread->core->thread_info, s->tid, &regs, xstate, &len,
				&x->run->err);
	if (ret)
		return ret;
	iov.iov_len = len;
	if (len && ptrace(PTRACE_SETREGSET, t->tid, NT_X86_XSTATE, &iov))
		return lost(x, s, -errno, none);
	ret = tracee_set_regs(t, &regs);
	if (!ret)
		ret = tracee_set_sigmask(t, signal_mask(s->thread));
	return ret ? lost(x, s, ret, "registers and signal mask") : 0;
}

int execute_finish(struct execution *x)
{
	struct finisher *f = make_finisher(x);
	struct xsave_layout layout;
	size_t i;
	int ret;

	if (!f)
		return fail(&x->run->err, -ENOMEM, "restore");
	x->finisher = f;
	xsave_layout_ask(&layout);
	ret = await_fillers(x);
	if (!ret)
		ret = stop_all(x, f);
	if (!ret)
		ret = run_second(x, f);
	if (!ret)
		ret = unmap_all(x, f);
	for (i = 0; !ret && i < f->n; i++)
		ret = set_state(x, &f->at[i].t, f->at[i].slot, &layout);
	return ret;
}

int execute_resume(struct execution *x)
{
	struct finisher *f = x->finisher;
	size_t i;
	int ret = 0, r;

	for (i = 0; i < f->n; i++) {
		const struct plan_slot *s = f->at[i].slot;

		/* --leave-stopped: the signal waits until the tracer lets go. */
		if (x->run->opt.leave_stopped && s->kind == SLOT_TASK && !s->stops)
			syscall(SYS_tgkill, s->tid, s->tid, SIGSTOP);
		r = tracee_detach(&f->at[i].t);
		if (r && !ret)
			ret = lost(x, f->at[i].slot, r, "let go");
	}
	return ret;
}
