/* SPDX-License-Identifier: GPL-2.0-only */
/* Running a plan. */
#ifndef STASIS_RESTORE_EXECUTE_H
#define STASIS_RESTORE_EXECUTE_H

#include "remote/alive.h"
#include "restore/guard.h"
#include "restore/planner.h"

struct finisher;

/* A plan while it runs. */
struct execution {
	struct plan *p;
	struct run *run;
	uint8_t *arena; /* as mapped here */
	size_t len;
	int memfd;
	struct guard guard;
	struct alive alive; /* of the arena; the guardian's, which dies last */
	bool pidfile;	    /* was written */
	bool committed;	    /* the tasks run, whatever becomes of us */
	pid_t root;
	uint32_t forking_us; /* until every task had run its program */
	struct finisher *finisher;
};

/* Lay the arena out; the guardian, which executes the rest, is started. */
int execute_prepare(struct execution *x);
/* From here on (in the guardian) the tasks live as long as the caller. */
int execute_hold(struct execution *x);
/* Make the seed and wait until every task has run its program and waits. */
int execute_start(struct execution *x);
/* Wait until @goal slots are parked in all; the error of the first that failed. */
int execute_wait(struct execution *x, uint32_t goal);
/* Registers, masks, no trace of us: every task as it was, but stopped and traced. */
int execute_finish(struct execution *x);
/* Let them run. */
int execute_resume(struct execution *x);
/* Kill what there is, without waiting for its end; for the guardian. */
void execute_kill(struct execution *x);
/* The same, and wait until nothing is left. */
void execute_abort(struct execution *x);
void execute_free(struct execution *x);

/* The error of the step that a slot failed at. */
int execute_explain(struct execution *x, const struct plan_slot *slot);

static inline struct stub_arena *execution_head(const struct execution *x)
{
	return (struct stub_arena *)x->arena;
}

static inline struct stub_slot *execution_slot(const struct execution *x, const struct plan_slot *s)
{
	return (struct stub_slot *)(x->arena + s->arena);
}

/* pids.c: wait until zombies gave up the numbers that we need. */
int await_pids(struct execution *x);
bool pid_may_become_free(pid_t pid, int *tries);

/* finish.c */
void finisher_free(struct finisher *f);

/* print.c: a step as strace would show it. */
void print_step(const struct plan *p, const struct step *s, char *buf, size_t size);
/* The whole plan, for people. */
void print_plan(const struct plan *p);
/* The same into the log, for -v4; every task's part into its own with --log-pid. */
void log_plan(const struct plan *p);

#endif
