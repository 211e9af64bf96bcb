/* SPDX-License-Identifier: GPL-2.0-only */
/* Records of processes: where they are kept, what is written into them and how. */
#ifndef CABA_RECORD_H
#define CABA_RECORD_H

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct caba_rec);
} caba_records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct caba_pids);
} caba_deep SEC(".maps");

/*
 * Records of processes whose leader thread exited before the others: a thread that executes
 * takes the leader's place and finds here what the leader's storage held, because that is
 * out of reach by then. By tgid; user space sets the size to the limit.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct caba_rec);
} caba_led SEC(".maps");

static __always_inline struct caba_rec *record(struct task_struct *leader)
{
	return bpf_task_storage_get(&caba_records, leader, 0, 0);
}

static __always_inline struct caba_rec *record_make(struct task_struct *leader)
{
	return bpf_task_storage_get(&caba_records, leader, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

static __always_inline __u32 current_tgid(void)
{
	return bpf_get_current_pid_tgid() >> 32;
}

static __always_inline void note(struct caba_rec *rec, __u16 what, __u32 a, __u32 b, __u32 by)
{
	__u32 n = __sync_fetch_and_add(&rec->nr_events, 1);
	struct caba_event *ev = &rec->events[n % CABA_EVENTS];

	ev->when = bpf_ktime_get_boot_ns();
	ev->what = what;
	ev->by = by;
	ev->a = a;
	ev->b = b;
}

/* Whoever takes the place of a leader that has exited must find the latest. */
static __always_inline void keep_led(const struct caba_rec *rec)
{
	__u32 tgid = rec->tgid;

	if (rec->flags & CABA_LEADER_EXITED)
		bpf_map_update_elem(&caba_led, &tgid, rec, BPF_EXIST);
}

static __always_inline struct caba_pid pid_at(struct pid *pid, __u32 level)
{
	/* numbers[] is a flexible array: its further elements are reached by size. */
	void *p = (void *)pid + bpf_core_field_offset(struct pid, numbers) +
		  level * bpf_core_type_size(struct upid);
	struct pid_namespace *ns = NULL;
	struct caba_pid out = {};

	/* Most processes are in the initial namespace, and a plain load is cheaper. */
	if (!level) {
		__u32 nr = pid->numbers[0].nr;

		/* One load for both branches would have two kinds of pointer. */
		barrier_var(nr);
		out.nr = nr;
		out.ns = pid->numbers[0].ns->ns.inum;
		return out;
	}
	bpf_probe_read_kernel(&out.nr, sizeof(out.nr), p + bpf_core_field_offset(struct upid, nr));
	bpf_probe_read_kernel(&ns, sizeof(ns), p + bpf_core_field_offset(struct upid, ns));
	out.ns = BPF_CORE_READ(ns, ns.inum);
	return out;
}

/* Number of @pid in the namespace @ns that lies at @level; 0 if it has none there. */
static __always_inline __u32 pid_in_ns(struct pid *pid, __u32 level, __u32 ns)
{
	struct caba_pid p;

	if (!pid || pid->level < level || level >= CABA_LEVELS)
		return 0;
	p = pid_at(pid, level);
	return p.ns == ns ? p.nr : 0;
}

static __always_inline __u32 global_nr(struct pid *pid)
{
	return pid ? pid->numbers[0].nr : 0;
}

static __noinline void fill_deep(struct task_struct *task)
{
	struct pid *pid = task->thread_pid;
	__u32 level = pid->level;
	struct caba_pids *deep;

	deep = bpf_task_storage_get(&caba_deep, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!deep)
		return;
	for (__u32 i = 0; i < CABA_LEVELS; i++) {
		if (i > level)
			break;
		deep->at[i] = pid_at(pid, i);
	}
}

