// SPDX-License-Identifier: GPL-2.0-only
/* What a process or thread has set of itself by prctl(2) and its like. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/proc.h"
#include "lib/cleanup.h"
#include "plan/fds.h"
#include "plan/inherited.h"
#include "remote/program.h"
#include "resource/attribute.h"
#include "resource/attributes.h"

static int read_number(int procfd, const char *path, int base, int64_t *ret)
{
	_cleanup_free_ char *text = NULL;
	ssize_t n = proc_read_record(procfd, path, &text);

	if (n < 0)
		return n;
	*ret = strtoll(text, NULL, base);
	return 0;
}

/* --- of a process --------------------------------------------------------- */

static int look_process(struct ask *a)
{
	MmEntry *mm = a->thread->task->mm->msg;
	TaskCoreEntry *tc = a->thread->core->tc;
	int64_t v = 0;
	int ret;

	ret = read_number(a->procfd, "oom_score_adj", 10, &v);
	if (ret)
		return ret;
	tc->has_oom_score_adj = true;
	tc->oom_score_adj = v;
	tc->has_exit_signal = a->stat->exit_signal != SIGCHLD;
	tc->exit_signal = a->stat->exit_signal;
	if (!read_number(a->procfd, "coredump_filter", 16, &v)) {
		mm->has_coredump_filter = true;
		mm->coredump_filter = v;
	}
	/* Not there without auditing. */
	if (!read_number(a->procfd, "loginuid", 10, &v)) {
		tc->has_loginuid = true;
		tc->loginuid = v;
	}
	return 0;
}

struct process_ops {
	struct stub_op *dumpable, *thp, *brk, *personality;
	uint64_t subreaper; /* int that prctl writes */
};

static int ask_process(struct ask *a)
{
	struct process_ops *ops;
	uint64_t at;

	ops = program_space(a->prog, sizeof(*ops), &at);
	if (!ops)
		return -ENOSPC;
	a->mine = ops;
	ops->dumpable = program_call(a->prog, SYS_prctl, 0, arg_imm(PR_GET_DUMPABLE));
	ops->thp = program_call(a->prog, SYS_prctl, 0, arg_imm(PR_GET_THP_DISABLE), arg_imm(0),
				arg_imm(0), arg_imm(0), arg_imm(0));
	ops->brk = program_call(a->prog, SYS_brk, 0, arg_imm(0));
	ops->personality = program_call(a->prog, SYS_personality, 0, arg_imm(0xffffffff));
	return ops->dumpable && ops->thp && ops->brk && ops->personality &&
			       program_call(a->prog, SYS_prctl, 0, arg_imm(PR_GET_CHILD_SUBREAPER),
					    arg_arena(at + offsetof(struct process_ops, subreaper)))
		       ? 0
		       : -ENOSPC;
}

static int answer_process(struct ask *a)
{
	const struct process_ops *ops = a->mine;
	TaskCoreEntry *tc = a->thread->core->tc;
	MmEntry *mm = a->thread->task->mm->msg;

	tc->personality = ops->personality->ret;
	tc->has_child_subreaper = true;
	tc->child_subreaper = (int)ops->subreaper != 0;
	mm->has_dumpable = true;
	mm->dumpable = ops->dumpable->ret;
	mm->has_thp_disabled = true;
	mm->thp_disabled = ops->thp->ret != 0;
	mm->mm_brk = ops->brk->ret;
	return 0;
}

static void plan_proc_file(struct plan *p, struct plan_slot *slot, const char *path, int64_t value)
{
	struct operand fd;
	char text[32];
	int n = snprintf(text, sizeof(text), "%ld", (long)value);

	fd = plan_call(p, slot, path, 0, __NR_openat, imm(AT_FDCWD), plan_string(p, path),
		       imm(O_WRONLY | O_CLOEXEC));
	plan_call_expect(p, slot, "value %ld", value, __NR_write, n, fd, plan_string(p, text),
			 imm(n));
	plan_close(p, slot, fd);
}

