/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * /proc/PID/smaps, mapping by mapping: the only interface that shows the flags
 * of a mapping (VmFlags). PROCMAP_QUERY (6.11) has protection and file only.
 */
#ifndef STASIS_KERNEL_SMAPS_H
#define STASIS_KERNEL_SMAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* VmFlags as bits. */
enum smaps_flag {
	SMAPS_GROWSDOWN = 1 << 0,
	SMAPS_LOCKED = 1 << 1,
	SMAPS_SEQ_READ = 1 << 2,
	SMAPS_RAND_READ = 1 << 3,
	SMAPS_DONTFORK = 1 << 4,
	SMAPS_DONTDUMP = 1 << 5,
	SMAPS_NORESERVE = 1 << 6,
	SMAPS_HUGETLB = 1 << 7,
	SMAPS_MERGEABLE = 1 << 8,
	SMAPS_HUGEPAGE = 1 << 9,
	SMAPS_NOHUGEPAGE = 1 << 10,
	SMAPS_WIPEONFORK = 1 << 11,
	SMAPS_UFFD = 1 << 12,	/* um, uw or ui */
	SMAPS_SHADOW = 1 << 13, /* ss: shadow stack */
	SMAPS_SEALED = 1 << 14, /* sl: mseal(2), 6.10 */
	SMAPS_MAYWRITE = 1 << 15,
	SMAPS_DROPPABLE = 1 << 16,   /* dp: 6.11 */
	SMAPS_IO = 1 << 17,	     /* io or pf: device memory */
	SMAPS_LOCKONFAULT = 1 << 18, /* lf: MLOCK_ONFAULT */
	SMAPS_ACCOUNTED = 1 << 19,   /* ac: counts against the overcommit limit */
};

struct smaps_vma {
	uint64_t start, end;
	uint32_t prot; /* PROT_* */
	bool shared;
	uint64_t offset; /* bytes */
	uint64_t dev;	 /* dev_t as stat(2) gives it */
	uint64_t ino;
	uint32_t flags; /* SMAPS_* */
	uint64_t page_size;
	uint64_t anonymous; /* bytes in anonymous pages that are there; hugetlb counts none */
	char *name;	    /* NUL-terminated, "" when there is none; valid during the call */
};

/* Call @f for every mapping in address order; stops at its first non-zero result, which is
 * returned. */
int smaps_walk(int procfd, int (*f)(const struct smaps_vma *v, void *arg), void *arg);

#endif
