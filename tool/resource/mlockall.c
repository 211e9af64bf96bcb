// SPDX-License-Identifier: GPL-2.0-only
/*
 * mlockall(2)'s MCL_FUTURE: whether mappings to come are locked. Nothing says so but a new mapping:
 * msync(2) with MS_INVALIDATE refuses locked ones with EBUSY, and its page is there at once
 * (mincore(2)), or not yet where MCL_ONFAULT was given as well.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "mem/vma.h"
#include "plan/plan.h"
#include "remote/agent.h"
#include "remote/program.h"
#include "resource/attribute.h"
#include "resource/attributes.h"

struct mlockall_ops {
	struct stub_op *msync;
	uint64_t vec; /* of mincore(2) */
};

static int ask_mlockall(struct ask *a)
{
	const struct program_arg page = arg_imm(PAGE_BYTES);
	struct mlockall_ops *ops;
	struct program_arg map;
	struct stub_op *op;
	uint64_t at;

	ops = program_space(a->prog, sizeof(*ops), &at);
	if (!ops)
		return -ENOSPC;
	a->mine = ops;
	/* There it goes with the arena if we are killed. */
	op = program_call(a->prog, SYS_mmap, 0, arg_arena(AGENT_WINDOW_AT), page,
			  arg_imm(PROT_READ), arg_imm(MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED),
			  arg_imm(-1), arg_imm(0));
	if (!op)
		return -ENOSPC;
	map = arg_result((uint8_t *)op - a->prog->base);
	ops->msync = program_call(a->prog, SYS_msync, STUB_MAY_FAIL, map, page,
				  arg_imm(MS_INVALIDATE));
	if (!ops->msync ||
	    !program_call(a->prog, SYS_mincore, 0, map, page,
			  arg_arena(at + offsetof(struct mlockall_ops, vec))) ||
	    !program_call(a->prog, SYS_munmap, 0, map, page))
		return -ENOSPC;
	return 0;
}

static int answer_mlockall(struct ask *a)
{
	const struct mlockall_ops *ops = a->mine;
	MmEntry *mm = a->thread->task->mm->msg;

	if (ops->msync->ret != -EBUSY)
		return 0;
	mm->has_mlockall = true;
	mm->mlockall = MCL_FUTURE | (ops->vec & 1 ? 0 : MCL_ONFAULT);
	return 0;
}

static int plan_mlockall(struct plan *p, struct plan_slot *slot, const struct thread *t)
{
	const struct mm *mm = t->task->mm;

	if (!mm->msg->has_mlockall || mm->owner != t->task)
		return 0;
	slot->phase = PHASE_TASK;
	plan_call(p, slot, "lock what is mapped from now on", 0, __NR_mlockall,
		  imm(MCL_FUTURE | (mm->msg->mlockall & MCL_ONFAULT)));
	return 0;
}

const struct attribute attribute_mlockall = {
	.name = "locking of memory to come",
	.per_process = true,
	.ask = ask_mlockall,
	.answer = answer_mlockall,
	.plan = plan_mlockall,
};
