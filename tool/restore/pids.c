// SPDX-License-Identifier: GPL-2.0-only
/*
 * Are the numbers free? Straight after a dump they may not be: the killed
 * tasks are zombies until whoever inherited them reaps them, which takes some
 * inits a second or more. That is waited for; anything else is an error now,
 * before the first task is made.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "kernel/proc.h"
#include "restore/execute.h"

#define PAUSE_MS 5
#define PATIENCE 600 /* pauses */

/* 0: free; 1: a zombie has it; -EEXIST: a living task has it, *ret says which. */
static int pid_state(pid_t pid, struct proc_stat *ret)
{
	char path[48];

	if (kill(pid, 0) && errno == ESRCH)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (proc_stat(AT_FDCWD, path, ret))
		return 0;
	return ret->state == 'Z' || ret->state == 'X' ? 1 : -EEXIST;
}

int await_pids(struct execution *x)
{
	const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000};
	struct proc_stat st;
	size_t i;
	int patience = PATIENCE, state;

	for (i = 0; i < x->p->slots.n; i++) {
		pid_t pid = x->p->slots.at[i]->tid;

		while (pid && (state = pid_state(pid, &st))) {
			if (state == 1 && patience-- > 0) {
				nanosleep(&pause, NULL);
				continue;
			}
			fail(&x->run->err, -EEXIST, "task %d: %s '%s' has this pid", pid,
			     state == 1 ? "the zombie" : "the program", st.comm);
			return fail_hint(&x->run->err, "end that process, or restore in a pid "
						       "namespace of its own");
		}
	}
	return 0;
}

/* Is it worth trying again? The number may be in use as that of a group or session of zombies. */
bool pid_may_become_free(pid_t pid, int *tries)
{
	const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000};
	struct proc_stat st;

	if (++*tries > PATIENCE || pid_state(pid, &st) < 0)
		return false;
	nanosleep(&pause, NULL);
	return true;
}
