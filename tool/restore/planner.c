// SPDX-License-Identifier: GPL-2.0-only
#include "restore/planner.h"

#include <errno.h>
#include <stdlib.h>

#include "plan/fds.h"
#include "plan/inherited.h"

struct plan *planner_new(struct run *run, struct checkpoint *cp)
{
	struct plan *p = calloc(1, sizeof(*p));

	if (!p) {
		fail(&run->err, -ENOMEM, "restore plan");
		return NULL;
	}
	p->run = run;
	p->cp = cp;
	p->service_fd = -1;
	return p;
}

void planner_free(struct plan *p)
{
	struct plan_slot **s;
	struct task **t;

	if (!p)
		return;
	vec_for_each (&p->slots, s) {
		fd_sim_free((*s)->fds);
		free(*s);
	}
	vec_for_each (&p->cp->tasks, t) {
		if ((*t)->plan) {
			vec_free(&plan_task(*t)->others);
			free(plan_task(*t)->threads);
		}
		free((*t)->plan);
		(*t)->plan = NULL;
	}
	vec_free(&p->slots);
	vec_free(&p->steps);
	vec_free(&p->values);
	vec_free(&p->data);
	free(p->file_states);
	vec_free(&p->leftovers);
	vec_free(&p->unchecked);
	vec_free(&p->wanted);
	vec_free(&p->relocations);
	vec_free(&p->used);
	image_chain_close(&p->chain);
	objects_free(p->objects);
	inherited_free(p->inherited);
	free(p);
}
