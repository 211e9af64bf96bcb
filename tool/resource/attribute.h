/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * State of a process or thread that is no descriptor: signals, timers,
 * credentials, scheduling ... One file per subject, one row in attributes[]
 * (attributes.c).
 *
 * Dump asks: what can be read from outside is filled by `look`; what only the
 * task can read is put as ops into a program (`ask`), which the stub runs in
 * the leader and ptrace runs in other threads; `answer` takes the results into
 * the core message. Restore plans: `plan` emits steps for the task's slot.
 */
#ifndef STASIS_RESOURCE_ATTRIBUTE_H
#define STASIS_RESOURCE_ATTRIBUTE_H

#include <stdbool.h>

#include "model/model.h"

struct proc_stat;
struct proc_status;
struct program;
struct tracee;
struct plan;
struct plan_slot;
struct run;
struct xsave_layout;

/* One thread's questions during dump. */
struct ask {
	struct run *run;
	struct checkpoint *cp;
	struct thread *thread;		  /* its core is what is filled */
	int procfd;			  /* /proc/PID */
	const struct proc_stat *stat;	  /* the process's */
	const struct proc_status *status; /* the leader's; NULL for other threads */
	struct tracee *tracee;		  /* stopped */
	const struct xsave_layout *xsave;
	uint32_t seccomp;     /* SECCOMP_MODE_* of this thread; set by the credentials */
	bool leader;	      /* asks and answers per process as well */
	struct program *prog; /* where ask() appends its ops; NULL from ask() is -ENOSPC */
	void *mine;	      /* what this attribute's ask() keeps for its answer(), in the arena */
};

struct attribute {
	const char *name;
	bool per_process; /* asked of the leader only */
	int (*look)(struct ask *a);
	int (*ask)(struct ask *a);
	int (*answer)(struct ask *a);
	/* Restore: emit the steps of this thread (of the leader, when per_process). */
	int (*plan)(struct plan *p, struct plan_slot *slot, const struct thread *t);
};

/* NULL-terminated; plan() is called in this order within a phase, credentials and seccomp last. */
#define MAX_ATTRIBUTES 16
extern const struct attribute *const attributes[];

#endif
