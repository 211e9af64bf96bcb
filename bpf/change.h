/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Changes of session, group, parent and subreaper, in two ways: by the kernel's functions
 * (fentry, fexit), which see every change at its cause and cost nothing elsewhere; or, where
 * the kernel lets no program attach to functions, by the tracepoints of the system calls.
 * User space loads one of the two.
 */
#ifndef CABA_CHANGE_H
#define CABA_CHANGE_H

/* Under tasklist_lock, just before the change. */
static __always_inline int change_pid(struct task_struct *task, int type, struct pid *pid)
{
	struct task_struct *leader = task->group_leader;
	struct caba_rec *rec = record(leader);
	struct tree t;

	if ((type != PIDTYPE_SID && type != PIDTYPE_PGID) || !tree_get(&t))
		return 0;
	/* Without a record it may be a newborn before its fork event: the limit still holds. */
	if (!rec && t.head->used < t.head->limit)
		rec = record_make(leader);
	if (!rec)
		return 0;
	if (!rec->tgid)
		rec->tgid = leader->tgid;
	member_set(rec, type == PIDTYPE_SID, global_nr(pid), current_tgid());
	return 0;
}

/* Linux before 6.15 */
SEC("fentry/change_pid")
int BPF_PROG(on_change_pid, struct task_struct *task, enum pid_type type, struct pid *pid)
{
	return change_pid(task, type, pid);
}

/* Since 6.15 a first argument collects pids that became free. */
SEC("fentry/change_pid")
int BPF_PROG(on_change_pid_collect, void *pids, struct task_struct *task, enum pid_type type,
	     struct pid *pid)
{
	return change_pid(task, type, pid);
}

/*
 * Called by reparent_leader() for every child process that gets a new parent, which is
 * already set; with no @parent by the exiting task for itself.
 */
SEC("fentry/kill_orphaned_pgrp")
int BPF_PROG(on_reparent, struct task_struct *tsk, struct task_struct *parent)
{
	struct caba_rec *rec;

	if (!parent)
		return 0;
	rec = record(tsk->group_leader);
	if (rec)
		parent_set(rec, tsk->real_parent->tgid);
	return 0;
}

#define PR_SET_CHILD_SUBREAPER 36
#define ENOSYS		       38

/* A security module without an opinion leaves -ENOSYS; the option then always succeeds. */
SEC("fexit/security_task_prctl")
int BPF_PROG(on_prctl, int option, unsigned long arg2, unsigned long arg3, unsigned long arg4,
	     unsigned long arg5, int ret)
{
	struct task_struct *task;
	struct caba_rec *rec;

	if (option != PR_SET_CHILD_SUBREAPER || ret != -ENOSYS)
		return 0;
	task = (struct task_struct *)bpf_get_current_task_btf();
	rec = record(task->group_leader);
	if (rec)
		subreaper_set(rec, arg2);
	return 0;
}

/* --- without functions: what the system calls left behind -------------- */

static __always_inline int sync_self(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	struct caba_rec *rec = record(task->group_leader);

	if (rec)
		sync(rec, task->group_leader, rec->tgid);
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_setsid")
int on_setsid(void *ctx)
{
	return sync_self();
}

SEC("tracepoint/syscalls/sys_exit_prctl")
int on_prctl_exit(void *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	struct caba_rec *rec = record(task->group_leader);

	if (rec)
		subreaper_set(rec, BPF_CORE_READ_BITFIELD(task->signal, is_child_subreaper));
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_setpgid")
int on_setpgid(void *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
	int pid = BPF_CORE_READ(regs, di);
	struct caba_rec *rec;

	if (!pid)
		return sync_self();
	task = bpf_task_from_vpid(pid);
	if (!task)
		return 0;
	rec = record(task);
	if (rec)
		sync(rec, task, current_tgid());
	bpf_task_release(task);
	return 0;
}

/* Before 6.13 a child cannot be found by its pid here: sync() notices it at its next event. */
SEC("tracepoint/syscalls/sys_exit_setpgid")
int on_setpgid_self(void *ctx)
{
	return sync_self();
}

struct walk {
	struct list_head *head, *at;
	__u32 from;
};

static int walk_step(__u32 i, void *data)
{
	struct walk *w = data;
	struct task_struct *task;
	struct caba_rec *rec;
	int pid = 0;

	if (!w->at || w->at == w->head)
		return 1;
	bpf_probe_read_kernel(&pid, sizeof(pid),
			      (void *)w->at - bpf_core_field_offset(struct task_struct, sibling) +
				      bpf_core_field_offset(struct task_struct, pid));
	bpf_probe_read_kernel(&w->at, sizeof(w->at), w->at);
	task = bpf_task_from_pid(pid);
	if (!task)
		return 0;
	rec = record(task);
	if (rec)
		orphan(rec, w->from);
	bpf_task_release(task);
	return 0;
}

#define WALK_MAX 65536

/*
 * The children of a dying thread. The list may change under our feet, as it is another's lock
 * that guards it: a child that is missed is noticed by sync() at its next event.
 */
static __always_inline void orphan_children(struct task_struct *p)
{
	struct walk w = {};

	w.head = (void *)p + bpf_core_field_offset(struct task_struct, children);
	bpf_probe_read_kernel(&w.at, sizeof(w.at), w.head);
	w.from = p->tgid;
	bpf_loop(WALK_MAX, walk_step, &w, 0);
}

#endif
