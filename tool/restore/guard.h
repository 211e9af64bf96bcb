/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guardian: a process of our own that outlives a kill -9 of ours. It shares memory and
 * descriptors with us and does what must not be cut off half way, while we wait: only one
 * of the two is at work at any time, so that what one was killed in the middle of is never
 * something that the other was doing. If we die, it undoes what there is and ends.
 */
#ifndef STASIS_RESTORE_GUARD_H
#define STASIS_RESTORE_GUARD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/error.h"
#include "remote/alive.h"

struct guard {
	pid_t pid;	  /* of the guardian; 0: there is none */
	bool killed;	  /* it died before us */
	uint32_t owner;	  /* robust futex of ours: FUTEX_OWNER_DIED when we are gone */
	uint32_t turn;	  /* futex; odd: the guardian is at work */
	uint32_t tid;	  /* futex; the kernel sets it to 0 when the guardian is gone */
	int (*f)(void *); /* what to do in this turn; NULL: end */
	void (*undo)(void *);
	void *arg;
	int ret;
	struct alive alive;
	void *stack;
};

/*
 * Start it, with @pid or, if that is 0, any (-EEXIST: that one is taken). If we die before
 * guard_end(), it calls @undo(@arg), which must neither allocate nor free nor log: we may
 * have died in the middle of that. @g stays where it is until guard_end().
 */
int guard_start(struct guard *g, pid_t pid, void (*undo)(void *), void *arg);

/*
 * Let the guardian call @f(@arg of guard_start()) and wait for its result. @f need not be
 * careful, and is not interrupted by our death. -ECHILD: the guardian was killed.
 */
int guard_run(struct guard *g, int (*f)(void *));

/* Are we gone? For the guardian. */
bool guard_is_alone(const struct guard *g);

/* Tell it to end, and reap it; nothing if there is none. */
void guard_end(struct guard *g);

#endif
