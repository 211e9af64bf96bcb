/* SPDX-License-Identifier: GPL-2.0-only */
/* Checksums of files, computed by threads while the run goes on with other things. */
#ifndef STASIS_RESOURCE_CHECKSUM_H
#define STASIS_RESOURCE_CHECKSUM_H

#include <stdint.h>
#include <sys/stat.h>

/* What of a file is in the checksum: reg_file_entry.checksum_config. */
enum checksum_extent {
	CHECKSUM_FULL = 1,
	CHECKSUM_FIRST = 2,  /* the first N bytes */
	CHECKSUM_PERIOD = 3, /* every Nth byte, from the first on */
};

struct checksums; /* those of one run: each file's once */
struct checksum;

struct checksums *checksums_new(void);
/* Ends the threads; what is not computed yet never will be. */
void checksums_free(struct checksums *s);

/*
 * Have one computed. @fd is the file, readable; the caller keeps it. The same
 * file, extent and @n give the same object, which belongs to @s. NULL: no memory.
 */
struct checksum *checksum_want(struct checksums *s, int fd, const struct stat *st,
			       enum checksum_extent extent, uint32_t n);
/* Wait for it: 0, or a negative errno if the file could not be read. */
int checksum_wait(struct checksums *s, struct checksum *c, uint32_t *ret);

#endif
