// SPDX-License-Identifier: GPL-2.0-only
/*
 * Core images: every thread is looked at from outside and asked from inside.
 * The stub runs the leader's questions; other threads get theirs as single
 * calls from the springboard, one thread at a time.
 */
#include <errno.h>
#include <string.h>

#include "dump/state.h"
#include "resource/attribute.h"

/* One thread with every attribute's own memory. */
struct inquiry {
	struct ask ask;
	void *mine[MAX_ATTRIBUTES];
};

static bool concerns(const struct attribute *at, const struct ask *a)
{
	return a->leader || !at->per_process;
}

static int each(struct inquiry *q, size_t hook)
{
	const struct attribute *const *at;
	int (*f)(struct ask * a);
	int i, ret;

	for (at = attributes, i = 0; *at; at++, i++) {
		memcpy(&f, (const char *)*at + hook, sizeof(f));
		if (!f || !concerns(*at, &q->ask))
			continue;
		q->ask.mine = q->mine[i];
		ret = f(&q->ask);
		q->mine[i] = q->ask.mine;
		if (ret)
			return fail(&q->ask.run->err, ret, "thread %d: dump its %s",
				    q->ask.thread->tid, (*at)->name);
	}
	return 0;
}

/* The leader's program has the questions about descriptors, too, as many as fit. */
static int run_in_leader(struct dump *d, struct dump_task *dt, struct program *p)
{
	const struct stub_op *first = dump_ask_fd_flags(dt, p, 0, &dt->n_fd_flags);
	int ret = agent_run(&dt->agent, p, &d->run->err);

	if (!ret)
		dump_answer_fd_flags(dt, first, 0, dt->n_fd_flags);
	return ret;
}

static int ask_thread(struct dump *d, struct dump_task *dt, size_t i)
{
	struct program prog;
	struct inquiry q = {
		.ask =
			{
				.run = d->run,
				.cp = d->cp,
				.thread = &dt->task->threads.at[i],
				.procfd = dt->procfd,
				.stat = &dt->stat,
				.status = i == 0 ? &dt->status : NULL,
				.tracee = &dt->tracees.at[i],
				.xsave = &d->xsave,
				.leader = i == 0,
				.prog = &prog,
			},
	};
	int ret;

	agent_program(&dt->agent, &prog);
	ret = each(&q, offsetof(struct attribute, look));
	if (!ret)
		ret = each(&q, offsetof(struct attribute, ask));
	if (!ret && i == 0)
		ret = run_in_leader(d, dt, &prog);
	else if (!ret)
		ret = agent_run_outside(&dt->agent, &dt->tracees.at[i], &prog, &d->run->err);
	return ret ? ret : each(&q, offsetof(struct attribute, answer));
}

/* An address range that is free: above the lowest mapping that leaves enough room behind it. */
static int find_hole(struct dump *d, const struct dump_task *dt, uint64_t *ret)
{
	const struct mm *mm = dt->task->mm;
	uint64_t need = agent_span(), margin = 1024 * 1024;
	size_t i;

	for (i = 0; i + 1 < mm->vmas.n; i++) {
		uint64_t end = mm->vmas.at[i].msg->end, next = mm->vmas.at[i + 1].msg->start;

		if (next > 1ULL << 63)
			next = 1ULL << 46;
		if (next > end && next - end >= need + 2 * margin) {
			*ret = end + margin;
			return 0;
		}
	}
	fail_text(&d->run->err, -ENOMEM,
		  "task %d has no %lu bytes of free address space for the stub", dt->pid, need);
	return d->run->err.code;
}

int dump_cores(struct dump *d, struct dump_task *dt)
{
	struct error *err = &d->run->err;
	uint64_t hole = 0;
	size_t i;
	int ret, stopped;

	ret = find_hole(d, dt, &hole);
	if (!ret)
		ret = springboard_place(&dt->springboard, dt->pid, dt->vdso_start, dt->vdso_end,
					err);
	if (!ret)
		ret = dump_pidfd(d, dt);
	if (!ret)
		ret = agent_start(&dt->agent, &dt->springboard, &dt->tracees.at[0], dt->pid,
				  dt->pidfd, hole, err);
	dump_pidfd_close(dt);
	for (i = 0; !ret && i < dt->tracees.n; i++)
		ret = ask_thread(d, dt, i);
	if (!ret)
		ret = dump_fd_flags(d, dt);
	if (!ret)
		ret = dump_secrets(d, dt);
	stopped = agent_stop(&dt->agent, err);
	springboard_remove(&dt->springboard);
	return ret ? ret : stopped;
}