static int plan_process(struct plan *p, struct plan_slot *slot, const struct thread *t)
{
	const TaskCoreEntry *tc = t->core->tc;
	const struct inherited *in = p->inherited;
	uint32_t i;

	slot->phase = PHASE_TASK;
	if (tc->personality != in->personality)
		plan_call(p, slot, "personality", tc->personality, __NR_personality,
			  imm(tc->personality));
	if (tc->has_oom_score_adj && tc->oom_score_adj != in->oom_score_adj)
		plan_proc_file(p, slot, "/proc/self/oom_score_adj", tc->oom_score_adj);
	if (tc->has_loginuid && in->has_loginuid && tc->loginuid != in->loginuid)
		plan_proc_file(p, slot, "/proc/self/loginuid", tc->loginuid);
	if (tc->has_child_subreaper && tc->child_subreaper)
		plan_call(p, slot, "subreaper of orphans", 0, __NR_prctl,
			  imm(PR_SET_CHILD_SUBREAPER), imm(1));
	for (i = 0; tc->has_membarrier_registration_mask && i < 32; i++)
		if (tc->membarrier_registration_mask & 1u << i)
			plan_call(p, slot, "membarrier registration %ld", i, __NR_membarrier,
				  imm(1u << i), imm(0), imm(0));
	return 0;
}

const struct attribute attribute_process = {
	.name = "process attributes",
	.per_process = true,
	.look = look_process,
	.ask = ask_process,
	.answer = answer_process,
	.plan = plan_process,
};

/* --- of a thread ---------------------------------------------------------- */

#ifndef PTRACE_GET_RSEQ_CONFIGURATION
#define PTRACE_GET_RSEQ_CONFIGURATION 0x420f
#endif

struct rseq_configuration {
	uint64_t rseq_abi_pointer;
	uint32_t rseq_abi_size, signature, flags, pad;
};

static int look_rseq(struct ask *a, ThreadCoreEntry *tc)
{
	struct rseq_configuration c;

	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, a->thread->tid, sizeof(c), &c) < 0)
		return -errno;
	if (!c.rseq_abi_pointer)
		return 0;
	tc->rseq_entry = malloc(sizeof(*tc->rseq_entry));
	if (!tc->rseq_entry)
		return -ENOMEM;
	rseq_entry__init(tc->rseq_entry);
	tc->rseq_entry->rseq_abi_pointer = c.rseq_abi_pointer;
	tc->rseq_entry->rseq_abi_size = c.rseq_abi_size;
	tc->rseq_entry->signature = c.signature;
	return 0;
}

static int look_thread(struct ask *a)
{
	ThreadCoreEntry *tc = a->thread->core->thread_core;
	struct robust_list_head *head;
	char path[48];
	int64_t v = 0;
	size_t len;
	ssize_t n;
	int ret;

	if (syscall(SYS_get_robust_list, a->thread->tid, &head, &len))
		return -errno;
	tc->futex_rla = (uint64_t)head;
	tc->futex_rla_len = len;
	if (a->leader) {
		tc->comm = strdup(a->thread->core->tc->comm);
		n = tc->comm ? 0 : -ENOMEM;
	} else {
		snprintf(path, sizeof(path), "task/%d/comm", a->thread->tid);
		n = proc_read_record(a->procfd, path, &tc->comm);
	}
	if (n < 0)
		return n;
	if (n > 0 && tc->comm[n - 1] == '\n')
		tc->comm[n - 1] = 0;
	if (!a->leader) {
		snprintf(path, sizeof(path), "/proc/%d/timerslack_ns", a->thread->tid);
		ret = read_number(AT_FDCWD, path, 10, &v);
		if (ret)
			return ret;
		tc->has_timerslack = true;
		tc->timerslack = v;
	}
	tc->has_cg_set = true;
	tc->cg_set = 1;
	return look_rseq(a, tc);
}

/* What the calls write. */
struct thread_data {
	stack_t sas;
	uint64_t clear_tid;
	uint64_t pdeath; /* int */
	struct stub_op *slack;
};

static int ask_thread(struct ask *a)
{
	struct thread_data *d;
	uint64_t at;

	d = program_space(a->prog, sizeof(*d), &at);
	a->mine = d;
	/* In the leader a call costs less than a file of /proc; in threads it is the other way
	 * round. */
	if (d && a->leader) {
		d->slack = program_call(a->prog, SYS_prctl, 0, arg_imm(PR_GET_TIMERSLACK));
		if (!d->slack)
			return -ENOSPC;
	}
	return d &&
			       program_call(a->prog, SYS_sigaltstack, 0, arg_imm(0),
					    arg_arena(at + offsetof(struct thread_data, sas))) &&
			       program_call(
				       a->prog, SYS_prctl, 0, arg_imm(PR_GET_TID_ADDRESS),
				       arg_arena(at + offsetof(struct thread_data, clear_tid))) &&
			       program_call(a->prog, SYS_prctl, 0, arg_imm(PR_GET_PDEATHSIG),
					    arg_arena(at + offsetof(struct thread_data, pdeath)))
		       ? 0
		       : -ENOSPC;
}

