/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The checkpoint in memory. Dump ends in it, restore and inspect start from it.
 *
 * Every object holds the protobuf-c message that is written to (or was read
 * from) its image, plus links to other objects; no state exists in two forms.
 * A checkpoint owns everything that is reachable from it, messages included.
 */
#ifndef STASIS_MODEL_MODEL_H
#define STASIS_MODEL_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/error.h"
#include "lib/pool.h"
#include "lib/vec.h"
#include "proto/stasis.pb-c.h" /* includes every generated header */

struct resource;
struct outside; /* lib/outside.h */

/* An open file description. */
struct file {
	uint32_t id;
	FileEntry *msg;			/* files.img */
	const struct resource *res;	/* its kind (resource.h); set by file_is() */
	unsigned int n_uses;		/* descriptors, vmas, cwd, root, exe that name it */
	void *data;			/* the kind's own ... */
	void (*forget)(struct file *f); /* ... and how it is freed, or NULL */
	pid_t holder_pid;		/* at dump: a task that has it, */
	int holder_fd;			/* and its descriptor there; -1: none (mapped, cwd ...) */
	struct outside *outside;	/* at restore: a descriptor of ours is it (--inherit-fd) */
	bool in_table; /* at restore: some descriptor is it (set by kinds that ask) */
	void *plan;    /* the planner's own while it runs */
};

struct fd {
	FdinfoEntry *msg; /* fdinfo-N.img */
	struct file *file;
};

/* A descriptor table; several tasks may share one (CLONE_FILES). */
struct fdtable {
	uint32_t id;
	VEC(struct fd) fds;	     /* ascending by msg->fd */
	bool pooled;		     /* their messages are in the checkpoint's pool */
	const struct task *asked_of; /* at dump: the task that is asked about it */
	void *plan;		     /* the planner's own while it runs */
};

struct vma {
	VmaEntry *msg;	   /* points into mm->msg->vmas */
	struct file *file; /* mapped file, memfd, or NULL */
};

/* An address space; owned by the process whose pid names its images. */
struct mm {
	uint32_t id; /* ids.vm_id */
	MmEntry *msg;
	VEC(struct vma) vmas; /* ascending, as msg->vmas */
	struct file *exe;
	struct task *owner;
};

struct task;

struct thread {
	pid_t tid;
	CoreEntry *core; /* core-TID.img; thread 0 has tc and ids too */
	struct task *task;
};

struct task {
	PstreeEntry *msg;
	struct task *parent; /* NULL for the root */
	VEC(struct task *) children;
	VEC(struct thread) threads; /* [0] is the leader; a zombie has one */
	struct mm *mm;		    /* NULL for zombies */
	struct fdtable *fdtable;    /* NULL for zombies */
	FsEntry *fs;		    /* NULL for zombies */
	struct file *cwd, *root;
	bool saved; /* and forgotten: has no core, mappings and so on any more */
	void *dump; /* the dumper's own while it runs */
	void *plan; /* the planner's own while it runs */
};

/* TaskState in core images. */
/* A zombie is DEAD in the images; ZOMBIE is read as the same. */
enum task_state { TASK_ALIVE = 1, TASK_DEAD = 2, TASK_STOPPED = 3, TASK_ZOMBIE = 6 };

static inline pid_t task_pid(const struct task *t)
{
	return t->msg->pid;
}

static inline const CoreEntry *task_core(const struct task *t)
{
	return t->threads.at[0].core;
}

static inline bool task_is_zombie(const struct task *t)
{
	uint32_t state = task_core(t)->tc->task_state;

	return state == TASK_ZOMBIE || state == TASK_DEAD;
}

/* Kinds of file locks, as file_lock_entry.flag has them. */
enum file_lock_kind { FILE_LOCK_POSIX = 1, FILE_LOCK_FLOCK = 2, FILE_LOCK_OFD = 4 };

struct file_lock {
	FileLockEntry *msg; /* filelocks.img */
	struct file *file;  /* at dump: the description it was seen by */
};

