/* SPDX-License-Identifier: GPL-2.0-only */
/* Steps that fill memory out of the pages images. */
#ifndef STASIS_PLAN_FILL_H
#define STASIS_PLAN_FILL_H

#include "image/pagemap.h"
#include "plan/plan.h"

/* Fill @extents, whose starts count from @base, out of the pages images. */
int plan_fill(struct plan *p, struct plan_slot *slot, uint64_t base, const stored_vec *extents);

/*
 * The contents of a memory file of @size bytes that is open at @fd in @slot,
 * from page map @id of kind @maps, through a mapping in the hole. Not all kinds
 * of memory can be populated (madvise(2)) before.
 */
int plan_fill_file(struct plan *p, struct plan_slot *slot, enum image_id maps, uint32_t id,
		   uint64_t size, struct operand fd, bool populate);

#endif
