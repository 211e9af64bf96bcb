// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whether the stops of a task's children (job control) have been waited for: only the parent can
 * ask, with waitid(2) and WNOWAIT. A shell would report a job twice otherwise.
 */
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "remote/program.h"
#include "resource/attribute.h"
#include "resource/attributes.h"

static bool is_stopped(const struct task *t)
{
	return task_core(t)->tc->task_state == TASK_STOPPED;
}

static int ask_stops(struct ask *a)
{
	const struct task *t = a->thread->task;
	size_t i, n = 0;
	siginfo_t *info;
	uint64_t at;

	for (i = 0; i < t->children.n; i++)
		n += is_stopped(t->children.at[i]);
	if (!n)
		return 0;
	info = program_space(a->prog, n * sizeof(*info), &at);
	if (!info)
		return -ENOSPC;
	a->mine = info;
	for (i = 0; i < t->children.n; i++) {
		const struct task *child = t->children.at[i];

		if (!is_stopped(child))
			continue;
		if (!program_call(a->prog, SYS_waitid, 0, arg_imm(P_PID), arg_imm(task_pid(child)),
				  arg_arena(at), arg_imm(WSTOPPED | WNOHANG | WNOWAIT), arg_imm(0)))
			return -ENOSPC;
		at += sizeof(*info);
	}
	return 0;
}

static int answer_stops(struct ask *a)
{
	const struct task *t = a->thread->task;
	const siginfo_t *info = a->mine;
	size_t i;

	for (i = 0; info && i < t->children.n; i++) {
		TaskCoreEntry *tc = task_core(t->children.at[i])->tc;

		if (tc->task_state == TASK_STOPPED)
			tc->has_stop_waited = tc->stop_waited = !info++->si_pid;
	}
	return 0;
}

const struct attribute attribute_stops = {
	.name = "stops of children",
	.per_process = true,
	.ask = ask_stops,
	.answer = answer_stops,
};