static int answer_thread(struct ask *a)
{
	ThreadCoreEntry *tc = a->thread->core->thread_core;
	const struct thread_data *d = a->mine;

	tc->sas = malloc(sizeof(*tc->sas));
	if (!tc->sas)
		return -ENOMEM;
	if (d->slack) {
		tc->has_timerslack = true;
		tc->timerslack = d->slack->ret;
	}
	thread_sas_entry__init(tc->sas);
	tc->sas->ss_sp = (uint64_t)d->sas.ss_sp;
	tc->sas->ss_size = d->sas.ss_size;
	tc->sas->ss_flags = d->sas.ss_flags;
	a->thread->core->thread_info->clear_tid_addr = d->clear_tid;
	if ((int)d->pdeath) {
		tc->has_pdeath_sig = true;
		tc->pdeath_sig = (int)d->pdeath;
	}
	return 0;
}

static void plan_rseq(struct plan *p, struct plan_slot *slot, const RseqEntry *e)
{
	if (!e || !e->rseq_abi_pointer)
		return;
	plan_call(p, slot, "register rseq at %#lx", e->rseq_abi_pointer, __NR_rseq,
		  imm(e->rseq_abi_pointer), imm(e->rseq_abi_size), imm(0), imm(e->signature));
	/* Registering clears the pointer to the critical section that the thread is in. */
	if (e->has_rseq_cs_pointer && e->rseq_cs_pointer)
		plan_call(p, slot, "its critical section", e->rseq_cs_pointer, STUB_STORE,
			  imm(e->rseq_abi_pointer + 8), imm(e->rseq_cs_pointer));
}

static void plan_altstack(struct plan *p, struct plan_slot *slot, const ThreadSasEntry *e)
{
	stack_t sas = {0};

	if (!e || e->ss_flags & SS_DISABLE)
		return;
	sas.ss_sp = (void *)e->ss_sp;
	sas.ss_size = e->ss_size;
	sas.ss_flags = e->ss_flags & ~(uint32_t)SS_ONSTACK;
	plan_call(p, slot, "alternate signal stack", e->ss_sp, __NR_sigaltstack,
		  plan_data(p, &sas, sizeof(sas)), imm(0));
}

static int plan_thread(struct plan *p, struct plan_slot *slot, const struct thread *t)
{
	const ThreadCoreEntry *tc = t->core->thread_core;
	const char *comm = slot->kind == SLOT_TASK ? t->core->tc->comm : tc->comm;

	slot->phase = PHASE_TASK;
	if (tc->futex_rla)
		plan_call(p, slot, "robust futex list", tc->futex_rla, __NR_set_robust_list,
			  imm(tc->futex_rla), imm(tc->futex_rla_len));
	if (t->core->thread_info->clear_tid_addr)
		plan_call_expect(p, slot, "word to clear at exit", 0, __NR_set_tid_address,
				 slot->tid, imm(t->core->thread_info->clear_tid_addr));
	plan_altstack(p, slot, tc->sas);
	if (comm)
		plan_call(p, slot, "name", 0, __NR_prctl, imm(PR_SET_NAME), plan_string(p, comm));
	if (tc->has_timerslack && tc->timerslack && tc->timerslack != p->inherited->timerslack)
		plan_call(p, slot, "timer slack %ld", tc->timerslack, __NR_prctl,
			  imm(PR_SET_TIMERSLACK), imm(tc->timerslack));
	slot->phase = PHASE_LAST;
	if (tc->has_pdeath_sig && tc->pdeath_sig)
		plan_call(p, slot, "signal %ld when the parent dies", tc->pdeath_sig, __NR_prctl,
			  imm(PR_SET_PDEATHSIG), imm(tc->pdeath_sig));
	plan_rseq(p, slot, tc->rseq_entry);
	return 0;
}

const struct attribute attribute_thread = {
	.name = "thread attributes",
	.look = look_thread,
	.ask = ask_thread,
	.answer = answer_thread,
	.plan = plan_thread,
};
