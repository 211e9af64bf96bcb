// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tree of tasks: who clones whom and when, sessions and process groups.
 *
 * Both can only be inherited or created. A session leader calls setsid()
 * between the clones of children that stay in its old session and those that
 * belong to its new one. Whoever fits under neither was reparented in its
 * past, and so it is again: a task of its session makes it through a helper
 * that exits, and its parent is for that time the subreaper that it falls to.
 * A leader that is dead is stood in for by a helper with its number. Where all of that
 * fails, see attach.c.
 */
#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "resource/ctty.h"
#include "restore/planner.h"

struct operand plan_clone(struct plan *p, struct plan_slot *slot, const char *why,
			  struct plan_slot *child, uint64_t flags, int exit_signal)
{
	struct clone_args args = {.flags = flags, .exit_signal = exit_signal};
	struct operand data, tid;
	int32_t number = child->tid;

	if (child->tid)
		args.set_tid_size = 1;
	data = plan_data(p, &args, sizeof(args));
	if (child->tid) {
		tid = plan_data(p, &number, sizeof(number));
		plan_pointer(p, data, offsetof(struct clone_args, set_tid), tid);
		return plan_call_expect(p, slot, why, child->tid, STUB_CLONE, child->tid, data,
					imm(sizeof(args)),
					((struct operand){OPERAND_SLOT, child->index}));
	}
	return plan_call(p, slot, why, 0, STUB_CLONE, data, imm(sizeof(args)),
			 ((struct operand){OPERAND_SLOT, child->index}));
}

/* --- who is who --------------------------------------------------------- */

static bool is_leader(const struct task *t)
{
	return plan_task(t)->sid == task_pid(t);
}

/*
 * Numbers of sessions and groups from outside of the tree become the caller's
 * own (--shell-job); inside they stay.
 */
static int translate(struct plan *p, struct task *t, pid_t root_sid, pid_t root_pgid)
{
	struct plan_task *pt = plan_task(t);

	pt->sid = t->msg->sid;
	pt->pgid = t->msg->pgid;
	if (pt->sid == root_sid && root_sid != task_pid(p->cp->tasks.at[0]))
		pt->sid = getsid(0);
	if (pt->pgid == root_pgid && !checkpoint_task(p->cp, root_pgid) && p->run->opt.shell_job)
		pt->pgid = getpgid(0);
	if (pt->sid <= 0 || pt->pgid <= 0) {
		fail_text(&p->run->err, -EOPNOTSUPP,
			  "task %d: session %d, group %d: led from outside of its pid namespace",
			  task_pid(t), t->msg->sid, t->msg->pgid);
		return fail_hint(&p->run->err, "this needs a kernel with PIDFD_ATTACH_SESSION");
	}
	return 0;
}

/* Namespaces of a task that are not the dumper's came into being with it. */
static int check_namespaces(struct plan *p, const struct task *t)
{
	const TaskKobjIdsEntry *a = task_core(t)->ids, *b = p->cp->inventory->root_ids;
	const char *what = NULL;

	if (!a || !b)
		return 0;
#define OTHER(field) (a->has_##field && b->has_##field && a->field != b->field)
	if (OTHER(pid_ns_id))
		what = "pid";
	else if (OTHER(net_ns_id))
		what = "network";
	else if (OTHER(ipc_ns_id))
		what = "IPC";
	else if (OTHER(uts_ns_id))
		what = "UTS";
	else if (OTHER(mnt_ns_id))
		what = "mount";
	else if (OTHER(user_ns_id))
		what = "user";
	else if (OTHER(cgroup_ns_id))
		what = "cgroup";
	else if (OTHER(time_ns_id))
		what = "time";
#undef OTHER
	if (!what)
		return 0;
	fail_text(&p->run->err, -EOPNOTSUPP, "task %d: it is in a %s namespace of its own",
		  task_pid(t), what);
	return fail_hint(&p->run->err, "namespaces are not restored yet; restore it with criu");
}

