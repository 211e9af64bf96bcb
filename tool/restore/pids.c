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
#include <stdlib.h>
#include <time.h>

#include "kernel/proc.h"
#include "lib/cleanup.h"
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

/* --- numbers for helpers ------------------------------------------------ */

static int compare(const void *a, const void *b)
{
	const pid_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int list_wanted(struct plan *p)
{
	struct thread *th;
	struct task **t;

	vec_for_each (&p->cp->tasks, t) {
		if (vec_push(&p->wanted, (*t)->msg->sid) || vec_push(&p->wanted, (*t)->msg->pgid))
			return -ENOMEM;
		vec_for_each (&(*t)->threads, th)
			if (vec_push(&p->wanted, th->tid))
				return -ENOMEM;
	}
	qsort(p->wanted.at, p->wanted.n, sizeof(p->wanted.at[0]), compare);
	return 0;
}

/* Where the kernel counts now, and how far it goes. */
static void read_counter(pid_t *last, pid_t *max)
{
	_cleanup_free_ char *load = NULL, *limit = NULL;

	*last = 0;
	*max = 32768;
	if (proc_read(AT_FDCWD, "/proc/loadavg", &load) > 0)
		sscanf(load, "%*s %*s %*s %*s %d", last);
	if (proc_read(AT_FDCWD, "/proc/sys/kernel/pid_max", &limit) > 0)
		*max = atoi(limit);
}

pid_t plan_free_pid(struct plan *p)
{
	pid_t last, max, tries;

	if (!p->wanted.n && list_wanted(p)) {
		p->no_memory = true;
		return 0;
	}
	read_counter(&last, &max);
	/* Half the way round from where the next new process will be. */
	if (!p->last_free)
		p->last_free = (last + max / 2) % max;
	for (tries = 0; tries < max; tries++) {
		p->last_free = p->last_free + 1 < max ? p->last_free + 1 : 301;
		if (!bsearch(&p->last_free, p->wanted.at, p->wanted.n, sizeof(p->wanted.at[0]),
			     compare) &&
		    kill(p->last_free, 0) && errno == ESRCH)
			return p->last_free;
	}
	return 0;
}
