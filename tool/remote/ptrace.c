// SPDX-License-Identifier: GPL-2.0-only
#include "remote/ptrace.h"

#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#ifndef PTRACE_GETSIGMASK
#define PTRACE_GETSIGMASK 0x420a
#define PTRACE_SETSIGMASK 0x420b
#endif

static int request(long what, pid_t tid, void *addr, void *data)
{
	return ptrace(what, tid, addr, data) < 0 ? -errno : 0;
}

int tracee_seize(struct tracee *t, pid_t tid, long options)
{
	int ret;

	memset(t, 0, sizeof(*t));
	t->tid = tid;
	ret = request(PTRACE_SEIZE, tid, NULL, (void *)(options | PTRACE_O_TRACESYSGOOD));
	if (ret)
		return ret;
	t->seized = true;
	return request(PTRACE_INTERRUPT, tid, NULL, NULL);
}

static int wait_status(struct tracee *t, int *status)
{
	pid_t pid;

	do {
		pid = waitpid(t->tid, status, __WALL);
	} while (pid < 0 && errno == EINTR);
	if (pid < 0)
		return errno == ECHILD ? -ESRCH : -errno;
	if (WIFEXITED(*status) || WIFSIGNALED(*status)) {
		t->seized = t->stopped = false;
		return -ESRCH;
	}
	t->stopped = true;
	return 0;
}

static bool is_stop_signal(int sig)
{
	return sig == SIGSTOP || sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
}

/*
 * Wait for PTRACE_EVENT_STOP. A signal that was on its way stops the tracee
 * before it is delivered: hand it on; the interrupt is still pending behind it.
 */
static int wait_event_stop(struct tracee *t)
{
	int status, sig, ret;

	for (;;) {
		ret = wait_status(t, &status);
		if (ret)
			return ret;
		sig = WSTOPSIG(status);
		if (status >> 16 == PTRACE_EVENT_STOP) {
			t->job_stop = is_stop_signal(sig) ? sig : 0;
			return 0;
		}
		if (sig == (SIGTRAP | 0x80) || status >> 16)
			sig = 0;
		ret = request(PTRACE_CONT, t->tid, NULL, (void *)(long)sig);
		if (ret)
			return ret;
	}
}

int tracee_wait_seized(struct tracee *t)
{
	int ret;

	ret = wait_event_stop(t);
	if (!ret)
		ret = tracee_get_regs(t, &t->regs);
	if (!ret)
		ret = request(PTRACE_GETSIGMASK, t->tid, (void *)sizeof(t->sigmask), &t->sigmask);
	return ret;
}

int tracee_interrupt(struct tracee *t)
{
	int job_stop = t->job_stop, ret;

	ret = request(PTRACE_INTERRUPT, t->tid, NULL, NULL);
	if (!ret && t->stopped)
		ret = request(PTRACE_CONT, t->tid, NULL, NULL);
	t->stopped = false;
	if (!ret)
		ret = wait_event_stop(t);
	t->job_stop = job_stop;
	return ret;
}

int tracee_set_options(struct tracee *t, long options)
{
	return request(PTRACE_SETOPTIONS, t->tid, NULL, (void *)(options | PTRACE_O_TRACESYSGOOD));
}

int tracee_set_regs(struct tracee *t, const struct user_regs_struct *regs)
{
	return request(PTRACE_SETREGS, t->tid, NULL, (void *)regs);
}

int tracee_get_regs(struct tracee *t, struct user_regs_struct *regs)
{
	return request(PTRACE_GETREGS, t->tid, NULL, regs);
}

int tracee_set_sigmask(struct tracee *t, uint64_t mask)
{
	return request(PTRACE_SETSIGMASK, t->tid, (void *)sizeof(mask), &mask);
}

/* Run to the next syscall stop. Signals cannot come: they are blocked, and SIGKILL ends the thread.
 */
static int to_syscall_stop(struct tracee *t)
{
	int status, ret;

	for (;;) {
		ret = request(PTRACE_SYSCALL, t->tid, NULL, NULL);
		if (ret)
			return ret;
		ret = wait_status(t, &status);
		if (ret)
			return ret;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			return 0;
		/* A group stop that reached this thread meanwhile: remember it, go on. */
		if (status >> 16 == PTRACE_EVENT_STOP && is_stop_signal(WSTOPSIG(status)))
			t->job_stop = WSTOPSIG(status);
		else if (status >> 16 != PTRACE_EVENT_STOP)
			return -EPROTO;
	}
}

int tracee_run_call(struct tracee *t, int64_t *ret)
{
	struct user_regs_struct r;
	int err;

	err = to_syscall_stop(t); /* entry */
	if (!err)
		err = to_syscall_stop(t); /* exit */
	if (!err)
		err = tracee_get_regs(t, &r);
	if (!err)
		*ret = r.rax;
	return err;
}

int tracee_continue(struct tracee *t)
{
	int ret = request(PTRACE_CONT, t->tid, NULL, NULL);

	if (!ret)
		t->stopped = false;
	return ret;
}

int tracee_reset(struct tracee *t)
{
	int ret = tracee_set_sigmask(t, t->sigmask);

	return ret ? ret : tracee_set_regs(t, &t->regs);
}

int tracee_put_back(struct tracee *t)
{
	int ret = tracee_interrupt(t);

	return ret ? ret : tracee_reset(t);
}

int tracee_detach(struct tracee *t)
{
	int ret;

	if (!t->seized)
		return 0;
	ret = request(PTRACE_DETACH, t->tid, NULL, NULL);
	t->seized = t->stopped = false;
	return ret == -ESRCH ? 0 : ret;
}
