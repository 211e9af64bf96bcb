/* SPDX-License-Identifier: GPL-2.0-only */
/* PAGEMAP_SCAN (6.7): which pages of an address space are there. */
#ifndef STASIS_MEM_SCAN_H
#define STASIS_MEM_SCAN_H

#include <stdint.h>

/* Categories of a page, numbered as the kernel does (include/uapi/linux/fs.h). */
enum page_category {
	PAGE_IS_WPALLOWED = 1 << 0,
	PAGE_IS_WRITTEN = 1 << 1,
	PAGE_IS_FILE = 1 << 2,
	PAGE_IS_PRESENT = 1 << 3,
	PAGE_IS_SWAPPED = 1 << 4,
	PAGE_IS_PFNZERO = 1 << 5,
	PAGE_IS_HUGE = 1 << 6,
	PAGE_IS_SOFT_DIRTY = 1 << 7,
	PAGE_IS_GUARD = 1 << 8, /* 6.15 */
};

struct page_region {
	uint64_t start, end; /* bytes, page aligned */
	uint64_t categories;
};

/* Pages to look for: all of @required but none of @excluded, and any of @any (0: whatever). */
struct scan_query {
	uint64_t required, excluded, any;
	uint64_t shown; /* further categories to tell apart in the result */
};

/*
 * Regions of [start, end) that match, up to @max of them into @regions, in
 * address order; neighbours of equal categories are one. @fd is
 * /proc/PID/pagemap. *walked is where the scan stopped: @end, or less when
 * @regions was full. Returns the number of regions or a negative errno.
 */
int scan_pages(int fd, uint64_t start, uint64_t end, const struct scan_query *q,
	       struct page_region *regions, unsigned int max, uint64_t *walked);

#endif
