/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that can be seen from outside of a tree of processes, as lines
 *
 *	TASK KEY VALUE
 *
 * which are the same before a dump and after the restore. What the kernel numbers
 * anew (inodes of pipes, of anonymous memory) is numbered by first appearance.
 * Looking changes nothing: no task is stopped, no page is brought in.
 */
#ifndef SELFTEST_SNAPSHOT_H
#define SELFTEST_SNAPSHOT_H

#include "lib/text.h"

/* An open file description, by the first descriptor that was found for it. */
struct description {
	uint64_t dev, ino;
	uint64_t state; /* flags and position */
	pid_t pid;
	int fd;
};

struct snapshot {
	struct text lines;
	pid_t *pids; /* the processes, root first */
	int n_pids;
	/* What was numbered by first appearance: the real identity of each. */
	struct {
		uint64_t dev, ino;
	} * seen;
	int n_seen;
	struct description *files;
	int n_files;
	unsigned long *rseq; /* areas of threads */
	int n_rseq;
};

void snapshot_take(struct snapshot *s, pid_t root);
void snapshot_free(struct snapshot *s);

/*
 * Wait until every task of the tree sleeps in a system call, is stopped or dead; false
 * when one still runs after @ms milliseconds.
 */
bool snapshot_settle(pid_t root, int ms);

/*
 * Lines that differ go to @out with '-' (only before) or '+' (only after); returns
 * their number. A line whose KEY matches one of the patterns in @ignore (separated by
 * spaces, * as in file names) is passed over.
 */
int snapshot_diff(const struct snapshot *before, const struct snapshot *after, const char *ignore,
		  struct text *out);

bool is_zombie(pid_t task);

/* The parts, in their own files. */
void snapshot_pids(struct snapshot *s, pid_t root);
void snapshot_task(struct snapshot *s, pid_t pid);
void snapshot_sharing(struct snapshot *s);
void snapshot_memory(struct snapshot *s, pid_t pid);
void snapshot_files(struct snapshot *s, pid_t pid);
int snapshot_number(struct snapshot *s, uint64_t dev, uint64_t ino);

/* All numeric names in a folder, sorted; the caller frees. Returns how many. */
int numbers_in(long **ret, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
