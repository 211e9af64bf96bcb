// SPDX-License-Identifier: GPL-2.0-only
/* Histories that were thought of beforehand, each with what must be known of it. */
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "monitor/world.h"

enum {
	REST,
	LEAVE,
	DAEMON,
	DAEMON_MIDDLE,
	SUBREAPER,
	FORK_AND_LEAVE,
	SESSION_LEADER,
	SHELL,
	EXEC_IN_THREAD,
	AFTER_EXEC,
	THREAD_GOES_ON,
	FORK_AND_REST,
	SIBLING,
	DEEPER,
	WALKER,
	GRANDMOTHER,
	LEADER_GONE,
	LEADER_GONE_2,
};

static void life_rest(struct world *w, int me)
{
	rest(w, me);
}

static void life_daemon(struct world *w, int me)
{
	spawn(w, me, SPAWN_FORK, DAEMON_MIDDLE);
	leave(w, me);
}

static void life_daemon_middle(struct world *w, int me)
{
	do_setsid(w, me);
	spawn(w, me, SPAWN_FORK, REST);
	leave(w, me);
}

static void life_subreaper(struct world *w, int me)
{
	do_subreaper(w, me, true);
	spawn_and_reap(w, me, SPAWN_FORK, FORK_AND_LEAVE);
	rest(w, me);
}

static void life_fork_and_leave(struct world *w, int me)
{
	spawn(w, me, SPAWN_FORK, REST);
	leave(w, me);
}

static void life_session_leader(struct world *w, int me)
{
	do_setsid(w, me);
	spawn(w, me, SPAWN_FORK, REST);
	spawn(w, me, SPAWN_FORK, REST);
	leave(w, me);
}

/* A pipeline of two in a group of the first. */
static void life_shell(struct world *w, int me)
{
	int first, second;

	do_setsid(w, me);
	first = spawn(w, me, SPAWN_FORK, REST);
	do_setpgid(w, me, first, 0);
	second = spawn(w, me, SPAWN_FORK, REST);
	do_setpgid(w, me, second, slot_pid(w, first));
	rest(w, me);
}

static void life_exec_in_thread(struct world *w, int me)
{
	do_setsid(w, me);
	spawn(w, me, SPAWN_FORK, REST);
	execute(w, me, true, AFTER_EXEC);
}

static void life_after_exec(struct world *w, int me)
{
	spawn(w, me, SPAWN_FORK, REST);
	rest(w, me);
}

static void life_thread_goes_on(struct world *w, int me)
{
	spawn(w, me, SPAWN_FORK, REST);
	leader_leaves(w, me, FORK_AND_REST);
}

static void life_sibling(struct world *w, int me)
{
	spawn(w, me, SPAWN_SIBLING, REST);
	spawn(w, me, SPAWN_THREAD, REST);
	rest(w, me);
}

/* Six pid namespaces, one in the other, and in the last a process that was left behind. */
static void life_deeper(struct world *w, int me)
{
	if (me < 7)
		spawn(w, me, SPAWN_NEWPID, DEEPER);
	else
		spawn(w, me, SPAWN_FORK, FORK_AND_LEAVE);
	rest(w, me);
}

/* Each generation leaves when the next is there. */
static void life_walker(struct world *w, int me)
{
	if (me < 500)
		spawn(w, me, SPAWN_FORK, WALKER);
	else
		rest(w, me);
	leave(w, me);
}

static void life_grandmother(struct world *w, int me)
{
	spawn(w, me, SPAWN_FORK, FORK_AND_LEAVE);
	spawn(w, me, SPAWN_FORK, FORK_AND_LEAVE);
	leave(w, me);
}

/* What changes after the leader has gone must pass to the thread that takes its place. */
static void life_leader_gone(struct world *w, int me)
{
	do_setpgid(w, me, me, 0);
	leader_leaves(w, me, LEADER_GONE_2);
}

static void life_leader_gone_2(struct world *w, int me)
{
	do_setpgid(w, me, me, getpgid(getppid()));
	do_setsid(w, me);
	do_subreaper(w, me, true);
	execute(w, me, false, AFTER_EXEC);
}

