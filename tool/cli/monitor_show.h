/* SPDX-License-Identifier: GPL-2.0-only */
/* What `stasis monitor show` prints: collected once, then shown as text or JSON. */
#ifndef STASIS_CLI_MONITOR_SHOW_H
#define STASIS_CLI_MONITOR_SHOW_H

#include <stdio.h>

#include "lib/vec.h"
#include "monitor/monitor.h"

/* A process as /proc and the monitor know it. Pids are those of the caller's pid namespace. */
struct show_task {
	pid_t pid, parent, session, group;
	char comm[CABA_COMM];
	char state; /* as in /proc/PID/stat */
};

struct show {
	VEC(struct show_task) tasks; /* by pid */
	/* The first tasks.n belong to the tasks of the same index; then joints. */
	struct monitor_birth *births;
	size_t n_births;
	size_t *by_tgid; /* indices of tasks by tgid of the initial pid namespace */
	uint32_t ns;	 /* inode of the caller's pid namespace */
};

/* All processes that the caller sees in /proc, but kernel threads. */
int show_collect(struct monitor *m, struct error *err, struct show *ret);
void show_free(struct show *s);

/* Index of a process, -1 if the caller does not see it: by pid; by tgid of the initial pid
 * namespace and (unless 0) start time. */
ssize_t show_find(const struct show *s, pid_t pid);
ssize_t show_find_tgid(const struct show *s, uint32_t tgid, uint64_t start);

/* Everything, trees first: 0 or -ENOMEM. */
int show_text(const struct show *s, FILE *out);
int show_trees(const struct show *s, FILE *out);
/* Process number @i of the tasks, with everything that is known of it. */
void show_text_one(const struct show *s, size_t i, FILE *out);
/* @only -1: all. */
int show_json(const struct show *s, ssize_t only, FILE *out);

#endif
