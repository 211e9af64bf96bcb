// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sessions that can't be had by birth, where the kernel has PIDFD_ATTACH_SESSION: the task is
 * born of its parent, in whatever session, and then enters that of another member, the
 * anchor. That is the leader of the session, or, where a helper stood in for a dead one,
 * one of those that the helper has made.
 */
#include <errno.h>
#include <sys/ioctl.h>

#include "kernel/features.h"
#include "kernel/uapi.h"
#include "restore/planner.h"

static bool leads_session(const struct task *t)
{
	return plan_task(t)->sid == task_pid(t);
}

/* Who can be entered instead of the leader: the one that a helper makes, or the root (--shell-job).
 */
static struct task *find_member(struct plan *p, pid_t sid)
{
	struct task *root = p->cp->tasks.at[0], **it, *found = NULL;

	if (plan_task(root)->sid == sid)
		return root;
	vec_for_each (&p->cp->tasks, it)
		if (plan_task(*it)->helper_born && plan_task(*it)->born_sid == sid)
			found = found && !task_is_zombie(found) ? found : *it;
	return found;
}

/* @t is born in any session; what would have got its session by birth from @t enters it as well. */
static void born_anywhere(struct task *t, pid_t sid, struct task *anchor)
{
	struct plan_task *pt = plan_task(t);
	struct task **c;

	pt->born_sid = 0;
	if (!leads_session(t))
		pt->anchor = anchor;
	vec_for_each (&t->children, c) {
		struct plan_task *ct = plan_task(*c);

		if (ct->born_sid == sid && !ct->born_of && !ct->helper_born)
			born_anywhere(*c, sid, anchor);
	}
}

bool plan_can_attach(struct plan *p, struct task *t)
{
	pid_t sid = plan_task(t)->born_sid;
	struct task *anchor = checkpoint_task(p->cp, sid);

	if (!anchor || !leads_session(anchor))
		anchor = find_member(p, sid);
	if (!anchor || !feature_has(p->run->features, FEATURE_attach_session))
		return false;
	born_anywhere(t, sid, anchor);
	return true;
}

/* The anchor tells when it is in its session, and stays in its group until all have come. */
static void await_members(struct plan *p, struct task *anchor)
{
	struct plan_task *pa = plan_task(anchor);
	unsigned int n = 0;
	struct task **t;

	vec_for_each (&p->cp->tasks, t)
		n += plan_task(*t)->anchor == anchor;
	if (!n)
		return;
	pa->in_session = plan_word(p);
	pa->entered = plan_word(p);
	pa->slot->phase = PHASE_BIRTH;
	plan_signal(p, pa->slot, pa->in_session, 1);
	pa->slot->phase = PHASE_GROUPS;
	plan_await(p, pa->slot, pa->entered, n, "stay until session %ld has its members", pa->sid);
}

static void attach(struct plan *p, struct task *t)
{
	struct plan_task *pt = plan_task(t), *pa = plan_task(pt->anchor);
	pid_t pid = task_pid(pt->anchor);
	struct operand fd;

	pt->slot->phase = PHASE_GROUPS;
	plan_await(p, pt->slot, pa->in_session, 1, "wait until session %ld is there", pt->sid);
	fd = plan_call(p, pt->slot, "open a pidfd of its member %ld", pid, __NR_pidfd_open,
		       imm(pid), imm(0));
	plan_call(p, pt->slot, "enter session %ld", pt->sid, __NR_ioctl, fd,
		  imm(PIDFD_ATTACH_SESSION), imm(0));
	plan_call(p, pt->slot, "close the pidfd", 0, __NR_close, fd);
	plan_signal(p, pt->slot, pa->entered, 0);
	pt->now_pgid = pa->now_pgid;
	if (pt->pgid == task_pid(t) && pt->now_pgid != pt->pgid) {
		plan_call(p, pt->slot, "lead group %ld", pt->pgid, __NR_setpgid, imm(0), imm(0));
		pt->now_pgid = pt->pgid;
	}
}

void plan_attach(struct plan *p)
{
	struct task **t;

	vec_for_each (&p->cp->tasks, t)
		await_members(p, *t);
	vec_for_each (&p->cp->tasks, t)
		if (plan_task(*t)->anchor)
			attach(p, *t);
}
