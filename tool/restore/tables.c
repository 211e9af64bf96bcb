// SPDX-License-Identifier: GPL-2.0-only
/* All descriptor tables: service numbers, order, and what is left to do when all have what they
 * need. */
#include "restore/fds.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "resource/resource.h"

/* Service descriptors lie above every table. */
int plan_service_fds(struct plan *p)
{
	struct fdtable **table;
	struct rlimit limit;
	int highest = -1;

	vec_for_each (&p->cp->fdtables, table)
		if ((*table)->fds.n && (int)(*table)->fds.at[(*table)->fds.n - 1].msg->fd > highest)
			highest = (*table)->fds.at[(*table)->fds.n - 1].msg->fd;
	p->service_fd = highest + 1;
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return fail(&p->run->err, -errno, "limit of open files");
	if (p->service_fd + p->chain.dirs.n + 8 >= limit.rlim_cur) {
		fail(&p->run->err, -EMFILE, "descriptor %d of the checkpoint", highest);
		return fail_hint(&p->run->err, "raise the limit of open files (ulimit -n) to %zu",
				 p->service_fd + p->chain.dirs.n + 9);
	}
	return 0;
}

/*
 * Descriptors that only others wanted are closed when everybody has what they
 * need, mappings included.
 */
static void close_leftovers(struct plan *p)
{
	struct file **f;

	vec_for_each (&p->leftovers, f) {
		struct file_state *st = (*f)->plan;

		st->owner->phase = PHASE_THREADS;
		if (st->n_takes)
			plan_await(p, st->owner, p->memory_done, p->n_memory_done,
				   "wait until others have descriptor %ld", st->fd);
		plan_close(p, st->owner, imm(st->fd));
	}
}

/* Must anybody know when all have their memory? */
static bool somebody_waits(const struct plan *p)
{
	size_t i;

	for (i = 0; i < p->leftovers.n; i++)
		if (((struct file_state *)p->leftovers.at[i]->plan)->n_takes)
			return true;
	for (i = 0; i < p->cp->files.n; i++)
		if (p->cp->files.at[i]->res->settle)
			return true;
	return false;
}

/* Behind the memory of all tasks: seals and their like. */
static void settle_files(struct plan *p)
{
	struct file **f;

	vec_for_each (&p->cp->files, f) {
		struct file_state *st = (*f)->plan;
		struct plan_slot *slot = st->owner;

		if (!(*f)->res->settle || !slot)
			continue;
		slot->phase = PHASE_THREADS;
		plan_await(p, slot, p->memory_done, p->n_memory_done,
			   "wait until all have their memory", 0);
		(*f)->res->settle(p, slot, *f, imm(st->fd));
	}
}

int plan_fds_done(struct plan *p)
{
	bool wait = somebody_waits(p);
	struct task **t;

	if (wait)
		p->memory_done = plan_word(p);
	p->n_memory_done = 0;
	vec_for_each (&p->cp->tasks, t)
		p->n_memory_done += !task_is_zombie(*t);
	vec_for_each (&p->cp->tasks, t) {
		struct plan_task *pt = plan_task(*t);

		if (task_is_zombie(*t))
			continue;
		pt->slot->phase = PHASE_FILES;
		if (pt->slot->has_table_ready)
			plan_signal(p, pt->slot, pt->slot->table_ready, 1);
		pt->slot->phase = PHASE_MEMORY;
		if (wait)
			plan_signal(p, pt->slot, p->memory_done, p->n_memory_done);
	}
	settle_files(p);
	close_leftovers(p);
	return plan_ok(p);
}

static int make_file_states(struct plan *p)
{
	size_t i;

	p->file_states = calloc(p->cp->files.n + 1, sizeof(*p->file_states));
	if (!p->file_states)
		return fail(&p->run->err, -ENOMEM, "restore plan");
	for (i = 0; i < p->cp->files.n; i++)
		p->cp->files.at[i]->plan = &p->file_states[i];
	return 0;
}

int plan_fds(struct plan *p)
{
	struct task **t;
	int ret = make_file_states(p);

	vec_for_each (&p->cp->tasks, t) {
		struct fdtable *table = (*t)->fdtable;

		if (ret)
			return ret;
		if (!table || table->plan)
			continue;
		table->plan = *t;
		ret = plan_table(p, *t);
	}
	return ret ? ret : plan_ok(p);
}

/* The task that made @t's descriptor table; NULL if that is @t itself. */
static struct plan_task *shares_with(const struct task *t)
{
	return task_is_zombie(t) || t->fdtable->plan == t ? NULL : plan_task(t->fdtable->plan);
}

/* Those that share a table with the task that closes must have read their memory by then. */
static void wait_for_sharers(struct plan *p)
{
	struct task **t;

	vec_for_each (&p->cp->tasks, t) {
		struct plan_task *owner = shares_with(*t);

		if (owner && !owner->n_sharers++)
			owner->table_unused = plan_word(p);
	}
	vec_for_each (&p->cp->tasks, t) {
		struct plan_task *owner = shares_with(*t);

		if (!owner)
			continue;
		plan_task(*t)->slot->phase = PHASE_THREADS;
		plan_signal(p, plan_task(*t)->slot, owner->table_unused, owner->n_sharers);
	}
}

void plan_close_service(struct plan *p)
{
	struct task **t;

	wait_for_sharers(p);
	vec_for_each (&p->cp->tasks, t) {
		struct plan_task *pt = plan_task(*t);

		if (task_is_zombie(*t) || (*t)->fdtable->plan != *t)
			continue;
		pt->slot->phase = PHASE_TASK;
		if (pt->n_sharers)
			plan_await(p, pt->slot, pt->table_unused, pt->n_sharers,
				   "wait for those with the same descriptors", 0);
		plan_call(p, pt->slot, "the images folder", 0, __NR_close_range, imm(p->service_fd),
			  imm(p->service_fd + p->chain.dirs.n - 1), imm(0));
	}
}
