/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What this kernel can do. Every feature is tried, in a child process, never
 * judged by the kernel's version. A feature is probed when it is first asked
 * for, so that a run pays only for what it needs.
 */
#ifndef STASIS_KERNEL_FEATURES_H
#define STASIS_KERNEL_FEATURES_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/error.h"

enum feature_id {
#define FEATURE(id, ...) FEATURE_##id,
#include "kernel/feature_rows.h"
#undef FEATURE
	N_FEATURES
};

enum feature_need {
	NEED_ALWAYS,   /* nothing works without it */
	NEED_SOME,     /* only some programs, or only for speed */
	NEED_CRIU,     /* no use of it here yet; criu check asks for it */
	NEED_PROPOSED, /* kernel-patches/ adds it */
};

struct feature_row {
	const char *name; /* as criu check --feature calls it where criu knows it */
	enum feature_need need;
	int (*probe)(void); /* in a child: 0 or a negative errno */
	const char *used_for;
	const char *lost; /* what is lost without it */
};

extern const struct feature_row feature_rows[N_FEATURES];

enum feature_state {
	FEATURE_UNASKED,
	FEATURE_PRESENT,
	FEATURE_ABSENT,
	FEATURE_UNKNOWN, /* the probe was not permitted to find out */
};

struct features {
	struct {
		enum feature_state state;
		int code; /* the probe's negative errno */
	} at[N_FEATURES];
};

/* Whether the feature is present, probing if need be; what could not be found out counts as absent.
 */
bool feature_has(struct features *f, enum feature_id id);
/* The same, telling absent from unknown. */
enum feature_state feature_state(struct features *f, enum feature_id id);

/* By name; N_FEATURES if there is none. */
enum feature_id feature_find(const char *name);

/*
 * Say what a kernel has instead of probing it (plan --features): "stock" (what
 * this kernel has, without the proposed interfaces), "patched" (with all of them), or a list of
 * names: NAME or +NAME has, -NAME lacks; every list stands on what this kernel has.
 */
int features_override(struct features *f, const char *list, struct error *err);

#endif
