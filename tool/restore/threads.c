// SPDX-License-Identifier: GPL-2.0-only
/* The threads of each process, cloned by its leader once memory is in place. */
#include <errno.h>
#include <linux/sched.h>

#include "restore/planner.h"

#define THREAD_FLAGS \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

static int plan_task_threads(struct plan *p, struct task *t)
{
	struct plan_task *pt = plan_task(t);
	size_t i;

	pt->threads = calloc(t->threads.n, sizeof(*pt->threads));
	if (!pt->threads)
		return fail(&p->run->err, -ENOMEM, "restore plan");
	pt->threads[0] = pt->slot;
	pt->slot->phase = PHASE_THREADS;
	for (i = 1; i < t->threads.n; i++) {
		struct thread *th = &t->threads.at[i];
		struct plan_slot *slot = plan_slot_new(p, SLOT_THREAD, t, th, th->tid);

		if (!slot)
			return plan_ok(p);
		slot->parks = true;
		pt->threads[i] = slot;
		plan_clone(p, pt->slot, "create thread %ld", slot, THREAD_FLAGS, 0);
	}
	return 0;
}

int plan_threads(struct plan *p)
{
	struct task **it;
	int ret;

	vec_for_each (&p->cp->tasks, it) {
		ret = plan_task_threads(p, *it);
		if (ret)
			return ret;
	}
	return plan_ok(p);
}
