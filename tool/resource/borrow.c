// SPDX-License-Identifier: GPL-2.0-only
#include "resource/borrow.h"

#include <errno.h>

#include "plan/fds.h"
#include "resource/reg.h"

int file_borrow(struct plan *p, struct plan_slot *slot, struct file *f, uint32_t flags,
		struct operand *ret_fd)
{
	struct file_state *st = f->plan;

	if (f->msg->type == FD_TYPES__REG)
		return open_path(p, slot, f, flags, ret_fd);
	if (!st->owner)
		return fail_text(&p->run->err, -EOPNOTSUPP,
				 "file id %u of type %d: a mapping of this kind is not restored",
				 f->id, f->msg->type);
	/* A mapping of a memfd names any description of it; its own access mode counts. */
	if (f->msg->type == FD_TYPES__MEMFD)
		return plan_reopen(p, slot, f, flags, ret_fd);
	if (st->owner == slot) {
		*ret_fd = plan_call(p, slot, "descriptor %ld", st->fd, __NR_dup, imm(st->fd));
		return 0;
	}
	plan_await_table(p, slot, st->owner);
	st->n_takes++;
	*ret_fd = plan_take(p, slot, st->owner, imm(st->fd), "take descriptor %ld of its owner",
			    st->fd);
	return 0;
}
