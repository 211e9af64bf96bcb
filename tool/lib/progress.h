/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Progress of long work, on stderr if that is a terminal: one line that is
 * rewritten some times a second, shows up only when the work takes a while, and
 * is wiped at the end. Cheap enough to be told of every step, by several threads.
 */
#ifndef STASIS_LIB_PROGRESS_H
#define STASIS_LIB_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "lib/run.h"

struct progress {
	const char *what;
	uint64_t done, total;
	bool bytes;
	bool on;    /* someone can see it */
	bool drawn; /* a line is on the screen */
	bool busy;  /* somebody is drawing; atomic */
	struct timespec next;
};

/*
 * Start: @what, as "dump memory"; @total steps, or bytes, 0 if not known. Nothing
 * is shown when stderr is no terminal, or has the log at a level that scrolls.
 */
void progress_start(struct progress *p, const struct run *run, const char *what, uint64_t total,
		    bool bytes);
/* @more was done. */
void progress_add(struct progress *p, uint64_t more);
/* Wipe the line; before anything else is printed. A progress that is all zeroes may be ended. */
void progress_end(struct progress *p);

#endif