/* A System V shared memory segment (resource/sysv.c). */
struct sysv_segment {
	IpcShmEntry *msg;
	bool made; /* at restore: by us */
};

struct checkpoint {
	bool pooled; /* loaded: files and their messages are in the pool */
	struct pool pool;
	InventoryEntry *inventory;
	bool list_images;	   /* at dump: note every image of the folder in the inventory */
	SeccompEntry *seccomp;	   /* seccomp.img; NULL: no task has filters */
	VEC(struct task *) tasks;  /* parents before children; [0] is the root */
	VEC(struct task *) by_pid; /* the same, ascending by pid */
	VEC(struct file *) files;  /* ascending by id */
	VEC(struct fdtable *) fdtables;
	VEC(struct mm *) mms;
	VEC(struct file_lock) locks;
	VEC(struct sysv_segment) sysv; /* at restore */
	VEC(struct ghost *) ghosts;    /* at restore, while they are made; the files own them */
};

struct run;

/*
 * Read the images of run->images_dirfd and link them. Refuses a folder without
 * inventory, dangling ids, doubled pids, descriptors or overlapping vmas, and
 * features of images that this program does not know.
 */
int checkpoint_load(struct run *run, struct checkpoint **ret);

/* The same for looking at it only: what cannot be restored passes. */
int checkpoint_look(struct run *run, struct checkpoint **ret);

/*
 * Write pstree, files and the per-task images except page maps, and last the
 * inventory: from then on the folder is a checkpoint.
 */
int checkpoint_save(struct run *run, struct checkpoint *cp);

/*
 * At dump: write what checkpoint_save() would write for this task, and forget it; two tasks
 * may be saved at once. Of a descriptor table that is when the task is saved that is asked
 * about it.
 */
int checkpoint_save_task(struct run *run, struct task *t);

/*
 * Sync the inventory and the folder: the last chance to notice that the disk takes nothing any
 * more while the tasks can still go on. It does not make the other images durable, as file systems
 * that delay allocation (ext4, XFS, btrfs) write those later; what a crash of the machine cuts
 * off, the sizes in the inventory show. A folder that cannot be synced loses its inventory.
 */
int checkpoint_sync(struct run *run);

/*
 * An older checkpoint in the folder stops being one: dump calls this before it
 * writes anything there. No error when there is none.
 */
int checkpoint_discard(struct run *run);

/* NULL when there is no memory. */
struct checkpoint *checkpoint_new(void);
void checkpoint_free(struct checkpoint *cp);
/* Free the lists of mappings, which can be long; for who needs them no more. */
void checkpoint_forget_mappings(struct checkpoint *cp);

/* Let many cores have in common what they all have. Nobody may change their parts then. */
void core_share(CoreEntry *core);

/* What only the images of this one object hold is freed; nobody may look at it any more. */
void task_forget(struct task *t);
void fdtable_forget(struct fdtable *table);
void mm_forget(struct mm *mm);

/*
 * Add an object whose message has its id or pid already. Taken over on
 * success; -EEXIST when there is one of that id, -ENOMEM.
 */
int checkpoint_add_file(struct checkpoint *cp, struct file *f);
int checkpoint_add_task(struct checkpoint *cp, struct task *t);

/* Look-ups by id in O(log n); NULL when there is none. */
struct file *checkpoint_file(const struct checkpoint *cp, uint32_t id);
struct task *checkpoint_task(const struct checkpoint *cp, pid_t pid);

/*
 * The kind's own message inside a file_entry (reg_file_entry, pipe_entry ...) and
 * the id that it repeats; NULL when the entry lacks it or its type is unknown.
 */
const ProtobufCMessage *file_entry_message(const FileEntry *e, uint32_t *id);
/* "REG", "PIPE" ...; a number in a form of its own for an unknown type. */
const char *file_type_name(FdTypes type, char buf[16]);

#endif
