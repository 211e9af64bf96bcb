/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The stub inside a task during a dump: start it in a stopped thread, run
 * programs, take it out again. If the tool dies in between, the stub notices
 * and the task goes on as it was (see remote/stub.h: alive, leave).
 */
#ifndef STASIS_REMOTE_AGENT_H
#define STASIS_REMOTE_AGENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/error.h"
#include "remote/alive.h"
#include "remote/program.h"
#include "remote/ptrace.h"
#include "remote/springboard.h"
#include "remote/stub.h"

struct agent {
	pid_t pid;
	struct tracee *thread; /* the one that sits in the stub */
	struct springboard *sb;
	uint8_t *base;	     /* the arena as mapped here; NULL: no agent */
	uint64_t addr, size; /* the arena in the task */
	struct alive alive;
	struct stub_slot *slot;
	bool inside; /* the thread is in the stub, running or waiting */
};

/*
 * A part of the arena in the task that programs may map over (MAP_FIXED): it
 * goes with the arena, also when the tool is killed. Offset and bytes.
 */
#define AGENT_WINDOW_AT (512 * 1024UL)
#define AGENT_WINDOW	(256 * 1024UL)

/* Bytes of address space that agent_start() needs free at @hole. */
uint64_t agent_span(void);

/*
 * Prepare the stub: the stopped @thread makes the arena, which is then mapped
 * here. It enters the stub with the first agent_run().
 */
int agent_start(struct agent *a, struct springboard *sb, struct tracee *thread, pid_t pid,
		int pidfd, uint64_t hole, struct error *err);

/* An empty program in the arena; the former one and its results are gone. */
void agent_program(struct agent *a, struct program *ret);

/* Run it to its end. -EIO with err filled when an op failed that may not; -ESRCH: the task is gone.
 */
int agent_run(struct agent *a, const struct program *p, struct error *err);

/*
 * Run it in another thread of the task, which is stopped, stays out of the stub and is put
 * back afterwards. Its ops are system calls of at most three operands, none a result.
 * The agent has to have run a program before. Errors as agent_run().
 */
int agent_run_outside(struct agent *a, struct tracee *t, const struct program *p,
		      struct error *err);

/* Take the stub out: the thread stands stopped, as before agent_start(). */
int agent_stop(struct agent *a, struct error *err);

#endif
