/* SPDX-License-Identifier: GPL-2.0-only */
/* What kinds of descriptors have in common at dump. */
#ifndef STASIS_RESOURCE_COLLECT_H
#define STASIS_RESOURCE_COLLECT_H

#include <stdint.h>

#include "lib/run.h"
#include "resource/resource.h"

/*
 * Something that several descriptions or mappings name: shared memory, whose
 * contents go into an image of their own; a terminal.
 */
struct inode {
	uint64_t dev, ino;
	enum image_id contents;	   /* IMG_SHMEM_PAGEMAP, IMG_SECRETMEM_PAGEMAP; IMG_COUNT: none */
	uint32_t id;		   /* number of that image */
	uint64_t size;		   /* bytes */
	pid_t pid;		   /* a task that has it open at fd, or mapped at addr */
	int fd;			   /* -1: mapped only */
	uint64_t addr, end;	   /* a mapping of it; 0 while none is known */
	bool done;		   /* secret memory: its contents are written */
	ProtobufCMessage *message; /* what is written about it; owned; may be NULL */
};

/* What collect() and save() of a resource work with. */
struct collect {
	struct run *run;
	struct checkpoint *cp;
	VEC(struct inode) inodes;
	uint32_t last_shmem_id;
	uint32_t last_file_id;
	uint32_t last_ghost_id;
	VEC(RemapFilePathEntry *) remaps; /* files without a path of their own (ghost_save.c) */
	VEC(char *) links; /* names made for --link-remap, taken back if the dump fails */
};

/* A further description with its own id, for kinds that consist of two; added to the checkpoint. */
int collect_second(struct collect *c, const struct resource *kind, const struct fd_probe *p,
		   struct file **ret);

/*
 * The object with the probe's device and inode, added on first use (then
 * *is_new). The address stays valid until the next call. NULL: no memory.
 */
struct inode *collect_inode(struct collect *c, const struct fd_probe *p, enum image_id contents,
			    bool *is_new);

/* Write the messages of this type to @image; no file when there are none. */
int collect_save_inodes(struct collect *c, enum image_id image,
			const ProtobufCMessageDescriptor *type);

/*
 * A file that its path does not lead to any more. Deleted: its attributes and
 * contents go into a ghost-file image. Still linked elsewhere: with --link-remap
 * it gets a further name. Refused where neither is possible. ghost_save.c
 */
int ghost_collect(struct collect *c, const struct fd_probe *p, struct file *f);
/* Write remap-fpath.img. */
int ghost_save(struct collect *c);
/* The dump failed: remove the names that ghost_collect() made. */
void ghost_undo(struct collect *c);

/* Free what was collected (not the checkpoint). */
void collect_free(struct collect *c);

/* Owner and signal (F_SETOWN, F_SETSIG); NULL when there is no memory. */
FownEntry *collect_fown(const struct fd_probe *p);

/* A number of fdinfo ("eventfd-count"); base as strtoull. 0 when it is missing. */
uint64_t probe_number(const struct fd_probe *p, const char *key, int base);

/* Our own descriptor of a collected description, from the task that it was found in. Caller closes.
 */
int file_local(const struct file *f);

/* Does the link lead to this very file? p->path, if somebody has looked already. */
bool probe_path_leads_there(const struct fd_probe *p);

/* "task 12: descriptor 3 (pipe:[77])" */
const char *probe_name(const struct fd_probe *p, char *buf, size_t size);

/* Refuse to dump it: says which, what it is, and the hint. Returns -EOPNOTSUPP. */
int refuse_probe(struct collect *c, const struct fd_probe *p, const char *what, const char *hint);

#endif
