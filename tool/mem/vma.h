/* SPDX-License-Identifier: GPL-2.0-only */
/* Bits of vma_entry.status in mm images. */
#ifndef STASIS_MEM_VMA_H
#define STASIS_MEM_VMA_H

enum vma_status {
	VMA_REGULAR = 1 << 0,
	VMA_STACK = 1 << 1,
	VMA_VSYSCALL = 1 << 2,
	VMA_VDSO = 1 << 3,
	VMA_HEAP = 1 << 5,
	VMA_FILE_PRIVATE = 1 << 6,
	VMA_FILE_SHARED = 1 << 7,
	VMA_ANON_SHARED = 1 << 8,
	VMA_ANON_PRIVATE = 1 << 9,
	VMA_SYSV = 1 << 10,
	VMA_SOCKET = 1 << 11,
	VMA_VVAR = 1 << 12,
	VMA_AIO = 1 << 13,
	VMA_MEMFD = 1 << 14,
	VMA_SHADOW_STACK = 1 << 15,
	VMA_GUARD = 1 << 16,
	VMA_UPROBES = 1 << 17,
};

/* Bits of pagemap_entry.flags. */
enum page_flags {
	PAGES_IN_PARENT = 1, /* contents are in the parent checkpoint */
	PAGES_LAZY = 2,
	PAGES_PRESENT = 4, /* contents are in this pages image */
};

#endif
