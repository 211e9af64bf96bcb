// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interval timers and POSIX timers. Which POSIX timers there are is in
 * /proc/PID/timers (CONFIG_CHECKPOINT_RESTORE); how they stand, the process
 * itself asks with timer_gettime(2).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include "kernel/proc.h"
#include "lib/cleanup.h"
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

static int ask_timers(struct ask *a)
{
	_cleanup_free_ char *text = NULL;
	struct timers *t;
	uint64_t at, i;
	int ret;

	t = program_space(a->prog, sizeof(*t) + MAX_TIMERS * sizeof(t->posix[0]), &at);
	if (!t)
		return -ENOSPC;
	a->mine = t;
	ret = proc_read(a->procfd, "timers", &text);
	if (ret > 0)
		ret = parse(text, t);
	if (ret < 0 && ret != -ENOENT)
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

const struct attribute attribute_timers = {
	.name = "timers",
	.per_process = true,
	.ask = ask_timers,
	.answer = answer_timers,
};
