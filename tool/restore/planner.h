/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the planner offer each other; plan.h is for everybody else. */
#ifndef STASIS_RESTORE_PLANNER_H
#define STASIS_RESTORE_PLANNER_H

#include <linux/sched.h>

#include "plan/plan.h"

/* The planner's own of a task (task->plan). */
struct plan_task {
	struct plan_slot *slot;
	struct plan_slot **threads; /* by index of task->threads; [0] is slot; owned */
	pid_t sid, pgid;	    /* to be, after --shell-job's translation */
	pid_t born_sid;		    /* session at birth; 0: any */
	pid_t now_pgid;		    /* group at the end of PHASE_BIRTH */
	struct task *born_of;	    /* whose program clones it, if not the parent's */
	struct operand born_word;   /* then: signalled when it is there */
	bool adopts;		    /* tasks that others make fall to it */
	bool helper_born;	    /* by a helper that stands for a dead leader */
	struct task *anchor;	    /* whose session it enters after birth (attach.c), or NULL */
	struct operand in_session, entered; /* words of an anchor: it is, the others are */
	VEC(struct task *) others;	    /* tasks whose born_of this is */
	uint64_t vdso;			    /* where its [vdso] is at the end */
	struct operand table_unused;	    /* word: sharers of its table have their memory */
	uint32_t n_sharers;		    /* other tasks with this one's descriptor table */
};

static inline struct plan_task *plan_task(const struct task *t)
{
	return t->plan;
}

/* planner.c: a new plan, and its end with all that the planner keeps beside it. */
struct plan *planner_new(struct run *run, struct checkpoint *cp);
void planner_free(struct plan *p);

/* tree.c: slots of all tasks, PHASE_BIRTH and PHASE_GROUPS. */
int plan_tree(struct plan *p);
/* A clone3 by @slot that makes the task of slot @child; pid 0: any. */
struct operand plan_clone(struct plan *p, struct plan_slot *slot, const char *why,
			  struct plan_slot *child, uint64_t flags, int exit_signal);

/*
 * pids.c: a number for a helper. Left to itself the kernel might give it one
 * that a task which is not there yet must have. 0 when there is none.
 */
pid_t plan_free_pid(struct plan *p);

/*
 * attach.c: whether @t, which can't get plan_task(t)->born_sid by birth, will enter it in
 * PHASE_GROUPS; then born_sid is 0. And the steps for those.
 */
bool plan_can_attach(struct plan *p, struct task *t);
void plan_attach(struct plan *p);

void plan_subreaper(struct plan *p, struct plan_slot *slot, int on);
/* deaths.c: zombies end, their parents see it; tasks are where they belong. */
void plan_deaths(struct plan *p);
void plan_adoptions(struct plan *p);

/* seed.c: PHASE_SEED. */
int plan_seed(struct plan *p);
/* clone(2)'s flags of a thread. */
#define THREAD_FLAGS \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)
/* threads.c: PHASE_THREADS. */
int plan_threads(struct plan *p);
/* fds.c: p->service_fd; PHASE_FILES; and, when memory is planned, who waits for whom. */
int plan_service_fds(struct plan *p);
int plan_fds(struct plan *p);
int plan_fds_done(struct plan *p);
/* At the end of PHASE_TASK: nobody reads images any more. */
void plan_close_service(struct plan *p);
/* memory.c: PHASE_MEMORY. */
int plan_memory(struct plan *p);
struct objects; /* shared.c */
void objects_free(struct objects *o);
/* The rows of attributes[], and how each task ends. */
int plan_attributes(struct plan *p);

/* locks.c: PHASE_LAST. */
int plan_locks(struct plan *p);

/* layout.c: choose the hole, give every slot, step and byte its place. */
int plan_layout(struct plan *p);
/* The arena's contents, into @arena (arena_len bytes at p->arena_at in the tasks). */
void plan_write(const struct plan *p, uint8_t *arena);

#endif
