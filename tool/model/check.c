// SPDX-License-Identifier: GPL-2.0-only
#include "model/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/run.h"

#define PAGE 4096u

/* Five-level page tables: nothing of user space lies above. */
#define TASK_END (1ull << 56)

int bad_image(struct run *run, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fail_text(&run->err, -EBADMSG, "image %s", text);
	fail_hint(&run->err, "the images are damaged or were altered: take the checkpoint again, "
			     "or copy it again from where it is whole");
	return -EBADMSG;
}

int check_file(struct run *run, const FileEntry *e)
{
	const ProtobufCMessage *msg;
	char name[16];
	uint32_t id = e->id;

	if (!protobuf_c_enum_descriptor_get_value(&fd_types__descriptor, e->type))
		return 0; /* refused as unsupported, which says more */
	msg = file_entry_message(e, &id);
	if (!msg)
		return bad_image(run, "files.img: id %u is a %s but does not say which", e->id,
				 file_type_name(e->type, name));
	if (id != e->id)
		return bad_image(run, "files.img: id %u describes file id %u", e->id, id);
	return 0;
}

static bool bad_range(const VmaEntry *v)
{
	if (v->start >= v->end || (v->start | v->end) & (PAGE - 1))
		return true;
	return v->end > TASK_END && !(v->status & VMA_VSYSCALL);
}

int check_mm(struct run *run, pid_t pid, const MmEntry *e)
{
	uint64_t end = 0;

	for (size_t i = 0; i < e->n_vmas; i++) {
		const VmaEntry *v = e->vmas[i];

		if (bad_range(v))
			return bad_image(run, "mm-%d.img: mapping 0x%" PRIx64 "-0x%" PRIx64, pid,
					 v->start, v->end);
		/* Guard regions lie within the mapping before them. */
		if (v->status & VMA_GUARD && v->end <= end)
			continue;
		if (v->start < end)
			return bad_image(run,
					 "mm-%d.img: mapping 0x%" PRIx64 "-0x%" PRIx64
					 " overlaps the one before it or is out of order",
					 pid, v->start, v->end);
		end = v->end;
	}
	/* The kernel takes an even number of words and has room for no more than this. */
	if (e->n_mm_saved_auxv > 128)
		return bad_image(run, "mm-%d.img: auxiliary vector of %zu words", pid,
				 e->n_mm_saved_auxv);
	return 0;
}

/* Lengths of arrays: the sizes of what the kernel keeps. */
struct length {
	const char *name;
	size_t n, min, max;
};

static int check_lengths(struct run *run, pid_t tid, const struct length *len, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (len[i].n < len[i].min || len[i].n > len[i].max)
			return bad_image(run, "core-%d.img: %s has %zu elements instead of %zu",
					 tid, len[i].name, len[i].n, len[i].max);
	return 0;
}

#define check_all(run, tid, ...)                                      \
	check_lengths(run, tid, (const struct length[]){__VA_ARGS__}, \
		      sizeof((const struct length[]){__VA_ARGS__}) / sizeof(struct length))

static int check_fpregs(struct run *run, pid_t tid, const UserX86FpregsEntry *f)
{
	const UserX86XsaveEntry *x = f->xsave;
	int ret = check_all(run, tid, {"st_space", f->n_st_space, 32, 32},
			    {"xmm_space", f->n_xmm_space, 64, 64},
			    {"padding", f->n_padding, 0, 24});

	if (ret || !x)
		return ret;
	/* Components that the processor lacks are left out. */
	return check_all(run, tid, {"ymmh_space", x->n_ymmh_space, 0, 64},
			 {"bndreg_state", x->n_bndreg_state, 0, 8},
			 {"bndcsr_state", x->n_bndcsr_state, 0, 8},
			 {"opmask_reg", x->n_opmask_reg, 0, 8},
			 {"zmm_upper", x->n_zmm_upper, 0, 64}, {"hi16_zmm", x->n_hi16_zmm, 0, 128},
			 {"pkru", x->n_pkru, 0, 2});
}

static int check_creds(struct run *run, pid_t tid, const CredsEntry *c)
{
	return check_all(run, tid, {"cap_inh", c->n_cap_inh, 2, 2}, {"cap_prm", c->n_cap_prm, 2, 2},
			 {"cap_eff", c->n_cap_eff, 2, 2}, {"cap_bnd", c->n_cap_bnd, 2, 2},
			 {"cap_amb", c->n_cap_amb, 0, 2}, {"groups", c->n_groups, 0, 65536});
}

static int check_signals(struct run *run, pid_t tid, const SignalQueueEntry *q)
{
	for (size_t i = 0; q && i < q->n_signals; i++)
		if (q->signals[i]->siginfo.len != 128)
			return bad_image(run, "core-%d.img: pending signal %zu of %zu bytes", tid,
					 i, q->signals[i]->siginfo.len);
	return 0;
}

static int check_thread(struct run *run, pid_t tid, const CoreEntry *core)
{
	int ret;

	if (!core->thread_info || !core->thread_core)
		return bad_image(run, "core-%d.img: no registers", tid);
	ret = check_all(run, tid, {"tls", core->thread_info->n_tls, 0, 3});
	if (!ret)
		ret = check_fpregs(run, tid, core->thread_info->fpregs);
	if (!ret && core->thread_core->creds)
		ret = check_creds(run, tid, core->thread_core->creds);
	return ret ?: check_signals(run, tid, core->thread_core->signals_p);
}

