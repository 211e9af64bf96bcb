/* SPDX-License-Identifier: GPL-2.0-only */
/* What one run of the tool needs: options, folders, log, error, features. Passed on, no global. */
#ifndef STASIS_LIB_RUN_H
#define STASIS_LIB_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/error.h"
#include "lib/log.h"
#include "lib/options.h"

struct features;  /* kernel/features.h */
struct checksums; /* resource/checksum.h */
struct outsides;  /* lib/outside.h */

struct run {
	struct options opt;
	struct log log;
	struct error err;
	int images_dirfd;	     /* -D */
	int work_dirfd;		     /* -W, or the images folder */
	struct timespec start;	     /* CLOCK_MONOTONIC; --timeout counts from here */
	const uint32_t *owner;	     /* robust futex of whom this is done for; NULL: ours */
	struct features *features;   /* never NULL; filled as it is asked */
	struct checksums *checksums; /* of files; NULL while none was asked for */
	struct outsides *outsides;   /* --external, at restore --inherit-fd; NULL: none */
};

#endif