static int make_slots(struct plan *p)
{
	struct task *root = p->cp->tasks.at[0], **it;
	pid_t sid = root->msg->sid, pgid = root->msg->pgid;
	int ret;

	if (sid != task_pid(root) && !p->run->opt.shell_job) {
		fail_text(&p->run->err, -EINVAL,
			  "task %d: its session %d is led from outside of the checkpoint",
			  task_pid(root), sid);
		return fail_hint(&p->run->err,
				 "restore it into the session of a terminal with --shell-job");
	}
	vec_for_each (&p->cp->tasks, it) {
		struct task *t = *it;
		struct plan_task *pt = calloc(1, sizeof(*pt));

		t->plan = pt;
		if (!pt)
			return fail(&p->run->err, -ENOMEM, "restore plan");
		pt->slot = plan_slot_new(p, SLOT_TASK, t, &t->threads.at[0], task_pid(t));
		if (!pt->slot)
			return plan_ok(p);
		pt->slot->parks = !task_is_zombie(t);
		ret = check_namespaces(p, t);
		if (!ret)
			ret = translate(p, t, sid, pgid);
		if (ret)
			return ret;
	}
	return 0;
}

static bool is_below(const struct task *t, const struct task *ancestor)
{
	for (; t; t = t->parent)
		if (t == ancestor)
			return true;
	return false;
}

/* The number of a dead leader can be taken once; then the session holds it. */
static bool stood_in_elsewhere(struct plan *p, struct task *t)
{
	pid_t sid = plan_task(t)->born_sid;
	struct task **it;

	vec_for_each (&p->cp->tasks, it)
		if (plan_task(*it)->helper_born && plan_task(*it)->born_sid == sid &&
		    (*it)->parent != t->parent)
			return true;
	return plan_task(p->cp->tasks.at[0])->sid == sid;
}

/*
 * @t cannot get its session from its parent. Somebody else makes it, and it
 * falls to its parent. The leader of its session, if that is below the parent,
 * or a helper with the leader's number.
 */
static int find_other_birth(struct plan *p, struct task *t)
{
	struct plan_task *pt = plan_task(t);
	struct task *leader = checkpoint_task(p->cp, pt->born_sid);

	if (!leader && !stood_in_elsewhere(p, t)) {
		pt->helper_born = true;
		return 0;
	}
	if (leader && leader != t && is_below(leader, t->parent) && !is_below(leader, t)) {
		pt->born_of = leader;
		pt->now_pgid = pt->born_sid;
		return vec_push(&plan_task(leader)->others, t)
			       ? fail(&p->run->err, -ENOMEM, "restore plan")
			       : 0;
	}
	if (plan_can_attach(p, t))
		return 0;
	fail_text(&p->run->err, -EOPNOTSUPP,
		  "task %d: session %d can reach it neither through its parent %d nor through a "
		  "helper below it",
		  task_pid(t), pt->born_sid, task_pid(t->parent));
	return fail_hint(&p->run->err, "this needs a kernel with PIDFD_ATTACH_SESSION");
}

/* Children before parents: which session must each be born in, and of whom? */
static int find_births(struct plan *p)
{
	size_t i;

	for (i = p->cp->tasks.n; i-- > 1;) {
		struct task *t = p->cp->tasks.at[i];
		struct plan_task *pt = plan_task(t), *parent = plan_task(t->parent);
		int ret;

		if (!is_leader(t))
			pt->born_sid = pt->sid;
		if (!pt->born_sid || pt->born_sid == parent->sid)
			continue;
		if (is_leader(t->parent) && t->parent != p->cp->tasks.at[0] &&
		    (!parent->born_sid || parent->born_sid == pt->born_sid)) {
			parent->born_sid = pt->born_sid;
			continue;
		}
		ret = find_other_birth(p, t);
		if (ret)
			return ret;
	}
	return 0;
}

/* Nobody can be made by somebody whom he has to make first; images might say so. */
static int check_births(struct plan *p)
{
	struct task **it, *t;

	vec_for_each (&p->cp->tasks, it) {
		size_t n = 0;

		for (t = *it; t; t = plan_task(t)->born_of)
			if (n++ > p->cp->tasks.n)
				return fail_text(&p->run->err, -EBADMSG,
						 "image pstree.img: the sessions of task %d and "
						 "others have no beginning",
						 task_pid(*it));
	}
	return 0;
}

