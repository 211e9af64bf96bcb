/* SPDX-License-Identifier: GPL-2.0-only */
/* A whole checkpoint for people, in the lines of crit x. */
#ifndef STASIS_INSPECT_EXPLORE_H
#define STASIS_INSPECT_EXPLORE_H

#include <stdio.h>

#include "lib/error.h"

/* @what: ps, fds, mems, rss or sk. */
int explore(const char *folder, const char *what, struct error *err, FILE *out);

#endif
