/* SPDX-License-Identifier: GPL-2.0-only */
/* Steps that fill memory out of the pages images. */
#ifndef STASIS_PLAN_FILL_H
#define STASIS_PLAN_FILL_H

#include "image/pagemap.h"
#include "plan/plan.h"

/* Fill @extents, whose starts count from @base, out of the pages images. */
int plan_fill(struct plan *p, struct plan_slot *slot, uint64_t base, const stored_vec *extents);

/* The same for memory that cannot be populated. */
int plan_fill_unpopulated(struct plan *p, struct plan_slot *slot, uint64_t base,
			  const stored_vec *extents);

#endif