/* --- births ------------------------------------------------------------- */

static const TaskKobjIdsEntry *ids(const struct task *t)
{
	return task_core(t)->ids;
}

/* What @t shares with @maker, who clones it, as clone flags. */
static uint64_t share_flags(const struct task *t, const struct task *maker)
{
	const TaskKobjIdsEntry *a = ids(t), *b = ids(maker);
	uint64_t flags = 0;

	if (!a || !b || task_is_zombie(t) || task_is_zombie(maker))
		return 0;
	if (a->vm_id == b->vm_id)
		flags |= CLONE_VM;
	if (a->files_id == b->files_id)
		flags |= CLONE_FILES;
	if (a->fs_id == b->fs_id)
		flags |= CLONE_FS;
	if (a->sighand_id == b->sighand_id)
		flags |= CLONE_SIGHAND;
	return flags;
}

static void clone_task(struct plan *p, struct plan_slot *maker, struct task *t, uint64_t flags)
{
	const TaskCoreEntry *tc = task_core(t)->tc;
	uint32_t exit_signal = tc->has_exit_signal ? tc->exit_signal & 0x7f : SIGCHLD;

	plan_clone(p, maker, "create task %ld", plan_task(t)->slot, flags, exit_signal);
}

void plan_subreaper(struct plan *p, struct plan_slot *slot, int on)
{
	plan_call(p, slot,
		  on ? "adopt tasks that helpers leave behind" : "the adopted tasks are here", 0,
		  __NR_prctl, imm(PR_SET_CHILD_SUBREAPER), imm(on));
}

static void reap(struct plan *p, struct plan_slot *slot, struct operand pid, uint64_t subject)
{
	plan_call_flags(p, slot, "reap helper %ld", subject, __NR_wait4, STUB_RETRY, pid, imm(0),
			imm(__WALL), imm(0));
}

static void helper_exits(struct plan *p, struct plan_slot *slot)
{
	plan_call(p, slot, "the helper has done its part", 0, __NR_exit_group, imm(0));
}

/* Children of @t whose dead session leader a helper stands in for, one helper per session. */
static void plan_dead_leaders(struct plan *p, struct task *t)
{
	struct plan_slot *slot = plan_task(t)->slot;
	size_t i, j;

	for (i = 0; i < t->children.n; i++) {
		struct plan_task *ci = plan_task(t->children.at[i]);
		struct plan_slot *helper;

		if (!ci->helper_born || ci->now_pgid)
			continue;
		helper = plan_slot_new(p, SLOT_HELPER, t, NULL, ci->born_sid);
		if (!helper)
			return;
		helper->phase = PHASE_BIRTH;
		plan_clone(p, slot, "stand in for the dead session leader %ld", helper, 0, SIGCHLD);
		plan_call(p, helper, "lead session %ld", helper->tid, __NR_setsid);
		for (j = i; j < t->children.n; j++) {
			struct plan_task *cj = plan_task(t->children.at[j]);

			if (!cj->helper_born || cj->born_sid != ci->born_sid)
				continue;
			clone_task(p, helper, t->children.at[j], 0);
			cj->now_pgid = helper->tid;
		}
		helper_exits(p, helper);
		reap(p, slot, imm(helper->tid), helper->tid);
	}
}

/* @t makes, through a helper that exits, the tasks of its session whose parents are above it. */
static void plan_births_for_others(struct plan *p, struct task *t)
{
	struct plan_slot *slot = plan_task(t)->slot, *helper;
	struct task **other;
	struct operand pid;

	vec_for_each (&plan_task(t)->others, other) {
		/* One that dies is its own helper. */
		if (task_is_zombie(t)) {
			clone_task(p, slot, *other, 0);
			continue;
		}
		helper = plan_slot_new(p, SLOT_HELPER, t, NULL, plan_free_pid(p));
		if (!helper)
			return;
		helper->phase = PHASE_BIRTH;
		pid = plan_clone(p, slot, "make a helper that gives its child away", helper, 0,
				 SIGCHLD);
		clone_task(p, helper, *other, 0);
		helper_exits(p, helper);
		reap(p, slot, pid, 0);
		plan_signal(p, slot, plan_task(*other)->born_word, 1);
	}
}

