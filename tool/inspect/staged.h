/* SPDX-License-Identifier: GPL-2.0-only */
/* Output that appears complete or not at all. */
#ifndef STASIS_INSPECT_STAGED_H
#define STASIS_INSPECT_STAGED_H

#include <stdio.h>

#include "lib/error.h"

struct staged {
	FILE *file;	  /* write here */
	const char *path; /* NULL: standard output */
	char *target;	  /* what is replaced; NULL: copied to a stream */
	char *temporary;  /* beside it */
	int linked;	  /* the temporary file has its name already */
};

/*
 * @path NULL: standard output. An existing file is replaced at commit, one that
 * is not regular (a pipe, /dev/stdout) is written to. Mode 0600: what images
 * hold is memory of processes.
 */
int staged_open(struct staged *s, const char *path, struct error *err);
/* Make it appear. Ends with staged_close() in any case. */
int staged_commit(struct staged *s, struct error *err);
/* Free; without a commit nothing is left behind. */
void staged_close(struct staged *s);

#endif