/* What is the same for every record: identity, pids, parent of the moment. Its innermost pid. */
static __always_inline struct caba_pid fill(struct caba_rec *rec, struct task_struct *leader)
{
	struct caba_pid own = {};
	struct pid *pid = leader->thread_pid;
	__u32 level = pid->level;

	rec->start = leader->start_boottime;
	rec->tgid = leader->tgid;
	rec->level = level;
	rec->real_parent = leader->real_parent->tgid;
	rec->parent = rec->real_parent;
	for (__u32 i = 0; i < CABA_INLINE; i++) {
		if (i > level)
			break;
		own = pid_at(pid, i);
		rec->pids[i] = own;
	}
	if (level >= CABA_INLINE) {
		own = pid_at(pid, level < CABA_LEVELS ? level : 0);
		fill_deep(leader);
	}
	if (own.nr == 1)
		rec->flags |= CABA_NS_INIT;
	return own;
}

/* The second half of an attach to a session: the group that comes with it. */
static __always_inline bool attach_half(const struct caba_rec *rec)
{
	const struct caba_event *last = &rec->events[(rec->nr_events - 1) % CABA_EVENTS];

	return rec->session.how == CABA_HOW_ATTACH && rec->nr_events &&
	       last->what == CABA_EV_SESSION;
}

/*
 * Session or group of @rec is, or is about to be, @nr, by the doing of @by (0: not known).
 * How follows from the numbers: only setsid makes a session, and a session's leader cannot
 * leave its group. The exchange decides who notes a change that two see at once.
 */
static __always_inline void member_set(struct caba_rec *rec, bool session, __u32 nr, __u32 by)
{
	struct caba_member *m = session ? &rec->session : &rec->group;
	__u32 old = m->nr;
	__u32 how;

	if (!nr || old == nr || __sync_val_compare_and_swap(&m->nr, old, nr) != old)
		return;
	if (session)
		how = nr == rec->tgid ? CABA_HOW_SETSID : CABA_HOW_ATTACH;
	else if (nr == rec->tgid)
		how = rec->session.nr == nr ? CABA_HOW_SETSID : CABA_HOW_SETPGID_NEW;
	else
		how = attach_half(rec) ? CABA_HOW_ATTACH : CABA_HOW_SETPGID_JOIN;
	m->how = how;
	m->by = by;
	m->when = bpf_ktime_get_boot_ns();
	note(rec, session ? CABA_EV_SESSION : CABA_EV_GROUP, old, nr, by);
	keep_led(rec);
}

/* @rec had the parent @from, which is dying; whoever comes next is not known yet. */
static __always_inline void orphan(struct caba_rec *rec, __u32 from)
{
	if (!rec->parent)
		return;
	note(rec, CABA_EV_REPARENT, from, 0, 0);
	rec->parent = 0;
	keep_led(rec);
}

static __always_inline void parent_set(struct caba_rec *rec, __u32 to)
{
	__u32 from = rec->parent;

	if (!to || from == to)
		return;
	rec->parent = to;
	if (from)
		note(rec, CABA_EV_REPARENT, from, to, 0);
	else
		for (int i = 0; i < CABA_EVENTS; i++)
			if (rec->events[i].what == CABA_EV_REPARENT && !rec->events[i].b)
				rec->events[i].b = to;
	keep_led(rec);
}

static __always_inline void subreaper_set(struct caba_rec *rec, bool on)
{
	if (on == !!(rec->flags & CABA_SUBREAPER))
		return;
	if (on)
		rec->flags |= CABA_SUBREAPER;
	else
		rec->flags &= ~CABA_SUBREAPER;
	note(rec, CABA_EV_SUBREAPER, 0, on, rec->tgid);
	keep_led(rec);
}

/*
 * Compare with what the kernel has now. Where a hook is missing, changes are noticed here,
 * at the task's next event; with all hooks there is nothing left to find.
 */
static __always_inline void sync(struct caba_rec *rec, struct task_struct *leader, __u32 by)
{
	struct signal_struct *sig = leader->signal;

	member_set(rec, true, global_nr(sig->pids[PIDTYPE_SID]), by);
	member_set(rec, false, global_nr(sig->pids[PIDTYPE_PGID]), by);
	subreaper_set(rec, BPF_CORE_READ_BITFIELD(sig, is_child_subreaper));
	parent_set(rec, leader->real_parent->tgid);
}

#endif
