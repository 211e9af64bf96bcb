// SPDX-License-Identifier: GPL-2.0-only
/*
 * The process-tree monitor: who was born of whom, kept up to date in the events themselves.
 *
 * A process, here, is a thread group. It lives until its last thread begins to exit
 * (signal->live drops to zero before sched_process_exit), and its birth parent is the process
 * whose thread called fork, whatever the parent becomes by CLONE_PARENT or reparenting.
 *
 * Nothing is read from a queue and nothing has to be awake: every event changes the record
 * and the tree before the task goes on.
 */
/* bpf's headers need its types. */
#include "kernel.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "caba.h"

char LICENSE[] SEC("license") = "GPL";

/* No hook tells when an exit reparents children: look at them in the parent's exit. */
const volatile bool walk_children = false;

/* Changes of session and group are not seen when they happen: look before each fork. */
const volatile bool look_at_fork = false;

/* Each uses those above it. */
#include "tree.h"

#include "record.h"

#include "change.h"

/* What is read of a task before it is entered into the tree. */
struct birth {
	__u64 when;
	__u32 flags;
	__u32 up; /* index of the node above */
	__u32 session, group;
	struct caba_pid own; /* in its innermost namespace */
	__u8 edge;
	__u8 how;
};

static __always_inline void birth_read(struct birth *b, struct caba_rec *rec,
				       struct task_struct *leader)
{
	b->own = fill(rec, leader);
	b->session = global_nr(leader->signal->pids[PIDTYPE_SID]);
	b->group = global_nr(leader->signal->pids[PIDTYPE_PGID]);
	b->when = bpf_ktime_get_boot_ns();
}

/* A change between the task's becoming visible and now was noted and is not overwritten. */
static __always_inline void member_birth(struct caba_member *m, __u32 nr, const struct birth *b)
{
	if (__sync_val_compare_and_swap(&m->nr, 0, nr) != 0)
		return;
	m->how = b->how;
	m->when = b->when;
}

/* Give @rec its number and its node; it keeps those it has. No node: the limit is reached. */
static __always_inline void enter(struct tree *t, struct caba_rec *rec, const struct birth *b)
{
	struct caba_node *n;

	member_birth(&rec->session, b->session, b);
	member_birth(&rec->group, b->group, b);
	tree_lock(t);
	if (!rec->node) {
		rec->id = ++t->head->next_id;
		rec->flags |= b->flags;
		rec->node = tree_add_locked(t, rec, b->up, b->edge);
		n = tree_node(t, rec->node);
		if (n) {
			n->nr = b->own.nr;
			n->ns = b->own.ns;
			if (!(b->flags & (CABA_OLD | CABA_LOST)))
				t->head->births++;
		}
	}
	tree_unlock(t);
}

/*
 * @leader took its place in an exec: the record of the thread that was leader before passes
 * to it. NULL if there is none.
 */
static __noinline struct caba_rec *take_over(struct task_struct *leader)
{
	__u32 tgid = leader->tgid;
	struct caba_rec *led = bpf_map_lookup_elem(&caba_led, &tgid), *rec;
	struct caba_node *n;
	struct tree t;

	if (!led || !led->node || led->start != leader->start_boottime || !tree_get(&t))
		return NULL;
	rec = record_make(leader);
	if (rec) {
		*rec = *led;
		rec->flags &= ~CABA_LEADER_EXITED;
		if (rec->level >= CABA_INLINE)
			fill_deep(leader);
	} else {
		/* It lives on without a record: its branch must not call it alive for ever. */
		__sync_fetch_and_add(&t.head->lost_storage, 1);
		tree_lock(&t);
		n = tree_node(&t, led->node);
		if (n)
			n->edge |= CABA_EDGE_UNKNOWN;
		tree_gone_locked(&t, led->node, led->id);
		tree_unlock(&t);
	}
	bpf_map_delete_elem(&caba_led, &tgid);
	return rec;
}

/*
 * The record of a process whose birth was not seen, made when it is first noticed: at the
 * monitor's start, or when it forks or executes. NULL when there is no room for one.
 */
