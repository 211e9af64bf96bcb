/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The process-tree monitor: eBPF programs that remember who was born of whom after parents
 * have exited (bpf/). They live in the kernel, pinned under a BPF file system; no process of
 * ours stays behind. This is how the rest of the tool starts, stops and asks them.
 *
 * A process is a thread group. It is alive until its last thread begins to exit; from then
 * until it is reaped it is a zombie. Its CABA (closest alive born ancestor) is the nearest
 * process up the line of births that is alive. Whatever is not known for certain says so:
 * see enum monitor_doubt.
 *
 * Needs CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN, in practice root of the initial user namespace.
 */
#ifndef STASIS_MONITOR_MONITOR_H
#define STASIS_MONITOR_MONITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "caba.h"
#include "lib/error.h"

#define MONITOR_FOLDER	      "/sys/fs/bpf/stasis"
#define MONITOR_LIMIT_DEFAULT 65536
#define MONITOR_LIMIT_MIN     64
#define MONITOR_LIMIT_MAX     (4 * 1024 * 1024)

/* --- starting and stopping (place.c, load.c, probe.c) ------------------- */

enum monitor_need { MONITOR_REQUIRED, MONITOR_OPTIONAL };

/* A thing of the kernel that the monitor stands on: a row of `stasis check`. */
struct monitor_feature {
	const char *name;
	const char *used_for;
	const char *lost; /* without it */
	enum monitor_need need;
	bool present;
	char why[96]; /* what was tried and what came of it, when absent */
	int error;    /* the same as a negative errno; -EPERM: the caller may not ask */
};

#define MONITOR_FEATURES 8

/*
 * Ask the kernel for everything the monitor uses, by attaching programs that do nothing for a
 * moment. Never fails: what cannot be asked is absent, with the reason.
 */
void monitor_probe(struct monitor_feature features[static MONITOR_FEATURES]);

struct monitor_options {
	const char *folder; /* NULL: MONITOR_FOLDER; must lie on a BPF file system */
	uint32_t limit;	    /* records and joints at most; 0: MONITOR_LIMIT_DEFAULT */
	bool light;	    /* no system call tracepoints, whatever else is missing */
};

/*
 * Load, attach, give every process that is there a record, pin. When it returns 0 every birth
 * from now on is seen. The BPF file system is mounted if need be, the folder made 0700.
 * -EEXIST: one runs already. On failure nothing is left behind. Optional features that are
 * missing are listed on @say (may be NULL), with what is lost.
 */
int monitor_start(const struct monitor_options *opt, FILE *say, struct error *err);

/* Detach and forget everything. -ENOENT: none runs. */
int monitor_stop(const char *folder, struct error *err);

/* --- asking (read.c, walk.c) -------------------------------------------- */

struct monitor;

/*
 * The running monitor. -ENOENT quietly (err untouched) when none runs; -EPERM, -EPROTO (started by
 * another version of the tool) and others with err filled. Close it with monitor_close().
 */
int monitor_open(const char *folder, struct error *err, struct monitor **ret);
void monitor_close(struct monitor *m);

struct monitor_status {
	struct caba_head head;
	uint64_t missed; /* events that programs had to let pass; 0 unless something is wrong */
	uint64_t nodes_bytes;
	uint64_t record_bytes; /* per process, as the kernel rounds it */
	uint32_t programs;
};

int monitor_status(struct monitor *m, struct error *err, struct monitor_status *ret);

/* Why a record may not be the whole truth. */
enum monitor_doubt {
	MONITOR_NO_RECORD = 1,	  /* nothing is known but that the process is there */
	MONITOR_BIRTH_UNSEEN = 2, /* older than the monitor, or not recorded (rec.flags) */
	MONITOR_LINE_GUESSED = 4, /* between it and its CABA is a parent that was not seen to
				     give birth */
	MONITOR_LINE_BROKEN = 8,  /* the line ends in the unknown before a CABA was found */
	MONITOR_EVENTS_CUT = 16,  /* more changes than are kept: the first are gone */
	MONITOR_MOVING = 32,	  /* changed while it was read */
	MONITOR_CHANGES_LATE = 64 /* session and group are looked at in its own events only: what
				     changed in between, and changed back, was not seen */
};

/* Somebody in the line of births. */
struct monitor_kin {
	uint64_t id; /* 0: none: born of the kernel, or unknown (doubts tell) */
	uint64_t start;
	uint32_t tgid; /* initial pid namespace */
	uint32_t nr;   /* its own pid namespace */
	uint32_t ns;
	uint32_t steps; /* generations up the line; 1: the birth parent itself */
	enum caba_state state;
	char comm[CABA_COMM]; /* of the dead only */
};

struct monitor_record {
	struct caba_rec rec;
	struct caba_pid pids[CABA_LEVELS]; /* rec.level + 1 of them, from the initial namespace */
	enum caba_state state;
	uint32_t doubts; /* enum monitor_doubt */
	struct monitor_kin caba;
	struct monitor_kin nearest; /* the nearest that still has a pid, zombies included */
};

/*
 * The record of process @pid (of the caller's pid namespace; a thread's id finds its process),
 * or of the one @pidfd refers to. -ESRCH: no such process. A process without a record is not an
 * error: doubts holds MONITOR_NO_RECORD.
 */
int monitor_lookup(struct monitor *m, pid_t pid, struct error *err, struct monitor_record *ret);
int monitor_lookup_fd(struct monitor *m, int pidfd, struct error *err, struct monitor_record *ret);

/* All nodes at one moment. Indices are those of up, kids_xor; freed with monitor_tree_free(). */
struct monitor_tree {
	struct caba_head head;
	struct caba_node *nodes; /* head.top of them */
	bool moving;		 /* no quiet moment was found: a node may contradict another */
};

int monitor_tree(struct monitor *m, struct error *err, struct monitor_tree *ret);
void monitor_tree_free(struct monitor_tree *t);

/* A process, or a dead joint, in the births of a set of processes. */
struct monitor_birth {
	struct monitor_record record; /* without pid set: only id, start, tgid and state */
	pid_t pid;	 /* as asked for; 0: not of the set, but joins branches of it */
	ssize_t up;	 /* index of the nearest above it in the array, or -1 */
	uint32_t doubts; /* of the line from here to up (or to where it ends) */
};

/*
 * The births among @n processes: entries 0 to n - 1 are those asked for, in order; after them
 * come the ancestors outside the set that join branches of it. *ret is freed by the caller.
 * For a stable answer the processes should be frozen. -ESRCH names the one that is gone.
 */
int monitor_walk(struct monitor *m, const pid_t *pids, size_t n, struct error *err,
		 struct monitor_birth **ret, size_t *ret_n);

/*
 * The same for records that were looked up before: *births has *n entries of which pid and
 * record are set. It may move, and grows by the joints. On failure it is as it was.
 */
int monitor_walk_records(struct monitor *m, struct monitor_birth **births, size_t *n,
			 struct error *err);

/* For _cleanup_() */
static inline void cleanup_monitor(struct monitor **m)
{
	monitor_close(*m);
}

/* The names of enum caba_how and enum caba_what, for people and JSON. */
const char *monitor_how(uint32_t how);
const char *monitor_what(uint32_t what);

#endif
