/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The images that a checkpoint needs, listed in its inventory: CRIU's format
 * alone does not show that one is missing or was cut between two entries.
 */
#ifndef STASIS_MODEL_MANIFEST_H
#define STASIS_MODEL_MANIFEST_H

#include "model/model.h"

/* List what is in run->images_dirfd now, in place of an older list. */
int manifest_make(struct run *run, InventoryEntry *inventory);
/*
 * All of them are there, with as many entries as at the dump. An image that was
 * edited since (another size, as many entries) passes. Without a list, as of
 * CRIU, nothing is checked.
 */
int manifest_check(struct run *run, const InventoryEntry *inventory);

#endif
