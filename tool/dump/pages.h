/* SPDX-License-Identifier: GPL-2.0-only */
/* Contents of a task's private memory: pagemap-PID.img and pages-N.img, piece by piece. */
#ifndef STASIS_DUMP_PAGES_H
#define STASIS_DUMP_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "dump/state.h"
#include "lib/vec.h"

/* What of a mapping concerns its pages. */
struct page_area {
	uint64_t start, end;
	uint32_t flags; /* of its entries in the page map */
	bool dumped;	/* may hold pages that belong to the task */
	bool whole;	/* dumped whole, whatever the page tables say */
	bool forced;	/* not readable */
};

typedef VEC(struct page_area) area_vec;

/* Append those of the task's mappings [first, n_vmas). 0 or -ENOMEM. */
int page_areas(const struct dump_task *dt, size_t first, area_vec *areas);

struct page_dump;

/* Create both images. The dump is dt->pages until it is ended. */
int page_dump_start(struct dump *d, struct dump_task *dt);
/* Dump what these areas hold; they follow those of the call before. */
int page_dump_areas(struct dump *d, struct page_dump *pd, const struct page_area *areas, size_t n);
/* End dt->pages, after success with what is not written yet; @ret, or the error that this has. */
int page_dump_end(struct dump *d, struct dump_task *dt, int ret);

/*
 * The second thread that copies pages while mappings are still being read (ahead.c):
 * told of every mapping that was added to dt->vmas, and of the end or failure.
 */
int ahead_add(struct dump *d, struct dump_task *dt);
int ahead_end(struct dump *d, struct dump_task *dt, int ret);

#endif
