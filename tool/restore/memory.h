/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files that plan memory offer each other. */
#ifndef STASIS_RESTORE_MEMORY_H
#define STASIS_RESTORE_MEMORY_H

#include "image/pagemap.h"
#include "mem/vma.h"
#include "plan/fds.h"
#include "plan/fill.h"
#include "restore/planner.h"
#include "restore/vdso_elf.h"

/* plan_fill() by two threads if there is much; @extents is shortened. For a task's leader. */
int plan_fill_by_two(struct plan *p, struct plan_slot *slot, stored_vec *extents);

/* shared.c: find out which anonymous shared memory is mapped where, and how large it is. */
int plan_objects(struct plan *p);
/* Map a part of it; the first task to do so makes it and fills it. */
int plan_map_object(struct plan *p, struct plan_slot *slot, const VmaEntry *v, int prot);

/* Close what makers kept open; after all mms are planned. */
void plan_objects_done(struct plan *p);

/* vdso.c: the tool's vDSO and mappings, into p->vdso and p->used. */
int plan_read_self(struct plan *p);
/* Move vDSO and data mappings as one. */
void plan_move_vdso(struct plan *p, struct plan_slot *slot, uint64_t from, uint64_t to);
/* hole.c: p->hole, after the sizes of vDSO and scratch are known. */
int plan_hole(struct plan *p);

/* vdso.c: bring the vDSO to where the task had it. */
/*
 * Or, if the checkpoint is from a kernel with another one, leave it parked:
 * then *ret_old is the old one's mapping, which is to be filled like any other
 * and redirected by plan_redirect_vdso().
 */
int plan_vdso(struct plan *p, struct plan_slot *slot, struct mm *mm, const stored_vec *extents,
	      const VmaEntry **ret_old, struct vdso_symbols *old);
int plan_redirect_vdso(struct plan *p, struct plan_slot *slot, const VmaEntry *text,
		       const struct vdso_symbols *old);

#endif
