// SPDX-License-Identifier: GPL-2.0-only
/* State of tasks and threads that is no descriptor and no memory. */
#include "resource/attribute.h"
#include "restore/planner.h"

static int plan_thread(struct plan *p, struct plan_slot *slot, const struct thread *th, bool leader)
{
	return 0;
}

int plan_attributes(struct plan *p)
{
	struct task **t;
	size_t i;
	int ret;

	vec_for_each (&p->cp->tasks, t) {
		struct plan_task *pt = plan_task(*t);

		if (task_is_zombie(*t))
			continue;
		for (i = 0; i < (*t)->threads.n; i++) {
			ret = plan_thread(p, pt->threads[i], &(*t)->threads.at[i], !i);
			if (ret)
				return ret;
		}
	}
	return plan_ok(p);
}
