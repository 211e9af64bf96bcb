/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page maps of a checkpoint and of the checkpoints it is based on: which pages
 * of an address space or object lie where.
 */
#ifndef STASIS_IMAGE_PAGEMAP_H
#define STASIS_IMAGE_PAGEMAP_H

#include <stdint.h>

#include "image/image.h"
#include "lib/run.h"
#include "lib/vec.h"

#define PAGE_BYTES 4096ull

/* Pages that lie one after the other, in memory and in a pages image. */
struct stored {
	uint64_t start, len; /* bytes; address or offset in the object */
	uint64_t offset;     /* in the pages image */
	uint32_t pages_id;   /* pages-N.img ... */
	uint32_t depth;	     /* ... of this checkpoint (0) or of its depth-th parent */
};

typedef VEC(struct stored) stored_vec;

/* A chain of checkpoint folders: [0] is the images folder, each next the `parent` of the one
 * before. */
struct image_chain {
	VEC(int) dirs; /* [0] is borrowed, the others owned */
};

int image_chain_open(struct run *run, struct image_chain *c);
void image_chain_close(struct image_chain *c);

/*
 * All extents of image @kind number @n (IMG_PAGEMAP, IMG_SHMEM_PAGEMAP,
 * IMG_SECRETMEM_PAGEMAP), ascending, contents of parents resolved. A missing
 * image is empty if @optional. Checked: order, overflow, size of the pages images.
 */
int pagemap_load(struct run *run, const struct image_chain *c, enum image_id kind, uint64_t n,
		 bool optional, stored_vec *ret);

#endif
