/* SPDX-License-Identifier: GPL-2.0-only */
/* A whole checkpoint for people, in the lines of crit x. */
#ifndef STASIS_INSPECT_EXPLORE_H
#define STASIS_INSPECT_EXPLORE_H

#include <stdbool.h>
#include <stdio.h>

#include "lib/error.h"
#include "model/model.h"

/* @what: ps, fds, mems, rss or sk. */
int explore(const char *folder, const char *what, struct error *err, FILE *out);
bool explore_knows(const char *what);

/* explore_mem.c */
int explore_mems(struct run *run, const struct checkpoint *cp, FILE *out);
int explore_rss(struct run *run, const struct checkpoint *cp, FILE *out);
/* What a description is called in a line: a path, "pipe[12]", "KIND.id". */
void explore_file(FILE *out, const struct file *f);

#endif
