/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a restored task has from the tool unless it is set: attributes compare
 * with it, and set only what differs.
 */
#ifndef STASIS_PLAN_INHERITED_H
#define STASIS_PLAN_INHERITED_H

#include "plan/plan.h"

#define N_LIMITS       16
#define AFFINITY_BYTES 1024

struct inherited {
	struct {
		uint64_t cur, max;
	} limits[N_LIMITS];
	uint32_t umask, personality, ioprio;
	int64_t oom_score_adj;
	uint32_t loginuid;
	bool has_loginuid;
	uint64_t timerslack;
	uint32_t policy, priority;
	int32_t nice;
	uint64_t sched_flags;
	uint8_t affinity[AFFINITY_BYTES];
	uint32_t uid[4], gid[4]; /* real, effective, saved, fs */
	uint32_t *groups;
	size_t n_groups;
	uint64_t cap_inh, cap_prm, cap_eff, cap_bnd, cap_amb;
	uint32_t securebits;
	bool no_new_privs;
};

/* Fill p->inherited; before any attribute is planned. */
int plan_read_inherited(struct plan *p);
void inherited_free(struct inherited *i);

#endif