life_fn *const lives[] = {
	[REST] = life_rest,
	[LEAVE] = leave,
	[DAEMON] = life_daemon,
	[DAEMON_MIDDLE] = life_daemon_middle,
	[SUBREAPER] = life_subreaper,
	[FORK_AND_LEAVE] = life_fork_and_leave,
	[SESSION_LEADER] = life_session_leader,
	[SHELL] = life_shell,
	[EXEC_IN_THREAD] = life_exec_in_thread,
	[AFTER_EXEC] = life_after_exec,
	[THREAD_GOES_ON] = life_thread_goes_on,
	[FORK_AND_REST] = life_after_exec,
	[SIBLING] = life_sibling,
	[DEEPER] = life_deeper,
	[WALKER] = life_walker,
	[GRANDMOTHER] = life_grandmother,
	[LEADER_GONE] = life_leader_gone,
	[LEADER_GONE_2] = life_leader_gone_2,
};

/* --- what must be known besides what the judge compares ---------------- */

static struct monitor_record record_of(struct monitor *m, int slot)
{
	struct monitor_record r = {0};
	struct error err = {0};

	if (!judged_pid(slot) || monitor_lookup(m, judged_pid(slot), &err, &r))
		r.doubts = ~0u;
	return r;
}

static uint32_t host_pid(struct monitor *m, int slot)
{
	return record_of(m, slot).rec.tgid;
}

static const struct caba_event *last_event(const struct monitor_record *r, uint16_t what)
{
	const struct caba_event *found = NULL;

	for (uint32_t i = 0; i < r->rec.nr_events && i < CABA_EVENTS; i++)
		if (r->rec.events[i].what == what)
			found = &r->rec.events[i];
	return found;
}

/* The daemon (slot 3): two generations skipped, a session that it was born into. */
static bool know_daemon(struct world *w, struct monitor *m)
{
	struct monitor_record r = record_of(m, 3);

	return r.caba.id == record_of(m, 0).rec.id && r.caba.steps == 3 &&
	       r.rec.session.nr == r.rec.parent_tgid && r.rec.session.how == CABA_HOW_BORN &&
	       last_event(&r, CABA_EV_REPARENT);
}

/* Slot 1 is the subreaper, 2 its child that left, 3 the orphan. */
static bool know_subreaper(struct world *w, struct monitor *m)
{
	struct monitor_record r = record_of(m, 3), s = record_of(m, 1);
	const struct caba_event *e = last_event(&r, CABA_EV_REPARENT);

	return e && e->a == r.rec.parent_tgid && (!e->b || e->b == s.rec.tgid) &&
	       s.rec.flags & CABA_SUBREAPER && r.caba.id == s.rec.id && r.caba.steps == 2;
}

static bool know_session(struct world *w, struct monitor *m)
{
	struct monitor_record a = record_of(m, 2), b = record_of(m, 3);

	return a.rec.session.nr == a.rec.parent_tgid && b.rec.session.nr == a.rec.session.nr &&
	       a.rec.session.birth_nr == a.rec.session.nr && a.rec.parent_id == b.rec.parent_id;
}

static bool know_shell(struct world *w, struct monitor *m)
{
	struct monitor_record a = record_of(m, 2), b = record_of(m, 3);

	return a.rec.group.how == CABA_HOW_SETPGID_NEW &&
	       b.rec.group.how == CABA_HOW_SETPGID_JOIN && b.rec.group.nr == a.rec.tgid &&
	       b.rec.group.by == host_pid(m, 1) && a.rec.group.by == host_pid(m, 1) &&
	       b.rec.group.birth_nr == host_pid(m, 1);
}

static bool know_exec(struct world *w, struct monitor *m)
{
	struct monitor_record r = record_of(m, 1), before = record_of(m, 2),
			      after = record_of(m, 3);
	const struct caba_event *e = last_event(&r, CABA_EV_EXEC_THREAD);

	return e && e->b == r.rec.tgid && e->a != e->b && r.rec.execs == 1 &&
	       r.rec.session.how == CABA_HOW_SETSID && before.caba.id == r.rec.id &&
	       after.caba.id == r.rec.id && !(r.rec.flags & CABA_LEADER_EXITED);
}

