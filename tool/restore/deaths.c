// SPDX-License-Identifier: GPL-2.0-only
/* Those that do not live on, and those that fall to another parent thereby. */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "restore/planner.h"

/* A zombie ends as it ended. */
static void plan_death(struct plan *p, const struct task *t)
{
	struct plan_slot *slot = plan_task(t)->slot;
	const TaskCoreEntry *tc = task_core(t)->tc;
	static const struct rlimit64 none;
	uint32_t sig = tc->exit_code & 0x7f, status = tc->exit_code >> 8 & 0xff;

	slot->phase = PHASE_GROUPS;
	plan_call(p, slot, "name", 0, __NR_prctl, imm(PR_SET_NAME), plan_string(p, tc->comm));
	if (sig) {
		plan_call(p, slot, "leave no core file", 0, __NR_prlimit64, imm(0),
			  imm(RLIMIT_CORE), plan_data(p, &none, sizeof(none)), imm(0));
		plan_call(p, slot, "let signals through", 0, __NR_rt_sigprocmask, imm(SIG_SETMASK),
			  plan_data(p, NULL, 8), imm(0), imm(8));
		plan_call(p, slot, "die of signal %ld", sig, __NR_kill, imm(task_pid(t)), imm(sig));
	}
	plan_call(p, slot, "exit with status %ld", status, __NR_exit_group, imm(status));
}

/* The parent sees it end before it has signal actions of its own. */
static void await_death(struct plan *p, const struct task *t)
{
	struct plan_slot *parent = plan_task(t->parent)->slot;
	struct task **other;

	parent->phase = PHASE_THREADS;
	if (plan_task(t)->born_of)
		plan_await(p, parent, plan_task(t)->born_word, 1, "wait until task %ld is here",
			   task_pid(t));
	plan_call_flags(p, parent, "wait until %ld is a zombie", task_pid(t), __NR_waitid,
			STUB_RETRY, imm(P_PID), imm(task_pid(t)), imm(0), imm(WEXITED | WNOWAIT),
			imm(0));
	/* Its children have fallen to their parents with that. */
	vec_for_each (&plan_task(t)->others, other)
		plan_signal(p, parent, plan_task(*other)->born_word, 1);
}

/* How many have to die or give away before @t is where it belongs. */
static unsigned int generation(const struct task *t)
{
	unsigned int n = 0;

	for (t = plan_task(t)->born_of; t; t = plan_task(t)->born_of)
		n++;
	return n;
}

void plan_deaths(struct plan *p)
{
	unsigned int wanted, most = 0;
	struct task **it;

	vec_for_each (&p->cp->tasks, it) {
		if (!task_is_zombie(*it))
			continue;
		plan_death(p, *it);
		if (generation(*it) > most)
			most = generation(*it);
	}
	/* A parent may be told by one wait what it awaits before another. */
	for (wanted = 0; wanted <= most; wanted++)
		vec_for_each (&p->cp->tasks, it)
			if (task_is_zombie(*it) && (*it)->parent && generation(*it) == wanted)
				await_death(p, *it);
}

/* Adopters wait for the tasks that others make for them; then they adopt no more. */
void plan_adoptions(struct plan *p)
{
	struct task **it, **c;

	vec_for_each (&p->cp->tasks, it) {
		struct plan_slot *slot = plan_task(*it)->slot;

		if (!plan_task(*it)->adopts)
			continue;
		slot->phase = PHASE_THREADS;
		vec_for_each (&(*it)->children, c)
			if (plan_task(*c)->born_of)
				plan_await(p, slot, plan_task(*c)->born_word, 1,
					   "wait until task %ld is born", task_pid(*c));
		plan_subreaper(p, slot, 0);
	}
}
