/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The planner's view of descriptor tables: what each number of a table will be
 * when the steps planned so far have run, and where each description is.
 */
#ifndef STASIS_PLAN_FDS_H
#define STASIS_PLAN_FDS_H

#include "plan/plan.h"

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
	struct plan_slot *pidfd_of;
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

/* --- for kinds of descriptors ------------------------------------------- */

/*
 * A call whose result is a new descriptor. While a descriptor table is being
 * built its number is known beforehand and verified when the step runs.
 */
struct operand plan_open_call(struct plan *p, struct plan_slot *slot, const char *why,
			      uint64_t subject, int nr, int n, const struct operand *args);

#define plan_open(p, slot, why, subject, nr, ...) \
	plan_open_call(p, slot, why, subject, nr, PLAN_ARGS(__VA_ARGS__))

/* For calls that make several descriptors: the number of the next, which is in use from now on. */
int plan_fd_take(struct plan *p, struct plan_slot *slot);

/* Status flags that no opening sets: O_ASYNC. After plan_fown(). */
void plan_status_flags(struct plan *p, struct plan_slot *slot, struct operand fd, uint32_t flags);

/*
 * A new description of what @f, which is open already, is about: through the
 * link of its descriptor in /proc. Only while a table is being built.
 */
int plan_reopen(struct plan *p, struct plan_slot *slot, struct file *f, uint32_t flags,
		struct operand *ret_fd);

/* O_CLOEXEC, or 0: what the description that is being opened should have on its descriptor. */
int plan_cloexec(struct plan_slot *slot);

/* Of several descriptions that a call opened at once: @f lies at @fd of this table. */
void plan_file_opened(struct plan *p, struct plan_slot *slot, struct file *f, int fd);

/* Owner and signal of a description (fown_entry), position: common to many kinds. */
void plan_fown(struct plan *p, struct plan_slot *slot, struct operand fd, const FownEntry *fown);

/* Move a temporary descriptor to a number that no table wants; its new number. */
struct operand plan_put_aside(struct plan *p, struct plan_slot *slot, struct operand fd);

void plan_close(struct plan *p, struct plan_slot *slot, struct operand fd);

/* Another task's descriptor, as one of our own; the caller closes it. */
struct operand plan_take(struct plan *p, struct plan_slot *slot, const struct plan_slot *owner,
			 struct operand fd, const char *why, uint64_t subject);

/* Somebody else's descriptor table must be complete before we take from it. */
void plan_await_table(struct plan *p, struct plan_slot *slot, struct plan_slot *owner);

/* --- for the planner ---------------------------------------------------- */

/* What is at @fd; never NULL. */
struct occupant *fd_sim_at(struct plan *p, struct fd_sim *sim, int fd);
void fd_sim_put(struct plan *p, struct fd_sim *sim, int fd, enum occupancy use, struct file *f);
void fd_sim_free(struct fd_sim *sim);

/* The number that the next call will get. */
int plan_fd_next(struct plan *p, struct plan_slot *slot);
/* A number above all tables, for what must not be in their way. */
int plan_fd_high(struct plan *p, struct fd_sim *sim);
void plan_fd_move(struct plan *p, struct plan_slot *slot, int from, int to, bool cloexec);

#endif