static bool know_leader_gone(struct world *w, struct monitor *m)
{
	struct monitor_record r = record_of(m, 1);

	return r.rec.group.how == CABA_HOW_SETSID && r.rec.session.how == CABA_HOW_SETSID &&
	       r.rec.execs == 1 && !r.doubts && record_of(m, 2).caba.id == r.rec.id;
}

static bool know_thread(struct world *w, struct monitor *m)
{
	struct monitor_record r = record_of(m, 1), child = record_of(m, 3);

	return r.state == CABA_ALIVE && r.rec.flags & CABA_LEADER_EXITED &&
	       child.caba.id == r.rec.id && child.rec.flags & CABA_THREAD_FORKED &&
	       child.rec.parent_tid != child.rec.parent_tgid;
}

static bool know_sibling(struct world *w, struct monitor *m)
{
	struct monitor_record a = record_of(m, 2), b = record_of(m, 3);

	return a.rec.flags & CABA_CLONE_PARENT && a.rec.parent_id == record_of(m, 1).rec.id &&
	       a.rec.real_parent == host_pid(m, 0) && b.rec.flags & CABA_THREAD_FORKED;
}

static bool know_deeper(struct world *w, struct monitor *m)
{
	struct monitor_record top = record_of(m, 0), r = record_of(m, 9);
	return r.rec.level == top.rec.level + 6 && r.caba.id == record_of(m, 7).rec.id &&
	       r.caba.nr == 1 && r.pids[r.rec.level].nr == 3 &&
	       record_of(m, 7).rec.flags & CABA_NS_INIT;
}

static bool know_walker(struct world *w, struct monitor *m)
{
	struct monitor_record r = record_of(m, 500);

	return r.caba.id == record_of(m, 0).rec.id && r.caba.steps == 500;
}

/* The two that are left are children of two that are gone, and these of slot 1. */
static bool know_joint(struct world *w, struct monitor *m)
{
	struct monitor_birth *b = NULL;
	struct error err = {0};
	pid_t pids[2] = {0};
	size_t n = 0, at = 0;
	bool ok;

	for (int slot = 2; slot < 6; slot++)
		if (w->slot[slot].parent != 1 && at < 2)
			pids[at++] = judged_pid(slot);
	if (!pids[0] || !pids[1] || monitor_walk(m, pids, 2, &err, &b, &n))
		return false;
	ok = n == 3 && b[0].up == 2 && b[1].up == 2 && b[2].up == -1 && !b[2].pid &&
	     b[2].record.state != CABA_ALIVE && !b[0].doubts;
	if (!ok)
		for (at = 0; at < n; at++)
			printf("# %zu: pid %d up %zd doubts %#x state %d\n", at, b[at].pid,
			       b[at].up, b[at].doubts, b[at].record.state);
	free(b);
	return ok;
}

struct history {
	const char *name;
	int life, slots;
	bool (*know)(struct world *w, struct monitor *m);
};

static const struct history histories[] = {
	{"a daemon's double fork", DAEMON, 4, know_daemon},
	{"reparenting to a subreaper", SUBREAPER, 4, know_subreaper},
	{"a session leader exits, its session lives on", SESSION_LEADER, 4, know_session},
	{"setpgid into a sibling's group, by the parent", SHELL, 4, know_shell},
	{"exec in a thread", EXEC_IN_THREAD, 4, know_exec},
	{"changes after the leader exited, then an exec", LEADER_GONE, 3, know_leader_gone},
	{"a thread goes on without its leader, and forks", THREAD_GOES_ON, 4, know_thread},
	{"CLONE_PARENT, and a thread that forks", SIBLING, 4, know_sibling},
	{"six nested pid namespaces", DEEPER, 10, know_deeper},
	{"500 generations, each leaving", WALKER, 501, know_walker},
	{"two branches joined by a dead process", GRANDMOTHER, 6, know_joint},
};

static bool run(const struct history *h, struct world *w, struct monitor *m)
{
	struct verdict v;
	bool ok;

	world_begin(w, 0);
	spawn(w, 0, SPAWN_FORK, h->life);
	ok = world_settle(w);
	v = judge(w, m);
	if (w->slots != (uint32_t)h->slots)
		ok = printf("# %u slots\n", w->slots) < 0;
	if (!h->know(w, m))
		ok = printf("# what is known besides is not right\n") < 0;
	ok = ok && !v.wrong;
	world_end(w);
	return ok && !check_tree(m);
}

