/* SPDX-License-Identifier: GPL-2.0-only */
/* What a dump holds while it runs, beside the model it fills. */
#ifndef STASIS_DUMP_STATE_H
#define STASIS_DUMP_STATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "kernel/proc.h"
#include "lib/progress.h"
#include "lib/run.h"
#include "lib/vec.h"
#include "model/model.h"
#include "remote/agent.h"
#include "remote/ptrace.h"
#include "remote/springboard.h"
#include "resource/collect.h"
#include "resource/regs.h"

/* A mapping while it is dumped; parallel to mm->vmas. */
struct dump_vma {
	uint64_t dev, ino; /* of the mapped file, 0 for anonymous */
	bool private_anon; /* may hold anonymous pages that belong to the task */
	bool secret;	   /* memfd_secret: only the task itself can read it */
	bool whole;	   /* dumped whole, whatever the page tables say: all there, or the vDSO */
};

#define N_NAMESPACES 8

struct page_dump; /* pages.h */
struct ahead;

struct dump_task {
	struct task *task;
	pid_t pid;
	int procfd; /* /proc/PID; -1 once closed */
	int pidfd;  /* while it is needed, else -1 */
	struct proc_stat stat;
	struct proc_status status;  /* of the leader, once it is stopped */
	VEC(struct tracee) tracees; /* [0] is the leader */
	VEC(struct dump_vma) vmas;
	uint64_t vdso_start, vdso_end;
	uint32_t pages_id;	 /* of its pages image */
	uint64_t dumped;	 /* bytes of its private memory */
	struct page_dump *pages; /* begun and not ended */
	struct ahead *ahead;	 /* dumps pages while mappings are being read */
	size_t n_ahead;		 /* of vmas: whose pages it has dumped */
	size_t n_fd_flags;	 /* descriptors whose flags are known */
	struct springboard springboard;
	struct agent agent;
};

/* Times in microseconds, for stats-dump. */
struct dump_stats {
	struct timespec frozen_at;
	uint32_t freezing_us, frozen_us, memdump_us, memwrite_us;
	uint64_t pages_scanned, pages_written, pages_skipped_parent;
	uint64_t shpages_scanned, shpages_written;
};

/* Descriptions found so far (tsearch(3) trees), see files.c. */
struct dump_files {
	void *by_description; /* open file descriptions */
	void *by_inode;	      /* mapped files, exe, cwd, root */
};

struct locked_file {
	uint64_t dev, ino;
};

struct dump {
	struct run *run;
	struct checkpoint *cp;
	struct collect collect; /* run, cp, and shared memory found so far */
	struct dump_files files;
	int own_fds; /* /proc/self/fd */
	struct xsave_layout xsave;
	uint32_t last_pages_id;
	uint64_t own_ns[N_NAMESPACES]; /* inode numbers (tree.c) */
	struct dump_stats stats;
	struct progress *progress; /* of memory */
	bool frozen;
	size_t n_asked_for_locks;	/* descriptors, one by one (locks.c) */
	VEC(struct locked_file) locked; /* then: files with locks, on the whole system */
	bool lock_list_incomplete;
	bool lock_list_begun, lock_list_there; /* the latter atomic */
	bool lock_lister_runs;
	pthread_t lock_lister;
};

static inline struct dump_task *dump_of(const struct task *t)
{
	return t->dump;
}

/* --- the steps of a dump, in their order ------------------------------- */

/* Stop every thread of the tree; fills cp->tasks, parents first. (freeze.c) */
int dump_freeze(struct dump *d);
/*
 * Open dt->pidfd, close it. It is not kept, since there is one for every task: no pid that
 * we trace is given to another before we have waited for its end.
 */
int dump_pidfd(struct dump *d, struct dump_task *dt);
void dump_pidfd_close(struct dump_task *dt);
/* Let every thread go on as it was. Safe at any time; keeps the first error. */
int dump_thaw(struct dump *d);
/* End every task (after a dump that succeeded). */
int dump_kill(struct dump *d);

/* Tree, namespaces, sharing: pstree and ids. Refuses what cannot be dumped. (tree.c) */
int dump_tree(struct dump *d);

/* What the process-tree monitor knows of the tasks, if it runs: caba.img. (caba.c) */
int dump_caba(struct dump *d);

/* Address space of one task: mm and vmas. (mm.c) */
int dump_mm(struct dump *d, struct dump_task *dt);

/* Descriptor tables, cwd, root, exe. (files.c) */
int dump_fds(struct dump *d, struct dump_task *dt);
int dump_fs(struct dump *d, struct dump_task *dt);
/*
 * Flags of descriptors, asked by the stub in this task: append ops for those from index @from
 * on, up to before *to, as many as fit; take the results; ask all that are left.
 */
const struct stub_op *dump_ask_fd_flags(struct dump_task *dt, struct program *p, size_t from,
					size_t *to);
void dump_answer_fd_flags(struct dump_task *dt, const struct stub_op *first, size_t from,
			  size_t to);
int dump_fd_flags(struct dump *d, struct dump_task *dt);
/* File locks that show at a descriptor; @ino is its file's. (locks.c) */
int dump_locks(struct dump *d, struct dump_task *dt, int fd, uint64_t ino, struct file *f);
/* So many descriptors are to come. */
void dump_locks_expect(struct dump *d, size_t n);
void dump_locks_free(struct dump *d);
/*
 * The entry for a file that is mapped or named by a path of /proc/PID, found
 * or made. @path is relative to dt->procfd ("exe", "cwd").
 */
int dump_path_file(struct dump *d, struct dump_task *dt, const char *path, struct file **ret);
/*
 * The same for a mapping; @dev and @ino as the mapping shows them, which on some
 * file systems is not what stat(2) says: then it is a second entry of the same file.
 */
int dump_mapped_file(struct dump *d, struct dump_task *dt, uint64_t start, uint64_t end,
		     uint64_t dev, uint64_t ino, struct file **ret);
void dump_files_free(struct dump_files *f);

/* Core images: what is asked of every thread. (core.c) */
int dump_cores(struct dump *d, struct dump_task *dt);

/* A page map image of kind @id and its pages image, the map's head written. */
int page_images_create(struct dump *d, enum image_id id, uint64_t n, uint32_t pages_id,
		       struct image_writer **ret_map, int *ret_pages);
/* Close both: some file systems only then say that there was no room. @ret, or that error. */
int page_images_close(struct dump *d, struct image_writer *map, int pages, int ret);

/* Contents of memory: of one task, of what they share. (pages.c, shmem.c) */
int dump_pages(struct dump *d, struct dump_task *dt);
int dump_shmem_pages(struct dump *d);
/* Secret memory that this task, which sits in the stub, can read. */
int dump_secrets(struct dump *d, struct dump_task *dt);

#endif
