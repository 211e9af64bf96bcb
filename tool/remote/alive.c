// SPDX-License-Identifier: GPL-2.0-only
#include "remote/alive.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * The word is named as the operation that was pending when the thread died:
 * that needs no list node in the shared memory, which a task could change.
 */
int alive_hold(struct alive *a, uint32_t *word)
{
	struct robust_list_head *former;
	size_t len;

	if (syscall(SYS_get_robust_list, 0, &former, &len))
		return -errno;
	memset(a, 0, sizeof(*a));
	a->head.list.next = &a->head.list;
	a->head.list_op_pending = (struct robust_list *)word;
	a->former = former;
	a->former_len = len;
	__atomic_store_n(word, (uint32_t)syscall(SYS_gettid) | FUTEX_WAITERS, __ATOMIC_RELEASE);
	if (syscall(SYS_set_robust_list, &a->head, sizeof(a->head)))
		return -errno;
	a->word = word;
	return 0;
}

void alive_release(struct alive *a)
{
	if (!a->word)
		return;
	syscall(SYS_set_robust_list, a->former, a->former_len);
	a->word = NULL;
}
