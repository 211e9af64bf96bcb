// SPDX-License-Identifier: GPL-2.0-only
#include "mem/scan.h"

#include <errno.h>
#include <sys/ioctl.h>

/* As of 6.12; Debian's headers are older. */
struct pm_scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define PAGEMAP_SCAN _IOWR('f', 16, struct pm_scan_arg)

int scan_pages(int fd, uint64_t start, uint64_t end, const struct scan_query *q,
	       struct page_region *regions, unsigned int max, uint64_t *walked)
{
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = start,
		.end = end,
		.vec = (uint64_t)regions,
		.vec_len = max,
		.category_inverted = q->excluded,
		.category_mask = q->required | q->excluded,
		.category_anyof_mask = q->any,
		.return_mask = q->required | q->any | q->shown,
	};
	int n = ioctl(fd, PAGEMAP_SCAN, &arg);

	if (n < 0)
		return -errno;
	*walked = arg.walk_end;
	return n;
}
