// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interval timers and POSIX timers. Which POSIX timers there are is in
 * /proc/PID/timers (CONFIG_CHECKPOINT_RESTORE); how they stand, the process
 * itself asks with timer_gettime(2).
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "kernel/proc.h"
#include "lib/cleanup.h"
#include "plan/inherited.h"
#include "plan/plan.h"
#include "remote/program.h"
#include "resource/attribute.h"
#include "resource/attributes.h"

#define MAX_TIMERS 256

struct posix_timer {
	struct itimerspec its;
	uint64_t overrun_op; /* arena offset of the op that asks it */
	uint32_t id, clock, signo, notify;
	uint64_t value;
	int32_t thread;
};

struct timers {
	struct itimerval real, virt, prof;
	uint64_t n;
	struct posix_timer posix[];
};

static int notify_number(const char *s)
{
	if (!strncmp(s, "signal", 6))
		return SIGEV_SIGNAL;
	if (!strncmp(s, "none", 4))
		return SIGEV_NONE;
	return SIGEV_THREAD;
}

/* "ID: 0\nsignal: 10/0000\nnotify: signal/pid.12\nClockID: 0\n" per timer. */
static int parse(char *text, struct timers *t)
{
	struct posix_timer *p = NULL;
	char *line, *save = NULL;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char how[16], whom[8];
		unsigned int v, signo;
		unsigned long long value;
		int pid;

		if (sscanf(line, "ID: %u", &v) == 1) {
			if (t->n == MAX_TIMERS)
				return -E2BIG;
			p = &t->posix[t->n++];
			p->id = v;
		} else if (p && sscanf(line, "signal: %u/%llx", &signo, &value) == 2) {
			p->signo = signo;
			p->value = value;
		} else if (p && sscanf(line, "notify: %15[^/]/%7[^.].%d", how, whom, &pid) == 3) {
			p->notify = notify_number(how);
			if (!strcmp(whom, "tid")) {
				p->notify |= SIGEV_THREAD_ID;
				p->thread = pid;
			}
		} else if (p && sscanf(line, "ClockID: %d", &pid) == 1) {
			p->clock = pid;
		}
	}
	return 0;
}

