/* SPDX-License-Identifier: GPL-2.0-only */
/* Many small things that are forgotten together. A pool that is all zeroes is empty. */
#ifndef STASIS_LIB_POOL_H
#define STASIS_LIB_POOL_H

#include <stddef.h>

struct pool_chunk;

struct pool {
	struct pool_chunk *last;
	char *at;    /* free bytes of the last chunk */
	size_t left; /* how many */
};

/* @size bytes, zeroed, aligned as malloc(3) does; NULL when there is no memory. */
void *pool_alloc(struct pool *p, size_t size);
void pool_free(struct pool *p);

#endif
