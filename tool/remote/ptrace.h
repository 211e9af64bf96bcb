/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A traced thread: stop it, look at its registers, put them back (ptrace(2)).
 *
 * -ESRCH is an ordinary result of every function here: the thread was killed.
 */
#ifndef STASIS_REMOTE_PTRACE_H
#define STASIS_REMOTE_PTRACE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

struct tracee {
	pid_t tid;
	bool seized;
	bool stopped;	  /* in a ptrace stop now */
	int job_stop;	  /* the stop signal when it was stopped by job control, else 0 */
	uint64_t sigmask; /* as it was when seized */
	struct user_regs_struct regs; /* as they were when seized */
};

/*
 * PTRACE_SEIZE and PTRACE_INTERRUPT without waiting; @options are PTRACE_O_*.
 * Nothing of the task changes. -EPERM: zombie, traced by another, or not allowed.
 */
int tracee_seize(struct tracee *t, pid_t tid, long options);

/*
 * Wait for the stop that tracee_seize() asked for. Signals that arrive first
 * are let through, as they would have been without us. Fills regs and sigmask.
 */
int tracee_wait_seized(struct tracee *t);

/* Interrupt a running tracee and wait until it stands in a signal stop of the kernel's
 * get_signal(), the only place from which interrupted system calls restart as they should. */
int tracee_interrupt(struct tracee *t);

/* PTRACE_O_* beside those that are always set. */
int tracee_set_options(struct tracee *t, long options);

int tracee_set_regs(struct tracee *t, const struct user_regs_struct *regs);
int tracee_get_regs(struct tracee *t, struct user_regs_struct *regs);
int tracee_set_sigmask(struct tracee *t, uint64_t mask);

/* Let the stopped thread run to the end of its next system call; *ret is the call's raw result. */
int tracee_run_call(struct tracee *t, int64_t *ret);

/* Let the stopped thread run. */
int tracee_continue(struct tracee *t);

/* As before: mask, registers; the thread stands in a signal stop afterwards. */
int tracee_put_back(struct tracee *t);

/* The same for a thread that stands in a signal stop already. */
int tracee_reset(struct tracee *t);

/* Let go. With job_stop the thread falls back into its job-control stop. */
int tracee_detach(struct tracee *t);

#endif
