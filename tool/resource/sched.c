// SPDX-License-Identifier: GPL-2.0-only
/* How a thread is scheduled: policy, priority, nice value, CPUs, I/O priority. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "resource/attribute.h"
#include "resource/attributes.h"

#define SCHED_DEADLINE_POLICY 6
#define IOPRIO_WHO_PROCESS    1

static int look_affinity(pid_t tid, ThreadCoreEntry *tc)
{
	uint8_t mask[1024]; /* 8192 CPUs, the kernel's most */
	long n = syscall(SYS_sched_getaffinity, tid, sizeof(mask), mask);

	if (n < 0)
		return -errno;
	tc->affinity.data = malloc(n);
	if (!tc->affinity.data)
		return -ENOMEM;
	memcpy(tc->affinity.data, mask, n);
	tc->affinity.len = n;
	tc->has_affinity = true;
	return 0;
}

static int look_sched(struct ask *a)
{
	ThreadCoreEntry *tc = a->thread->core->thread_core;
	struct kernel_sched_attr attr = {.size = sizeof(attr)};
	pid_t tid = a->thread->tid;
	long ioprio;

	if (syscall(SYS_sched_getattr, tid, &attr, sizeof(attr), 0))
		return -errno;
	tc->has_sched_nice = tc->has_sched_policy = true;
	tc->sched_nice = attr.sched_nice;
	tc->sched_policy = attr.sched_policy;
	if (attr.sched_priority) {
		tc->has_sched_prio = true;
		tc->sched_prio = attr.sched_priority;
	}
	if (attr.sched_flags) {
		tc->has_sched_flags = true;
		tc->sched_flags = attr.sched_flags;
	}
	if (attr.sched_policy == SCHED_DEADLINE_POLICY) {
		tc->has_sched_runtime = tc->has_sched_deadline = tc->has_sched_period = true;
		tc->sched_runtime = attr.sched_runtime;
		tc->sched_deadline = attr.sched_deadline;
		tc->sched_period = attr.sched_period;
	}
	ioprio = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, tid);
	if (ioprio > 0) {
		tc->has_ioprio = true;
		tc->ioprio = ioprio;
	}
	return look_affinity(tid, tc);
}

const struct attribute attribute_sched = {
	.name = "scheduling",
	.look = look_sched,
};
