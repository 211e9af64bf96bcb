/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Let the stub know when this thread dies, however it dies: a robust futex
 * (get_robust_list(2)). At exit the kernel sets FUTEX_OWNER_DIED in the word
 * and wakes a waiter. One word per thread at a time.
 */
#ifndef STASIS_REMOTE_ALIVE_H
#define STASIS_REMOTE_ALIVE_H

#include <linux/futex.h>
#include <stddef.h>
#include <stdint.h>

struct alive {
	struct robust_list_head head;
	struct robust_list_head *former; /* the C library's */
	size_t former_len;
	uint32_t *word;
};

/*
 * Own @word (in memory that the stub shares) from now on; @a stays where it is
 * until alive_release(). 0 or a negative errno.
 */
int alive_hold(struct alive *a, uint32_t *word);

/* Give the word up without waking anybody; nothing if it is not held. */
void alive_release(struct alive *a);

#endif
