// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resource limits, out of /proc/PID/limits: prlimit(2) on another user's task
 * needs CAP_SYS_RESOURCE even for reading.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "kernel/proc.h"
#include "lib/cleanup.h"
#include "resource/attribute.h"
#include "resource/attributes.h"

/* The file's lines, by the number of the resource. */
static const char *const names[RLIM_NLIMITS] = {
	[RLIMIT_CPU] = "Max cpu time",
	[RLIMIT_FSIZE] = "Max file size",
	[RLIMIT_DATA] = "Max data size",
	[RLIMIT_STACK] = "Max stack size",
	[RLIMIT_CORE] = "Max core file size",
	[RLIMIT_RSS] = "Max resident set",
	[RLIMIT_NPROC] = "Max processes",
	[RLIMIT_NOFILE] = "Max open files",
	[RLIMIT_MEMLOCK] = "Max locked memory",
	[RLIMIT_AS] = "Max address space",
	[RLIMIT_LOCKS] = "Max file locks",
	[RLIMIT_SIGPENDING] = "Max pending signals",
	[RLIMIT_MSGQUEUE] = "Max msgqueue size",
	[RLIMIT_NICE] = "Max nice priority",
	[RLIMIT_RTPRIO] = "Max realtime priority",
	[RLIMIT_RTTIME] = "Max realtime timeout",
};

static const char *limit(const char *p, uint64_t *ret)
{
	char *end;

	while (*p == ' ')
		p++;
	if (!strncmp(p, "unlimited", 9)) {
		*ret = RLIM_INFINITY;
		return p + 9;
	}
	*ret = strtoull(p, &end, 10);
	return end;
}

static int look_limits(struct ask *a)
{
	TaskRlimitsEntry *e = malloc(sizeof(*e));
	_cleanup_free_ char *text = NULL;
	ssize_t n;
	int i;

	if (!e)
		return -ENOMEM;
	task_rlimits_entry__init(e);
	a->thread->core->tc->rlimits = e;
	e->rlimits = calloc(RLIM_NLIMITS, sizeof(*e->rlimits));
	if (!e->rlimits)
		return -ENOMEM;
	n = proc_read(a->procfd, "limits", &text);
	if (n < 0)
		return n;
	for (i = 0; i < RLIM_NLIMITS; i++) {
		const char *line = strstr(text, names[i]);
		RlimitEntry *r;

		if (!line)
			return -EPROTO;
		r = malloc(sizeof(*r));
		if (!r)
			return -ENOMEM;
		rlimit_entry__init(r);
		limit(limit(line + strlen(names[i]), &r->cur), &r->max);
		e->rlimits[e->n_rlimits++] = r;
	}
	return 0;
}

const struct attribute attribute_rlimits = {
	.name = "resource limits",
	.per_process = true,
	.look = look_limits,
};
