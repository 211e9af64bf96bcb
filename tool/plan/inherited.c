// SPDX-License-Identifier: GPL-2.0-only
#include "plan/inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/proc.h"
#include "kernel/uapi.h"
#include "lib/cleanup.h"

#define IOPRIO_WHO_PROCESS 1

static int read_number(const char *path, long long *ret)
{
	_cleanup_free_ char *text = NULL;
	ssize_t n = proc_read(AT_FDCWD, path, &text);

	if (n < 0)
		return n;
	*ret = strtoll(text, NULL, 10);
	return 0;
}

static int read_status(struct inherited *in)
{
	struct proc_status s;
	int ret = proc_status(AT_FDCWD, "/proc/self/status", &s);

	if (ret)
		return ret;
	memcpy(in->uid, s.uid, sizeof(in->uid));
	memcpy(in->gid, s.gid, sizeof(in->gid));
	in->groups = s.groups.at;
	in->n_groups = s.groups.n;
	in->cap_inh = s.cap_inh;
	in->cap_prm = s.cap_prm;
	in->cap_eff = s.cap_eff;
	in->cap_bnd = s.cap_bnd;
	in->cap_amb = s.cap_amb;
	in->umask = s.umask;
	in->no_new_privs = s.no_new_privs;
	return 0;
}

static int read_sched(struct inherited *in)
{
	struct kernel_sched_attr attr = {.size = sizeof(attr)};
	long ret;

	if (syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0))
		return -errno;
	in->policy = attr.sched_policy;
	in->priority = attr.sched_priority;
	in->nice = getpriority(PRIO_PROCESS, 0);
	in->sched_flags = attr.sched_flags;
	if (syscall(SYS_sched_getaffinity, 0, sizeof(in->affinity), in->affinity) < 0)
		return -errno;
	ret = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0);
	in->ioprio = ret > 0 ? ret : 0;
	in->timerslack = prctl(PR_GET_TIMERSLACK);
	return 0;
}

static int read_all(struct inherited *in)
{
	long long number = 0;
	int i, ret;

	for (i = 0; i < N_LIMITS; i++)
		if (syscall(SYS_prlimit64, 0, i, NULL, &in->limits[i]))
			return -errno;
	ret = read_status(in);
	if (!ret)
		ret = read_sched(in);
	if (!ret)
		ret = read_number("/proc/self/oom_score_adj", &number);
	if (ret)
		return ret;
	in->oom_score_adj = number;
	/* Not there without auditing. */
	in->has_loginuid = !read_number("/proc/self/loginuid", &number);
	in->loginuid = in->has_loginuid ? number : -1;
	in->personality = personality(0xffffffff);
	in->securebits = prctl(PR_GET_SECUREBITS);
	return 0;
}

int plan_read_inherited(struct plan *p)
{
	int ret;

	p->inherited = calloc(1, sizeof(*p->inherited));
	if (!p->inherited)
		return fail(&p->run->err, -ENOMEM, "restore plan");
	ret = read_all(p->inherited);
	return ret ? fail(&p->run->err, ret, "the tool's own attributes") : 0;
}

void inherited_free(struct inherited *i)
{
	if (i)
		free(i->groups);
	free(i);
}
