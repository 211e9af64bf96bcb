/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * System V shared memory (shmget(2)): ipcns-shm-N.img, contents in
 * pagemap-shmem images. A segment outlives the tasks that use it: one that is
 * there at restore is used as it is, one that is gone is made again with its id.
 */
#ifndef STASIS_RESOURCE_SYSV_H
#define STASIS_RESOURCE_SYSV_H

#include "model/model.h"
#include "resource/collect.h"

struct plan;
struct plan_slot;

/* Number of the page map image of segment @id, apart from those of other objects. */
static inline uint32_t sysv_image(uint32_t id)
{
	return id | 1U << 31;
}

/* Dump: @p is a mapping of segment @id. */
int sysv_collect(struct collect *c, const struct fd_probe *p, uint32_t id);
int sysv_save(struct collect *c);

/* Restore: fill cp->sysv; make what is gone. */
int sysv_load(struct run *run, struct checkpoint *cp);
int sysv_make(struct run *run, struct checkpoint *cp);
/* All tasks are attached: what was marked for removal is removed. */
void sysv_attached(struct checkpoint *cp);
/* The restore failed: remove what was made. */
void sysv_remove(struct checkpoint *cp);

/* Bytes, whole pages, of segment @id; 0: the checkpoint has none such. */
uint64_t sysv_size(const struct checkpoint *cp, uint64_t id);

#endif
