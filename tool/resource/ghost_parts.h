/* SPDX-License-Identifier: GPL-2.0-only */
/* What a ghost consists of while a restore is under way; for ghost.c and ghost_make.c. */
#ifndef STASIS_RESOURCE_GHOST_PARTS_H
#define STASIS_RESOURCE_GHOST_PARTS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "lib/vec.h"

struct checkpoint;

/*
 * A name that a ghost has; there may be several (hard links). Tasks open it through
 * @door, a descriptor of ours whose number is known when the restore is planned, so
 * that it has a name for an instant only: what was opened by a name shows that name,
 * also when it is gone.
 */
struct ghost_alias {
	const char *name; /* in the checkpoint */
	char *path;	  /* where it is made; NULL: under its name */
	char *entrance;	  /* path of the door; NULL: it keeps its name until tasks have it */
	int door;	  /* -1: none */
	bool by_name;	  /* somebody opens it by its name */
	bool made;
};

struct ghost {
	uint32_t id;
	unsigned int refs;
	bool linked;		  /* not deleted, but under another name: */
	const char *source;	  /* this one, which goes when the restore is done */
	bool used;		  /* it was made */
	int contents;		  /* a file without a name, being filled; -1: none */
	bool has_times;		  /* set once more in the end: mapping it, or making files in it, */
	struct timespec times[2]; /* changes them */
	VEC(struct ghost_alias) aliases;
	VEC(char *) folders; /* made because they were missing too */
};

/* cp->ghosts: every ghost once, folders before what is in them. 0 or -ENOMEM. */
int ghosts_list(struct checkpoint *cp);

/*
 * A free path for @a: its name, or one beside it when something else has that name or
 * the beginning of its way. 0 or a negative errno.
 */
int ghost_place(struct ghost_alias *a, uint32_t id);

/* Is @fd low enough, so that there will be others for other things? */
bool ghost_can_spare(int fd);

static inline const char *ghost_alias_path(const struct ghost_alias *a)
{
	return a->path ? a->path : a->name;
}

#endif