/* Lines that parse() takes for the start of a timer. */
static size_t count_timers(const char *text)
{
	size_t n = 0;

	while (text) {
		n += !strncmp(text, "ID: ", 4);
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	return n;
}

static int ask_timers(struct ask *a)
{
	_cleanup_free_ char *text = NULL;
	struct timers *t;
	uint64_t at, i;
	ssize_t n;
	int ret;

	n = proc_read(a->procfd, "timers", &text);
	if (n < 0 && n != -ENOENT)
		return n;
	t = program_space(a->prog, sizeof(*t) + count_timers(text) * sizeof(t->posix[0]), &at);
	if (!t)
		return -ENOSPC;
	a->mine = t;
	ret = n > 0 ? parse(text, t) : 0;
	if (ret)
		return ret;
	if (!program_call(a->prog, SYS_getitimer, 0, arg_imm(ITIMER_REAL),
			  arg_arena(at + offsetof(struct timers, real))) ||
	    !program_call(a->prog, SYS_getitimer, 0, arg_imm(ITIMER_VIRTUAL),
			  arg_arena(at + offsetof(struct timers, virt))) ||
	    !program_call(a->prog, SYS_getitimer, 0, arg_imm(ITIMER_PROF),
			  arg_arena(at + offsetof(struct timers, prof))))
		return -ENOSPC;
	for (i = 0; i < t->n; i++) {
		struct posix_timer *p = &t->posix[i];
		struct stub_op *op;

		if (!program_call(a->prog, SYS_timer_gettime, 0, arg_imm(p->id),
				  arg_arena(at + offsetof(struct timers, posix) + i * sizeof(*p))))
			return -ENOSPC;
		op = program_call(a->prog, SYS_timer_getoverrun, 0, arg_imm(p->id));
		if (!op)
			return -ENOSPC;
		p->overrun_op = (uint8_t *)op - a->prog->base;
	}
	return 0;
}

static ItimerEntry *itimer(const struct itimerval *v)
{
	ItimerEntry *e = malloc(sizeof(*e));

	if (!e)
		return NULL;
	itimer_entry__init(e);
	e->isec = v->it_interval.tv_sec;
	e->iusec = v->it_interval.tv_usec;
	e->vsec = v->it_value.tv_sec;
	e->vusec = v->it_value.tv_usec;
	return e;
}

static PosixTimerEntry *posix_timer(const struct posix_timer *p, int64_t overrun)
{
	PosixTimerEntry *e = malloc(sizeof(*e));

	if (!e)
		return NULL;
	posix_timer_entry__init(e);
	e->it_id = p->id;
	e->clock_id = p->clock;
	e->si_signo = p->signo;
	e->it_sigev_notify = p->notify;
	e->sival_ptr = p->value;
	e->overrun = overrun;
	e->isec = p->its.it_interval.tv_sec;
	e->insec = p->its.it_interval.tv_nsec;
	e->vsec = p->its.it_value.tv_sec;
	e->vnsec = p->its.it_value.tv_nsec;
	if (p->notify & SIGEV_THREAD_ID) {
		e->has_notify_thread_id = true;
		e->notify_thread_id = p->thread;
	}
	return e;
}

static int answer_timers(struct ask *a)
{
	const struct timers *t = a->mine;
	TaskTimersEntry *e = malloc(sizeof(*e));
	uint64_t i;

	if (!e)
		return -ENOMEM;
	task_timers_entry__init(e);
	a->thread->core->tc->timers = e;
	e->real = itimer(&t->real);
	e->virt = itimer(&t->virt);
	e->prof = itimer(&t->prof);
	e->posix = calloc(t->n + 1, sizeof(*e->posix));
	if (!e->real || !e->virt || !e->prof || !e->posix)
		return -ENOMEM;
	for (i = 0; i < t->n; i++) {
		const struct posix_timer *p = &t->posix[i];
		const struct stub_op *op = (const void *)(a->prog->base + p->overrun_op);

		e->posix[e->n_posix] = posix_timer(p, op->ret);
		if (!e->posix[e->n_posix++])
			return -ENOMEM;
	}
	return 0;
}

#ifndef PR_TIMER_CREATE_RESTORE_IDS
#define PR_TIMER_CREATE_RESTORE_IDS 77
#endif

/* Ids are counted up; more than this is not caught up with by making timers. */
#define MAX_SKIPPED 10000

#define NSEC 1000000000ULL

static void plan_itimer(struct plan *p, struct plan_slot *slot, const ItimerEntry *e, int which)
{
	struct itimerval v;

	if (!e || (!e->isec && !e->iusec && !e->vsec && !e->vusec))
		return;
	v = (struct itimerval){{e->isec, e->iusec}, {e->vsec, e->vusec}};
	plan_call(p, slot, "interval timer %ld", which, __NR_setitimer, imm(which),
		  plan_data(p, &v, sizeof(v)), imm(0));
}

/* struct sigevent as the kernel has it, 64 bytes. */
struct kernel_sigevent {
	uint64_t value;
	int32_t signo, notify, tid;
	int32_t pad[11];
};

static void create_timer(struct plan *p, struct plan_slot *slot, const PosixTimerEntry *e,
			 struct operand id)
{
	struct kernel_sigevent ev = {
		.value = e->sival_ptr,
		.signo = e->si_signo,
		.notify = e->it_sigev_notify,
		.tid = e->notify_thread_id,
	};

	plan_call(p, slot, "timer %ld", e->it_id, __NR_timer_create,
		  imm((uint64_t)(int32_t)e->clock_id), plan_data(p, &ev, sizeof(ev)), id);
}

/* Without a way to ask for an id: use up those before it. */
static int count_up(struct plan *p, struct plan_slot *slot, const PosixTimerEntry *e,
		    uint32_t *next)
{
	static const struct kernel_sigevent none = {.notify = SIGEV_NONE};

	if (e->it_id < *next || e->it_id - *next > MAX_SKIPPED) {
		fail_text(&p->run->err, -EOPNOTSUPP,
			  "task %d: timer id %u cannot be had, the kernel is at %u", slot->tid,
			  e->it_id, *next);
		return fail_hint(&p->run->err,
				 "this needs a kernel with PR_TIMER_CREATE_RESTORE_IDS (6.15)");
	}
	for (; *next < e->it_id; ++*next) {
		struct operand id = plan_data(p, NULL, sizeof(uint64_t));

		plan_call(p, slot, "use timer id %ld up", *next, __NR_timer_create,
			  imm(CLOCK_MONOTONIC), plan_data(p, &none, sizeof(none)), id);
		plan_call(p, slot, "delete it", *next, __NR_timer_delete, imm(*next));
	}
	++*next;
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	const PosixTimerEntry *const *x = a, *const *y = b;

	return ((*x)->it_id > (*y)->it_id) - ((*x)->it_id < (*y)->it_id);
}

static bool is_wall_clock(uint32_t clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME ||
	       clock == CLOCK_TAI;
}

/*
 * What timer_getoverrun(2) says cannot be set: it is counted when a signal of the timer is
 * taken. A timer that should have expired @overrun + 1 times since it was armed counts just that,
 * and goes on from there.
 */
static bool start_for_overrun(const PosixTimerEntry *t, struct itimerspec *its)
{
	uint64_t interval = t->isec * NSEC + t->insec, left = t->vsec * NSEC + t->vnsec, back, at;
	struct timespec now;

	if (!t->overrun || !interval || !left || !is_wall_clock(t->clock_id) || t->si_signo < 1 ||
	    t->si_signo >= NSIG)
		return false;
	if (t->it_sigev_notify != SIGEV_SIGNAL && t->it_sigev_notify != SIGEV_THREAD_ID)
		return false;
	if (__builtin_mul_overflow(interval, (uint64_t)t->overrun + 1, &back) ||
	    clock_gettime(t->clock_id, &now))
		return false;
	at = now.tv_sec * NSEC + now.tv_nsec + left;
	if (at <= back)
		return false; /* This machine has not been up for so long. */
	at -= back;
	*its = (struct itimerspec){{t->isec, t->insec}, {at / NSEC, at % NSEC}};
	return true;
}

/* Who gets the timer's signals; NULL: nobody that is known. */
static struct plan_slot *whose(struct plan *p, struct plan_slot *leader, const PosixTimerEntry *t)
{
	struct plan_slot **s;

	if (t->it_sigev_notify == SIGEV_SIGNAL)
		return leader;
	vec_for_each (&p->slots, s)
		if ((*s)->thread && (*s)->task == leader->task &&
		    (*s)->tid == (pid_t)t->notify_thread_id)
			return *s;
	return NULL;
}

static void take_signal(struct plan *p, struct plan_slot *slot, const PosixTimerEntry *t)
{
	static const struct timespec limit = {.tv_sec = 1};
	uint64_t set = 1ULL << (t->si_signo - 1);

	plan_call(p, slot, "let timer %ld count its overruns", t->it_id, __NR_rt_sigtimedwait,
		  plan_data(p, &set, sizeof(set)), imm(0), plan_data(p, &limit, sizeof(limit)),
		  imm(sizeof(set)));
}

static void arm_with_overrun(struct plan *p, struct plan_slot *slot, struct plan_slot *taker,
			     const PosixTimerEntry *t, const struct itimerspec *its)
{
	struct operand armed, taken;

	plan_call(p, slot, "arm timer %ld, in the past", t->it_id, __NR_timer_settime,
		  imm(t->it_id), imm(TIMER_ABSTIME), plan_data(p, its, sizeof(*its)), imm(0));
	if (taker == slot) {
		take_signal(p, slot, t);
		return;
	}
	/* Only a thread itself can take signals that are sent to it. */
	armed = plan_word(p);
	taken = plan_word(p);
	taker->phase = slot->phase;
	plan_signal(p, slot, armed, 1);
	plan_await(p, taker, armed, 1, "wait until timer %ld is armed", t->it_id);
	take_signal(p, taker, t);
	plan_signal(p, taker, taken, 1);
	plan_await(p, slot, taken, 1, "wait for thread %ld to take its signal", taker->tid);
}

/* Timers with overruns first, while no other can send a signal that would be taken for theirs. */
static int arm_timers(struct plan *p, struct plan_slot *slot, const TaskTimersEntry *e)
{
	bool *armed = calloc(e->n_posix + 1, sizeof(*armed));
	struct plan_slot *taker;
	struct itimerspec its;
	size_t i;

	if (!armed)
		return -ENOMEM;
	for (i = 0; i < e->n_posix; i++) {
		taker = whose(p, slot, e->posix[i]);
		armed[i] = taker && start_for_overrun(e->posix[i], &its);
		if (armed[i])
			arm_with_overrun(p, slot, taker, e->posix[i], &its);
	}
	for (i = 0; i < e->n_posix; i++) {
		const PosixTimerEntry *t = e->posix[i];

		if (armed[i] || (!t->vsec && !t->vnsec))
			continue;
		its = (struct itimerspec){{t->isec, t->insec}, {t->vsec, t->vnsec}};
		plan_call(p, slot, "arm timer %ld", t->it_id, __NR_timer_settime, imm(t->it_id),
			  imm(0), plan_data(p, &its, sizeof(its)), imm(0));
	}
	free(armed);
	return 0;
}

static int plan_posix(struct plan *p, struct plan_slot *slot, const TaskTimersEntry *e)
{
	bool ask = prctl(PR_TIMER_CREATE_RESTORE_IDS, 2, 0, 0, 0) >= 0;
	uint32_t next = 0;
	size_t i;
	int ret;

	if (e->n_posix)
		qsort(e->posix, e->n_posix, sizeof(e->posix[0]), compare_ids);
	if (ask && e->n_posix)
		plan_call(p, slot, "choose timer ids", 0, __NR_prctl,
			  imm(PR_TIMER_CREATE_RESTORE_IDS), imm(1), imm(0), imm(0), imm(0));
	for (i = 0; i < e->n_posix; i++) {
		const PosixTimerEntry *t = e->posix[i];

		ret = ask ? 0 : count_up(p, slot, t, &next);
		if (ret)
			return ret;
		create_timer(p, slot, t, plan_data(p, &t->it_id, sizeof(t->it_id)));
	}
	if (ask && e->n_posix)
		plan_call(p, slot, "timer ids as usual", 0, __NR_prctl,
			  imm(PR_TIMER_CREATE_RESTORE_IDS), imm(0), imm(0), imm(0), imm(0));
	return arm_timers(p, slot, e);
}

static int plan_timers(struct plan *p, struct plan_slot *slot, const struct thread *t)
{
	const TaskTimersEntry *e = t->core->tc->timers;
	int ret;

	if (!e)
		return 0;
	slot->phase = PHASE_PENDING;
	ret = plan_posix(p, slot, e);
	if (ret)
		return ret;
	plan_itimer(p, slot, e->real, ITIMER_REAL);
	plan_itimer(p, slot, e->virt, ITIMER_VIRTUAL);
	plan_itimer(p, slot, e->prof, ITIMER_PROF);
	return 0;
}

const struct attribute attribute_timers = {
	.name = "timers",
	.per_process = true,
	.ask = ask_timers,
	.answer = answer_timers,
	.plan = plan_timers,
};
