// SPDX-License-Identifier: GPL-2.0-only
/* How a thread is scheduled: policy, priority, nice value, CPUs, I/O priority. */
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/uapi.h"
#include "plan/inherited.h"
#include "plan/plan.h"
#include "resource/attribute.h"
#include "resource/attributes.h"

#define SCHED_DEADLINE_POLICY 6
#define IOPRIO_WHO_PROCESS    1
#ifndef SCHED_FLAG_RESET_ON_FORK
#define SCHED_FLAG_RESET_ON_FORK 1
#endif

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
	/* Real-time threads have one, too: for when they are no more. */
	tc->sched_nice = getpriority(PRIO_PROCESS, tid);
	/* The flag goes with the policy as sched_setscheduler(2), and CRIU, has it. */
	tc->sched_policy = attr.sched_policy |
			   (attr.sched_flags & SCHED_FLAG_RESET_ON_FORK ? SCHED_RESET_ON_FORK : 0);
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

static bool differs(const ThreadCoreEntry *tc, const struct inherited *in)
{
	return (tc->has_sched_policy && tc->sched_policy != in->policy) ||
	       (tc->has_sched_prio && tc->sched_prio != in->priority) ||
	       (tc->has_sched_flags && tc->sched_flags != in->sched_flags) ||
	       (tc->has_sched_policy && tc->sched_policy == SCHED_DEADLINE_POLICY);
}

static bool same_cpus(const ThreadCoreEntry *tc, const struct inherited *in)
{
	size_t i;

	if (tc->affinity.len > sizeof(in->affinity))
		return false;
	if (tc->affinity.len && memcmp(tc->affinity.data, in->affinity, tc->affinity.len))
		return false;
	for (i = tc->affinity.len; i < sizeof(in->affinity); i++)
		if (in->affinity[i])
			return false;
	return true;
}

static int plan_sched(struct plan *p, struct plan_slot *slot, const struct thread *t)
{
	const ThreadCoreEntry *tc = t->core->thread_core;
	/* CRIU has sched_getscheduler(2)'s answer, which has a flag in it. */
	uint32_t policy = tc->has_sched_policy ? tc->sched_policy : p->inherited->policy;
	struct kernel_sched_attr attr = {
		.size = sizeof(attr),
		.sched_policy = policy & ~(uint32_t)SCHED_RESET_ON_FORK,
		.sched_flags = tc->sched_flags |
			       (policy & SCHED_RESET_ON_FORK ? SCHED_FLAG_RESET_ON_FORK : 0),
		.sched_nice = tc->sched_nice,
		.sched_priority = tc->sched_prio,
		.sched_runtime = tc->sched_runtime,
		.sched_deadline = tc->sched_deadline,
		.sched_period = tc->sched_period,
	};

	slot->phase = PHASE_TASK;
	if (tc->has_sched_nice && tc->sched_nice != p->inherited->nice)
		plan_call(p, slot, "nice value %ld", tc->sched_nice, __NR_setpriority,
			  imm(PRIO_PROCESS), imm(0), imm(tc->sched_nice));
	if (differs(tc, p->inherited))
		plan_call(p, slot, "scheduling policy %ld", attr.sched_policy, __NR_sched_setattr,
			  imm(0), plan_data(p, &attr, sizeof(attr)), imm(0));
	if (tc->has_affinity && !same_cpus(tc, p->inherited))
		plan_call(p, slot, "CPUs that it may run on", 0, __NR_sched_setaffinity, imm(0),
			  imm(tc->affinity.len), plan_data(p, tc->affinity.data, tc->affinity.len));
	if (tc->has_ioprio && tc->ioprio != p->inherited->ioprio)
		plan_call(p, slot, "I/O priority", tc->ioprio, __NR_ioprio_set,
			  imm(IOPRIO_WHO_PROCESS), imm(0), imm(tc->ioprio));
	return 0;
}

const struct attribute attribute_sched = {
	.name = "scheduling",
	.look = look_sched,
	.plan = plan_sched,
};