static __noinline struct caba_rec *adopt(struct task_struct *leader)
{
	struct caba_rec *rec = record(leader), *up;
	struct birth b = {};
	struct tree t;

	if (rec && rec->node)
		return rec;
	rec = take_over(leader);
	if (rec)
		return rec;
	/* Released: nothing would remove the record. While sighand is there, the RCU section we
	 * are in keeps sched_process_free from having happened. */
	if (!leader->sighand || !tree_get(&t))
		return NULL;
	rec = record_make(leader);
	if (!rec) {
		__sync_fetch_and_add(&t.head->lost_storage, 1);
		return NULL;
	}
	birth_read(&b, rec, leader);
	b.flags = rec->start < t.head->since ? CABA_OLD : CABA_LOST;
	b.edge = CABA_EDGE_UNKNOWN | CABA_EDGE_GUESS;
	if (BPF_CORE_READ_BITFIELD(leader->signal, is_child_subreaper))
		b.flags |= CABA_SUBREAPER;
	up = record(leader->real_parent->group_leader);
	if (leader->real_parent->flags & PF_KTHREAD) {
		/* Nobody is given to a kernel thread: it is a parent by birth. */
		b.flags |= CABA_KERNEL_BORN;
		b.edge = CABA_EDGE_KERNEL;
	} else if (up && up->start < rec->start) {
		b.up = up->node;
		b.edge = CABA_EDGE_GUESS;
	}
	enter(&t, rec, &b);
	if (rec->node)
		return rec;
	bpf_task_storage_delete(&caba_records, leader);
	return NULL;
}

/*
 * Look at the next node, round and round: its process may have been reaped without an event.
 * sched_process_free comes in an RCU callback, where programs were seen (on a 6.18) not to be run
 * now and then, without that being counted as missed.
 */
static __noinline void sweep(void)
{
	struct task_struct *task;
	struct caba_node *n;
	struct tree t;
	__u64 id, start = 0;
	__u32 i;

	if (!tree_get(&t))
		return;
	i = t.head->hand + 1;
	if (i < CABA_FIRST_NODE || i >= t.head->top)
		i = CABA_FIRST_NODE;
	t.head->hand = i;
	n = tree_node(&t, i);
	if (!n || (n->state != CABA_ALIVE && n->state != CABA_ZOMBIE))
		return;
	id = n->id;
	task = bpf_task_from_pid(n->tgid);
	if (task) {
		start = task->start_boottime;
		bpf_task_release(task);
	}
	/* The number may be another's by now; then so is the time. */
	if (start == n->start)
		return;
	tree_lock(&t);
	if (tree_gone_locked(&t, i, id))
		t.head->swept++;
	tree_unlock(&t);
}

/* The child is visible, but has not run yet. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	struct task_struct *leader = parent->group_leader;
	struct caba_rec *rec, *prec = NULL;
	struct birth b = {};
	struct tree t;

	if (child->flags & PF_KTHREAD || !tree_get(&t))
		return 0;
	if (child->pid != child->tgid) {
		__sync_fetch_and_add(&t.head->threads, 1);
		return 0;
	}
	if (!(parent->flags & PF_KTHREAD))
		prec = adopt(leader);
	if (prec && look_at_fork)
		sync(prec, leader, 0);
	rec = record_make(child);
	if (!rec) {
		__sync_fetch_and_add(&t.head->lost_storage, 1);
		return 0;
	}
	birth_read(&b, rec, child);
	b.how = CABA_HOW_BORN;
	rec->parent_tgid = parent->tgid;
	rec->parent_tid = parent->pid;
	rec->parent_start = leader->start_boottime;
	rec->parent_nr = pid_in_ns(leader->thread_pid, rec->level, b.own.ns);
	rec->session.birth_nr = b.session;
	rec->group.birth_nr = b.group;
	bpf_probe_read_kernel(rec->parent_comm, sizeof(rec->parent_comm), leader->comm);
	if (parent->flags & PF_KTHREAD) {
		b.flags |= CABA_KERNEL_BORN;
		b.edge = CABA_EDGE_KERNEL;
	} else if (prec) {
		rec->parent_id = prec->id;
		b.up = prec->node;
	} else {
		b.edge = CABA_EDGE_UNKNOWN;
	}
	if (rec->real_parent != rec->parent_tgid)
		b.flags |= CABA_CLONE_PARENT;
	if (parent->pid != parent->tgid)
		b.flags |= CABA_THREAD_FORKED;
	enter(&t, rec, &b);
	if (!rec->node)
		bpf_task_storage_delete(&caba_records, child);
	sweep();
	return 0;
}

/* The leader goes before other threads: one of them may take its place in an exec. */
static __always_inline void leader_exit(struct tree *t, struct task_struct *leader,
					struct caba_rec *rec)
{
	__u32 tgid = rec->tgid;

