/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a file has data, as its file system knows it. */
#ifndef STASIS_RESOURCE_EXTENTS_H
#define STASIS_RESOURCE_EXTENTS_H

#include <stdbool.h>
#include <stdint.h>

struct extent_walk {
	int fd;
	uint64_t size; /* of the file */
	/* Called for every range of data in order; what is not 0 ends the walk and is returned. */
	int (*f)(struct extent_walk *w, uint64_t off, uint64_t len);
};

/*
 * By FIEMAP, many ranges a call, or by SEEK_DATA and SEEK_HOLE. 0, what f
 * returned, or a negative errno with *@failed set; -EOPNOTSUPP: this file system
 * has no FIEMAP, and f was not called.
 */
int extents_by_fiemap(struct extent_walk *w, bool *failed);
int extents_by_seek(struct extent_walk *w, bool *failed);

/* Is there a hole before the end of a file of @size bytes? */
bool has_holes(int fd, uint64_t size);

#endif
