/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PAGEMAP_SCAN with PAGE_IS_COW and identities, and KCMP_COW, for programs that are built with the
 * headers of any kernel. The one place for these names outside of the kernel patches.
 */
#ifndef PM_SCAN_COW_H
#define PM_SCAN_COW_H

#include <linux/fs.h>
#include <linux/ioctl.h>
#include <linux/kcmp.h>
#include <linux/types.h>

#ifndef PAGEMAP_SCAN /* before 6.7 */
#define PAGE_IS_WPALLOWED   (1 << 0)
#define PAGE_IS_WRITTEN	    (1 << 1)
#define PAGE_IS_FILE	    (1 << 2)
#define PAGE_IS_PRESENT	    (1 << 3)
#define PAGE_IS_SWAPPED	    (1 << 4)
#define PAGE_IS_PFNZERO	    (1 << 5)
#define PAGE_IS_HUGE	    (1 << 6)
#define PAGE_IS_SOFT_DIRTY  (1 << 7)
#define PM_SCAN_WP_MATCHING (1 << 0)

struct page_region {
	__u64 start;
	__u64 end;
	__u64 categories;
};
#endif

#ifdef PAGE_IS_COW
#define PM_SCAN_ARG_SIZE_VER1_IS_NATIVE
#else
#define PAGE_IS_COW	      (1 << 16)
#define PM_SCAN_ARG_SIZE_VER0 96
#define PM_SCAN_ARG_SIZE_VER1 112
#endif

/* As an enumerator of enum kcmp_type it can't be asked for by #ifdef. */
#define KCMP_TYPE_COW 8

/* struct pm_scan_arg of version 1 under a name of its own: system headers may define the older one.
 */
struct pm_scan_arg_v1 {
	__u64 size;
	__u64 flags;
	__u64 start;
	__u64 end;
	__u64 walk_end;
	__u64 vec;
	__u64 vec_len;
	__u64 max_pages;
	__u64 category_inverted;
	__u64 category_mask;
	__u64 category_anyof_mask;
	__u64 return_mask;
	__u64 cow_ids;
	__u64 cow_ids_len;
};

#ifdef PM_SCAN_ARG_SIZE_VER1_IS_NATIVE
_Static_assert(sizeof(struct pm_scan_arg) == sizeof(struct pm_scan_arg_v1),
	       "this copy is out of date");
#endif

#define PAGEMAP_SCAN_SIZED(size) _IOC(_IOC_READ | _IOC_WRITE, 'f', 16, size)
#define PAGEMAP_SCAN_V0		 PAGEMAP_SCAN_SIZED(PM_SCAN_ARG_SIZE_VER0)
#define PAGEMAP_SCAN_V1		 PAGEMAP_SCAN_SIZED(PM_SCAN_ARG_SIZE_VER1)

#endif
