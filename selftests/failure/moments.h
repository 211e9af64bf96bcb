/* SPDX-License-Identifier: GPL-2.0-only */
/* Moments at which a run of the tool is killed: after so many steps, or so much time. */
#ifndef SELFTEST_MOMENTS_H
#define SELFTEST_MOMENTS_H

#include <stdbool.h>
#include <sys/types.h>

/* Seconds. */
double now(void);
void pass(double seconds);

/* Who makes the steps that count, and is killed. */
enum victim {
	TOOL,	     /* it alone is traced */
	WITH_CLONES, /* threads and processes that share its memory make steps, too */
	CLONE,	     /* the process that shares its memory */
};

/*
 * Start a command, with its output in a file; @traced: for kill_at_step(), else it runs.
 */
pid_t start_tool(char *const argv[], const char *output, bool traced);

/*
 * Let @pid run up to the @limit-th stop at the beginning or end of a system call and kill
 * the victim; the others run on untraced. Returns the number of steps when there were less.
 * @pid has not been waited for unless it was killed or ended.
 */
long kill_at_step(pid_t pid, long limit, enum victim victim);

#endif