static void clone_children(struct plan *p, struct task *t, bool before_setsid)
{
	struct plan_task *pt = plan_task(t);
	struct task **c;

	vec_for_each (&t->children, c) {
		struct plan_task *ct = plan_task(*c);
		bool before = is_leader(t) && ct->born_sid && ct->born_sid != pt->sid;

		if (ct->born_of || ct->helper_born || before != before_setsid)
			continue;
		clone_task(p, pt->slot, *c, share_flags(*c, t));
		ct->now_pgid = pt->now_pgid;
	}
}

static int plan_birth(struct plan *p, struct task *t)
{
	struct plan_task *pt = plan_task(t);
	struct plan_slot *slot = pt->slot;
	unsigned int adopts = 0;
	struct task **c;
	int ret;

	slot->phase = PHASE_BIRTH;
	vec_for_each (&t->children, c)
		adopts += plan_task(*c)->born_of || plan_task(*c)->helper_born;
	if (adopts)
		plan_subreaper(p, slot, 1);
	if (!is_leader(t) && !pt->anchor && pt->pgid == task_pid(t) && pt->now_pgid != pt->pgid) {
		plan_call(p, slot, "lead group %ld", pt->pgid, __NR_setpgid, imm(0), imm(0));
		pt->now_pgid = pt->pgid;
	}
	if (is_leader(t)) {
		clone_children(p, t, true);
		plan_call(p, slot, "lead session %ld", pt->sid, __NR_setsid);
		pt->now_pgid = pt->sid;
		ret = ctty_plan(p, slot, t);
		if (ret)
			return ret;
	}
	clone_children(p, t, false);
	plan_dead_leaders(p, t);
	plan_births_for_others(p, t);
	/* Those that tasks further down make for this one. */
	vec_for_each (&t->children, c)
		if (plan_task(*c)->born_of)
			plan_task(*c)->born_word = plan_word(p);
	pt->adopts = adopts;
	return plan_ok(p);
}

/* --- groups ------------------------------------------------------------- */

struct group {
	pid_t pgid;
	struct operand ready, joined;
	struct plan_slot *leader; /* a task's or a helper's */
	struct plan_slot *maker;  /* of the helper */
	bool left;		  /* its leader is in another group by now */
	unsigned int joiners;
};

typedef VEC(struct group) group_vec;

static struct group *find_group(group_vec *v, pid_t pgid)
{
	struct group *g;

	vec_for_each (v, g)
		if (g->pgid == pgid)
			return g;
	return NULL;
}

/* The group that @t has to join: its leader, or a helper that @t itself makes for a dead one. */
static struct group *make_group(struct plan *p, group_vec *v, struct task *t)
{
	struct plan_task *pt = plan_task(t);
	struct task *leader = checkpoint_task(p->cp, pt->pgid);
	struct group *g = vec_add(v);

	if (!g) {
		p->no_memory = true;
		return NULL;
	}
	g->pgid = pt->pgid;
	g->ready = plan_word(p);
	g->joined = plan_word(p);
	if (leader) {
		g->leader = plan_task(leader)->slot;
		g->left = plan_task(leader)->pgid != g->pgid && !is_leader(leader);
	} else {
		g->maker = pt->slot;
		g->leader = plan_slot_new(p, SLOT_HELPER, t, NULL, pt->pgid);
		if (!g->leader)
			return NULL;
		plan_clone(p, pt->slot, "stand in for the dead group leader %ld", g->leader, 0,
			   SIGCHLD);
		g->leader->phase = PHASE_BIRTH;
		plan_call(p, g->leader, "lead group %ld", g->pgid, __NR_setpgid, imm(0), imm(0));
	}
	g->leader->phase = PHASE_GROUPS;
	if (g->left) {
		plan_call(p, g->leader, "lead group %ld for a while", g->pgid, __NR_setpgid, imm(0),
			  imm(0));
		plan_task(leader)->now_pgid = g->pgid;
	}
	plan_signal(p, g->leader, g->ready, 1);
	return g;
}