/* --- the monitor's own limits ------------------------------------------- */

/* The test is older than its monitor: so it is said, and so of a line that needs it. */
static bool older_is_said(struct world *w, struct monitor *m)
{
	struct monitor_record self, child;
	bool ok;

	world_begin(w, 0);
	spawn(w, 0, SPAWN_FORK, REST);
	world_settle(w);
	judge(w, m);
	self = record_of(m, 0);
	child = record_of(m, 1);
	ok = self.doubts & MONITOR_BIRTH_UNSEEN && self.rec.flags & CABA_OLD && !child.doubts &&
	     self.rec.session.how == CABA_HOW_UNKNOWN;
	world_end(w);
	return ok;
}

/* A pid that is used again is another process. */
static bool reuse_is_told(struct monitor *m)
{
	struct clone_args args = {.exit_signal = SIGCHLD};
	struct monitor_record a = {0}, b = {0};
	struct error err = {0};
	pid_t pid = 0;

	for (int i = 0; i < 2; i++) {
		pid_t set = pid, child;

		if (i) {
			args.set_tid = (uintptr_t)&set;
			args.set_tid_size = 1;
		}
		child = syscall(SYS_clone3, &args, sizeof(args));
		if (!child)
			for (;;)
				pause();
		if (child < 0 || (i && child != pid))
			return false;
		pid = child;
		if (monitor_lookup(m, pid, &err, i ? &b : &a))
			return false;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return a.rec.tgid && a.rec.id != b.rec.id && a.rec.start < b.rec.start && !b.doubts &&
	       b.rec.parent_id == a.rec.parent_id;
}

/* Room for 64 processes more than there are. */
static uint32_t limit_for_some(void)
{
	struct monitor *m = own_monitor(0);
	struct monitor_status s = {0};
	struct error err = {0};

	if (monitor_status(m, &err, &s))
		printf("# %s\n", err.text);
	drop_monitor(m);
	return s.head.used + 64;
}

/* Beyond the limit processes have no record; what is forgotten is said, nothing is invented. */
static bool limit_is_said(struct world *w)
{
	uint32_t limit = limit_for_some(), with = 0, without = 0;
	struct monitor *m = own_monitor(limit);
	struct monitor_status s = {0};
	struct error err = {0};
	bool ok = true;

	world_begin(w, 0);
	for (int i = 0; i < 128; i++)
		spawn(w, 0, SPAWN_FORK, REST);
	world_settle(w);
	world_find(w);
	for (uint32_t i = 1; i < w->slots; i++) {
		struct monitor_record r = record_of(m, i);

		without += r.doubts == MONITOR_NO_RECORD;
		with += !r.doubts;
		if (r.doubts ? r.caba.id : r.caba.id != record_of(m, 0).rec.id)
			ok = false;
	}
	if (monitor_status(m, &err, &s))
		ok = false;
	world_end(w);
	printf("# limit %u: %u with and %u without a record, %llu said to be lost, %u in use at most\n",
	       limit, with, without, s.head.lost_limit, s.head.peak);
	drop_monitor(m);
	/* Others come and go meanwhile: how many of each is not certain. */
	return ok && with && without && with + without == 128 && s.head.lost_limit >= without &&
	       s.head.peak == limit && s.head.limit == limit;
}

int main(int argc, char **argv)
{
	struct world *w = world_init(argc, argv);
	int n = sizeof(histories) / sizeof(histories[0]), bad = 0, at = 0;
	struct monitor *m = own_monitor(0);

	printf("1..%d\n", n + 3);
	for (; at < n; at++)
		bad += tap(at + 1, run(&histories[at], w, m), "%s", histories[at].name);
	bad += tap(++at, older_is_said(w, m), "a process older than the monitor is said to be");
	bad += tap(++at, reuse_is_told(m), "a pid that is used again is another process");
	drop_monitor(m);
	bad += tap(++at, limit_is_said(w), "what the limit left out is said to be");
	return !!bad;
}
