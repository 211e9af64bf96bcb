/* SPDX-License-Identifier: GPL-2.0-only */
/* The planner's view of descriptor tables. */
#ifndef STASIS_RESTORE_FDS_H
#define STASIS_RESTORE_FDS_H

#include "restore/memory.h"

enum occupancy { FREE, DESCRIPTION, TEMPORARY, PLACEHOLDER, SERVICE };

struct occupant {
	enum occupancy use;
	bool settled; /* where the table wants it */
	struct file *file;
};

/* A descriptor table as it will be when the steps planned so far have run. */
struct fd_sim {
	VEC(struct occupant) at;
	struct occupant nobody;
	int lowest;   /* nothing below is free */
	bool cloexec; /* of the descriptor that is being made */
	const struct plan_slot *pidfd_of;
	int pidfd;
};

/* Where a description is (file->plan). */
struct file_state {
	struct plan_slot *owner; /* who opened it; NULL: nobody yet */
	int fd;			 /* its number there */
	bool cloexec;
	struct plan_slot *table; /* the table that has it settled last ... */
	int here;		 /* ... and its number in that */
	unsigned int n_takes;
};

/* PHASE_FILES of the first task that has a table. */
int plan_table(struct plan *p, struct task *t);

#endif
