/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STASIS_RESOURCE_BORROW_H
#define STASIS_RESOURCE_BORROW_H

#include "plan/plan.h"

/*
 * Make description @f available in @slot outside of its descriptor table: for
 * mappings, cwd, root, exe. The caller closes it with plan_close().
 */
int file_borrow(struct plan *p, struct plan_slot *slot, struct file *f, uint32_t flags,
		struct operand *ret_fd);

#endif
