/* SPDX-License-Identifier: GPL-2.0-only */
/* Moving pages of a stopped task into a file: one copy, fixed buffers. */
#ifndef STASIS_MEM_PUMP_H
#define STASIS_MEM_PUMP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct extent {
	uint64_t addr; /* in the task */
	uint64_t len;  /* bytes, whole pages */
	uint64_t at;   /* offset in the file */
	bool forced;   /* not readable: /proc/PID/mem reads it all the same (FOLL_FORCE) */
};

/*
 * Write the contents of @n extents of task @pid, consecutive in the file @fd
 * from extents[0].at on. @mem is /proc/PID/mem. Large amounts are moved by two
 * threads (process_vm_readv(2), then pwrite(2)): one copy in memory each, with
 * a buffer of 1 MiB, whatever the size. 0 or a negative errno; *at_addr is
 * where it failed.
 */
int pump_pages(pid_t pid, int mem, const struct extent *extents, unsigned int n, int fd,
	       uint64_t *at_addr);

#endif
