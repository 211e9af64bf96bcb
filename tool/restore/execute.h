/* SPDX-License-Identifier: GPL-2.0-only */
/* Running a plan. */
#ifndef STASIS_RESTORE_EXECUTE_H
#define STASIS_RESTORE_EXECUTE_H

#include "remote/alive.h"
#include "restore/planner.h"

struct finisher;

/* A plan while it runs. */
struct execution {
	struct plan *p;
	struct run *run;
	uint8_t *arena; /* as mapped here */
	size_t len;
	int memfd;
	struct alive alive;
	bool holds_alive;
	pid_t root;
	long filter_option; /* PTRACE_O_SUSPEND_SECCOMP when there are filters to set */
	struct finisher *finisher;
};

/* Make the seed and wait until every task has run its program and waits. */
int execute_start(struct execution *x);
/* Registers, masks, no trace of us: every task as it was, but stopped and traced. */
int execute_finish(struct execution *x);
/* Let them run. */
int execute_resume(struct execution *x);
/* Kill what there is. */
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

/* finish.c */
void finisher_free(struct finisher *f);

/* print.c: a step as strace would show it. */
void print_step(const struct plan *p, const struct step *s, char *buf, size_t size);
/* The whole plan, for people. */
void print_plan(const struct plan *p);

#endif
