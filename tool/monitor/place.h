/* SPDX-License-Identifier: GPL-2.0-only */
/* Where the monitor is pinned. Internal to tool/monitor. */
#ifndef STASIS_MONITOR_PLACE_H
#define STASIS_MONITOR_PLACE_H

#include <stdbool.h>

#include "lib/error.h"

/*
 * The folder holds `monitor` (complete, or not there) and for moments `new`. Whoever changes
 * it holds a lock on it.
 */
struct place {
	int fd; /* of the folder, locked; -1: not open */
	char folder[256];
};

/* Open and lock; with @make, mount the BPF file system and make the folder where missing. */
int place_open(struct place *p, const char *folder, bool make, struct error *err);
void place_close(struct place *p);

/* Path of @name in `new` or `monitor`: filled into @buf. */
void place_path(const struct place *p, const char *part, const char *name, char *buf, size_t size);

bool place_has(const struct place *p, const char *part);

/* `new`, empty. */
int place_begin(struct place *p, struct error *err);
/* `new` becomes `monitor`. */
int place_commit(struct place *p, struct error *err);
/* Remove `new` or `monitor`: what was pinned there is let go. */
int place_drop(struct place *p, const char *part, struct error *err);
/* Remove the folder itself, if empty. */
void place_remove(struct place *p);

#endif
