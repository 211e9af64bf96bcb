/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files that were deleted but are in use (remap-fpath.img, ghost-file-ID.img):
 * made again for the tasks to open, under their names for an instant.
 */
#ifndef STASIS_RESOURCE_GHOST_H
#define STASIS_RESOURCE_GHOST_H

#include "model/model.h"

struct run;

struct ghost;

/* Link files that were deleted to their ghosts (file->data: struct reg, reg.h). */
int ghosts_load(struct run *run, struct checkpoint *cp);
/* Make the files; before the tasks open them. */
int ghosts_make(struct run *run, struct checkpoint *cp);
/* Delete them again: the tasks have them open, or the restore failed. */
void ghosts_remove(struct run *run, struct checkpoint *cp);
/* The same, and nothing but that: no memory is allocated or freed, nothing is logged. */
void ghosts_unname(struct checkpoint *cp);
/* The tasks are restored: other names under which a dump kept files go, too. */
void ghosts_done(struct run *run, struct checkpoint *cp);
/*
 * The path by which tasks open @g where a file's name was @name. @by_name: without
 * following a link, so that it has to be a name.
 */
const char *ghost_path(const struct ghost *g, const char *name, bool by_name);
void ghost_put(struct ghost *g);

#endif