static int compare_u32(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int check_timers(struct run *run, pid_t tid, const TaskTimersEntry *timers)
{
	uint32_t *ids;
	int ret = 0;

	if (!timers || timers->n_posix < 2)
		return 0;
	ids = calloc(timers->n_posix, sizeof(ids[0]));
	if (!ids)
		return fail(&run->err, -ENOMEM, "image core-%d.img", tid);
	for (size_t i = 0; i < timers->n_posix; i++)
		ids[i] = timers->posix[i]->it_id;
	qsort(ids, timers->n_posix, sizeof(ids[0]), compare_u32);
	for (size_t i = 1; !ret && i < timers->n_posix; i++)
		if (ids[i] == ids[i - 1])
			ret = bad_image(run, "core-%d.img: POSIX timer %u occurs twice", tid,
					ids[i]);
	free(ids);
	return ret;
}

static int check_process(struct run *run, pid_t tid, const TaskCoreEntry *tc)
{
	int ret = check_all(run, tid, {"sigactions", tc->n_sigactions, 0, 64},
			    {"rlimits", tc->rlimits ? tc->rlimits->n_rlimits : 0, 0, 16});

	if (!ret)
		ret = check_signals(run, tid, tc->signals_s);
	return ret ?: check_timers(run, tid, tc->timers);
}

int check_core(struct run *run, const struct thread *th, bool leader)
{
	const CoreEntry *core = th->core;
	int ret;

	if (core->mtype != CORE_ENTRY__MARCH__X86_64) {
		fail_text(&run->err, -EPROTONOSUPPORT,
			  "image core-%d.img: of another architecture (%d), not x86-64", th->tid,
			  (int)core->mtype);
		return fail_hint(&run->err, "restore it on a machine of that architecture");
	}
	if (!leader)
		return check_thread(run, th->tid, core);
	if (!core->tc)
		return bad_image(run, "core-%d.img: nothing of the process", th->tid);
	switch (core->tc->task_state) {
	case TASK_ZOMBIE:
	case TASK_DEAD:
		return 0;
	case TASK_ALIVE:
	case TASK_STOPPED:
		ret = check_process(run, th->tid, core->tc);
		return ret ?: check_thread(run, th->tid, core);
	default:
		return bad_image(run, "core-%d.img: task state %u", th->tid, core->tc->task_state);
	}
}

/* Tasks and threads have their ids out of one set. */
static int check_tids(struct run *run, const struct checkpoint *cp)
{
	VEC(uint32_t) tids = {};
	struct task **t;
	struct thread *th;
	int ret = 0;

	vec_for_each (&cp->tasks, t)
		vec_for_each (&(*t)->threads, th)
			if (vec_push(&tids, th->tid))
				ret = -ENOMEM;
	if (ret)
		fail(&run->err, ret, "image pstree.img");
	else
		vec_sort(&tids, compare_u32);
	for (size_t i = 1; !ret && i < tids.n; i++)
		if (tids.at[i] == tids.at[i - 1])
			ret = bad_image(run, "pstree.img: thread id %u occurs twice", tids.at[i]);
	vec_free(&tids);
	return ret;
}

/*
 * setsid(2) makes a leader of both, and neither it nor setpgid(2) lets a
 * session's leader or a group's namesake go elsewhere while the id is in use.
 */
static int check_session(struct run *run, const struct checkpoint *cp, const PstreeEntry *e)
{
	const struct task *leader = checkpoint_task(cp, e->sid), *namesake;

	if (e->sid > CHECK_PID_MAX || e->pgid > CHECK_PID_MAX)
		return bad_image(run, "pstree.img: task %u in session %u, group %u", e->pid, e->sid,
				 e->pgid);
	if (e->sid == e->pid && e->pgid != e->pid)
		return bad_image(run, "pstree.img: session leader %u in group %u", e->pid, e->pgid);
	if (e->sid && leader && leader->msg->sid != e->sid)
		return bad_image(run, "pstree.img: task %u in session %u, whose leader is in %u",
				 e->pid, e->sid, leader->msg->sid);
	namesake = checkpoint_task(cp, e->pgid);
	if (e->pgid && namesake && namesake->msg->sid != e->sid)
		return bad_image(run, "pstree.img: group %u in sessions %u and %u", e->pgid, e->sid,
				 namesake->msg->sid);
	return 0;
}

static int compare_groups(const void *a, const void *b)
{
	const PstreeEntry *x = (*(struct task *const *)a)->msg,
			  *y = (*(struct task *const *)b)->msg;

	return (x->pgid > y->pgid) - (x->pgid < y->pgid);
}

/* A group lies in one session, also when its namesake is gone. */
static int check_groups(struct run *run, const struct checkpoint *cp)
{
	struct task **by_group = malloc(cp->tasks.n * sizeof(by_group[0]));
	int ret = 0;

	if (!by_group)
		return fail(&run->err, -ENOMEM, "image pstree.img");
	memcpy(by_group, cp->tasks.at, cp->tasks.n * sizeof(by_group[0]));
	qsort(by_group, cp->tasks.n, sizeof(by_group[0]), compare_groups);
	for (size_t i = 1; !ret && i < cp->tasks.n; i++) {
		const PstreeEntry *a = by_group[i - 1]->msg, *b = by_group[i]->msg;

		if (a->pgid && a->pgid == b->pgid && a->sid != b->sid)
			ret = bad_image(run, "pstree.img: group %u in sessions %u and %u", a->pgid,
					a->sid, b->sid);
	}
	free(by_group);
	return ret;
}

int check_tree(struct run *run, const struct checkpoint *cp)
{
	struct task **t;
	int ret = check_tids(run, cp);

	vec_for_each (&cp->tasks, t) {
		if (ret)
			return ret;
		ret = check_session(run, cp, (*t)->msg);
	}
	return ret ?: check_groups(run, cp);
}
