/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The springboard: a few instructions in the unused tail of a task's vDSO, from
 * which every remote call is made during a dump.
 *
 * Whenever a registers' change could outlive us, what follows in the task must
 * lead back to its old state without us: a killed tracer only means that the
 * kernel lets the task run on. A call made from the task's own code could not
 * give that. The springboard holds the registers and the signal mask that the
 * task had, and behind each of its system calls the code that puts them back.
 * The tail of the vDSO is padding behind its last segment: no text of the task
 * is overwritten, and the bytes are put back at the end.
 */
#ifndef STASIS_REMOTE_SPRINGBOARD_H
#define STASIS_REMOTE_SPRINGBOARD_H

#include <stdint.h>
#include <sys/types.h>

#include "lib/error.h"
#include "remote/ptrace.h"

struct springboard {
	int mem;      /* /proc/PID/mem */
	uint64_t at;  /* address in the task; 0: not in place */
	void *before; /* the bytes that were there */
};

/*
 * Put it into the vDSO at [vdso_start, vdso_end) of the process @pid, whose
 * threads are all stopped. Kernel: /proc/PID/mem writes with FOLL_FORCE, which
 * an attached tracer has (proc_pid_mem(5)).
 */
int springboard_place(struct springboard *sb, pid_t pid, uint64_t vdso_start, uint64_t vdso_end,
		      struct error *err);

/* Put the padding back. Every thread must be off the springboard. Closes sb->mem. */
void springboard_remove(struct springboard *sb);

#define SPRINGBOARD_CALLS 4
#define SPRINGBOARD_ARGS  3

struct springboard_call {
	uint64_t nr, arg[SPRINGBOARD_ARGS];
};

/* Words of the arena: addresses in the task, and what `alive` holds while we live. */
struct springboard_signs {
	uint64_t done, alive;
	uint32_t tool;
};

/*
 * Let a stopped thread make up to SPRINGBOARD_CALLS system calls, then add 1 to the word
 * `done` and wake who waits there, then wait: one stop for all of them, in springboard_results().
 * If we die meanwhile, the thread makes each call at most once and goes on as it was. What
 * the calls fill has to be in the arena. One thread of a process at a time.
 */
int springboard_batch(struct springboard *sb, struct tracee *t,
		      const struct springboard_call *calls, int n,
		      const struct springboard_signs *signs);

/*
 * Stop the thread, whose batch is done, and take the results (raw: a negative errno is one).
 * It stands in a signal stop; end with tracee_reset(), or make the next batch.
 */
int springboard_results(struct tracee *t, int64_t ret[SPRINGBOARD_CALLS]);

/* Where the arena is to be mapped and where the stub starts; all addresses in the task. */
struct springboard_enter {
	uint64_t arena, arena_len; /* read-write, offset 0 of the memfd */
	uint64_t text_len;	   /* read-execute, right behind the arena */
	uint64_t entry;		   /* first instruction of the stub */
	uint64_t slot;
};

/*
 * Start on the way into the stub: the thread creates a memfd. *fd is its number
 * in the task, which stands behind the call. Fill the file through
 * pidfd_getfd(), then springboard_go(). Without it, the task closes the
 * descriptor and goes on as it was.
 */
int springboard_enter(struct springboard *sb, struct tracee *t, const struct springboard_enter *e,
		      int *fd);
/* The task maps the memfd, closes it and enters the stub; it runs. */
int springboard_go(struct springboard *sb, struct tracee *t);

/* Instead of springboard_go(): the task closes the descriptor and is left behind that call. */
int springboard_abandon(struct springboard *sb, struct tracee *t);

/* The address to which the stub jumps in order to unmap itself and go on as before. */
uint64_t springboard_leave_address(const struct springboard *sb);

/* Unmap arena and stub; the thread (which sat in the stub, now stopped) is left behind the call. */
int springboard_unmap(struct springboard *sb, struct tracee *t);

#endif
