// SPDX-License-Identifier: GPL-2.0-only
/* Filling much memory with a second thread. */
#include <sys/syscall.h>

#include "restore/memory.h"

/* Enough for a second thread to pay. */
#define PARALLEL_MIN (8ull << 20)
/* What a piece costs beside its bytes, in bytes. */
#define PIECE_COST 8192

/* Cut @extents where about half of the work is done; the second half goes to @rest. */
static int halve(stored_vec *extents, stored_vec *rest)
{
	uint64_t all = 0, done = 0, len;
	struct stored *e, cut;
	size_t i;

	vec_for_each (extents, e)
		all += e->len + PIECE_COST;
	if (all < PARALLEL_MIN)
		return 0;
	for (i = 0; i < extents->n && done + extents->at[i].len + PIECE_COST <= all / 2; i++)
		done += extents->at[i].len + PIECE_COST;
	len = (all / 2 - done) & ~(PAGE_BYTES - 1);
	if (i < extents->n && len && len < extents->at[i].len) {
		cut = extents->at[i];
		cut.start += len;
		cut.offset += len;
		cut.len -= len;
		if (vec_push(rest, cut))
			return -ENOMEM;
		extents->at[i++].len = len;
	}
	for (len = i; i < extents->n; i++)
		if (vec_push(rest, extents->at[i]))
			return -ENOMEM;
	extents->n = len;
	return 0;
}

/* The leader and, if there is much to do, a second thread that is gone when it is done. */
int plan_fill_by_two(struct plan *p, struct plan_slot *slot, stored_vec *extents)
{
	struct plan_slot *second = NULL;
	stored_vec rest = {0};
	struct operand word;
	int ret = halve(extents, &rest);

	if (ret)
		ret = fail(&p->run->err, ret, "restore plan");
	if (!ret && rest.n) {
		second = plan_slot_new(p, SLOT_FILLER, slot->task, NULL, plan_free_pid(p));
		ret = plan_ok(p);
	}
	if (!ret && second) {
		second->phase = PHASE_MEMORY;
		word = plan_word(p);
		plan_clone(p, slot, "create a thread that helps to fill (%ld)", second,
			   THREAD_FLAGS, 0);
		ret = plan_fill(p, second, 0, &rest);
		plan_signal(p, second, word, 1);
		plan_call(p, second, "the helper is done", 0, __NR_exit, imm(0));
	}
	if (!ret)
		ret = plan_fill(p, slot, 0, extents);
	if (!ret && second)
		plan_await(p, slot, word, 1, "wait for the other half", 0);
	vec_free(&rest);
	return ret;
}