	rec->flags |= CABA_LEADER_EXITED;
	note(rec, CABA_EV_LEADER_EXIT, 0, leader->signal->live.counter, tgid);
	if (bpf_map_update_elem(&caba_led, &tgid, rec, BPF_ANY))
		__sync_fetch_and_add(&t->head->lost_storage, 1);
}

/*
 * The tracepoint comes after the decrement of signal->live, so the thread that finds zero is
 * not always the one that made it zero; but by then no thread can fork any more.
 */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *p)
{
	struct task_struct *leader = p->group_leader;
	struct caba_rec *rec = record(leader);
	char comm[CABA_COMM] = {};
	struct caba_node *n;
	struct tree t;

	if (!rec)
		rec = take_over(leader);
	if (!rec || !rec->node || !tree_get(&t))
		return 0;
	if (p->signal->live.counter) {
		if (p == leader)
			leader_exit(&t, leader, rec);
		return 0;
	}
	sync(rec, leader, 0);
	bpf_probe_read_kernel(comm, sizeof(comm), leader->comm);
	tree_lock(&t);
	n = tree_node(&t, rec->node);
	if (n && n->state == CABA_ALIVE) {
		n->state = CABA_ZOMBIE;
		__builtin_memcpy(n->comm, comm, sizeof(comm));
		t.head->deaths++;
	}
	tree_unlock(&t);
	if (walk_children)
		orphan_children(p);
	return 0;
}

/*
 * An RCU grace period after reaping. A leader that lost its place to exec has another pid
 * now, and its record has passed on.
 */
SEC("tp_btf/sched_process_free")
int BPF_PROG(on_free, struct task_struct *p)
{
	struct caba_rec *rec;
	struct tree t;
	__u32 tgid;

	if (p->pid != p->tgid)
		return 0;
	rec = record(p);
	if (!rec || !rec->node || !tree_get(&t))
		return 0;
	tgid = rec->tgid;
	if (rec->flags & CABA_LEADER_EXITED)
		bpf_map_delete_elem(&caba_led, &tgid);
	tree_lock(&t);
	tree_gone_locked(&t, rec->node, rec->id);
	rec->node = 0;
	tree_unlock(&t);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *p, int old_pid)
{
	struct caba_rec *rec = adopt(p);

	if (!rec)
		return 0;
	if (old_pid != p->pid)
		note(rec, CABA_EV_EXEC_THREAD, old_pid, p->pid, rec->tgid);
	sync(rec, p, 0);
	rec->execs++;
	rec->last_exec = bpf_ktime_get_boot_ns();
	return 0;
}

/*
 * Run twice at the start, when all events are attached: processes get their records in the
 * first pass, and in the second the nodes above them, and their death if it came between.
 */
SEC("iter/task")
int scan(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct caba_rec *rec, *up;
	struct caba_node *n;
	struct tree t;
	bool dead, older;

	if (!task || task->pid != task->tgid || task->flags & PF_KTHREAD || !tree_get(&t))
		return 0;
	rec = adopt(task);
	if (!rec || !(rec->flags & (CABA_OLD | CABA_LOST)))
		return 0;
	up = record(task->real_parent->group_leader);
	older = up && up->start < rec->start;
	dead = task->signal->live.counter == 0;
	tree_lock(&t);
	n = tree_node(&t, rec->node);
	if (n && dead && n->state == CABA_ALIVE)
		n->state = CABA_ZOMBIE;
	if (n && older)
		tree_link_locked(&t, rec->node, up->node, CABA_EDGE_GUESS);
	tree_unlock(&t);
	return 0;
}