/* The caller's own group needs no leader: it is there. */
static bool is_callers(const struct plan *p, pid_t pgid)
{
	return p->run->opt.shell_job && pgid == getpgid(0);
}

static bool joins(const struct plan_task *pt)
{
	return pt->now_pgid != pt->pgid;
}

/*
 * All groups that are joined, each with its leader in place. A leader that is elsewhere by
 * now leads for a while and then joins as others do, maybe a group that wasn't joined yet.
 */
static int make_groups(struct plan *p, group_vec *groups)
{
	size_t i, had;

	do {
		had = groups->n;
		for (i = 0; i < p->cp->tasks.n; i++) {
			struct task *t = p->cp->tasks.at[i];
			struct plan_task *pt = plan_task(t);

			if (!joins(pt) || is_callers(p, pt->pgid) || find_group(groups, pt->pgid))
				continue;
			pt->slot->phase = PHASE_GROUPS;
			if (!make_group(p, groups, t))
				return -ENOMEM;
		}
	} while (groups->n != had);
	return 0;
}

static void join_group(struct plan *p, group_vec *groups, struct plan_task *pt)
{
	struct group *own = find_group(groups, pt->slot->tid), *g = NULL;

	pt->slot->phase = PHASE_GROUPS;
	if (own && own->left)
		plan_await(p, pt->slot, own->joined, own->joiners,
			   "stay until group %ld has its members", own->pgid);
	if (!is_callers(p, pt->pgid))
		g = find_group(groups, pt->pgid);
	if (g)
		plan_await(p, pt->slot, g->ready, 1, "wait for group %ld", g->pgid);
	plan_call(p, pt->slot, "join group %ld", pt->pgid, __NR_setpgid, imm(0), imm(pt->pgid));
	if (g)
		plan_signal(p, pt->slot, g->joined, 0);
}

static int plan_groups(struct plan *p)
{
	group_vec groups = {0};
	struct task **t;
	struct group *g;

	if (make_groups(p, &groups))
		goto out;
	vec_for_each (&p->cp->tasks, t) {
		g = joins(plan_task(*t)) ? find_group(&groups, plan_task(*t)->pgid) : NULL;
		if (g)
			g->joiners++;
	}
	vec_for_each (&p->cp->tasks, t)
		if (joins(plan_task(*t)))
			join_group(p, &groups, plan_task(*t));
	vec_for_each (&groups, g) {
		if (!g->maker)
			continue;
		plan_await(p, g->leader, g->joined, g->joiners,
			   "stay until group %ld has its members", g->pgid);
		helper_exits(p, g->leader);
		reap(p, g->maker, imm(g->leader->tid), g->leader->tid);
	}
out:
	vec_free(&groups);
	return plan_ok(p);
}

int plan_tree(struct plan *p)
{
	struct task *root = p->cp->tasks.at[0];
	int ret = make_slots(p);
	size_t i;

	if (!ret)
		ret = find_births(p);
	if (!ret)
		ret = check_births(p);
	if (ret)
		return ret;
	/* The seed is in the caller's group. */
	plan_task(root)->now_pgid = getpgid(0);
	for (i = 0; !ret && i < p->cp->tasks.n; i++)
		if (!task_is_zombie(p->cp->tasks.at[i]) || is_leader(p->cp->tasks.at[i]) ||
		    plan_task(p->cp->tasks.at[i])->pgid == task_pid(p->cp->tasks.at[i]))
			ret = plan_birth(p, p->cp->tasks.at[i]);
	if (!ret) {
		plan_attach(p);
		ret = plan_groups(p);
	}
	if (!ret) {
		plan_deaths(p);
		plan_adoptions(p);
	}
	return ret ? ret : plan_ok(p);
}
