/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * --inherit-fd: descriptions of a checkpoint whose place descriptors of ours take.
 *
 * The task takes ours with pidfd_getfd(2), so that both have one description, with its
 * position and flags as they are; or it opens through its link in /proc a description of its
 * own, with the flags of the checkpoint, where that is the same thing for certain: pipes
 * and slaves of ptys. Files that were external at the dump are opened so as well.
 */
#ifndef STASIS_RESOURCE_INHERIT_H
#define STASIS_RESOURCE_INHERIT_H

#include "model/model.h"
#include "plan/operand.h"

struct run;
struct plan;
struct plan_slot;

/* Set f->outside of the files of this type that a name of --inherit-fd is the identity of. */
void inherit_match(struct run *run, struct checkpoint *cp, FdTypes type);
/* When all kinds are loaded: log what takes whose place, and what is nobody's. */
void inherit_report(struct run *run, struct checkpoint *cp);

enum inherit_mode {
	INHERIT_SHARED, /* a description of its own for pipes and ptys only */
	INHERIT_OWN,	/* for files as well */
};

/*
 * Emit the steps that bring the descriptor for @f, which has f->outside, into @slot. @flags: of
 * the description. *@own: whether it is one of its own, whose flags and position are @f's
 * business. Refuses a descriptor that is not open for what @flags want.
 */
int inherit_plan(struct plan *p, struct plan_slot *slot, const struct file *f, uint32_t flags,
		 enum inherit_mode mode, struct operand *ret_fd, bool *own);

#endif
