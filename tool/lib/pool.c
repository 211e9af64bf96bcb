// SPDX-License-Identifier: GPL-2.0-only
#include "lib/pool.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

/* AddressSanitizer sees what goes beyond things that are each by themselves. */
#ifdef __SANITIZE_ADDRESS__
#define CHUNK 64
#else
#define CHUNK (256 * 1024)
#endif
#define ALIGN alignof(max_align_t)

struct pool_chunk {
	struct pool_chunk *before;
	alignas(ALIGN) char bytes[];
};

/* calloc(3) of such a size is fresh memory of the kernel, which is zero as it is. */
static struct pool_chunk *new_chunk(struct pool *p, size_t size)
{
	struct pool_chunk *c = calloc(1, sizeof(*c) + size);

	if (c) {
		c->before = p->last;
		p->last = c;
	}
	return c;
}

void *pool_alloc(struct pool *p, size_t size)
{
	struct pool_chunk *c;
	void *ret;

	if (size > CHUNK / 8) {
		c = size < SIZE_MAX / 2 ? new_chunk(p, size) : NULL;
		return c ? c->bytes : NULL;
	}
	size = (size + ALIGN - 1) / ALIGN * ALIGN;
	if (p->left < size) {
		c = new_chunk(p, CHUNK - sizeof(*c));
		if (!c)
			return NULL;
		p->at = c->bytes;
		p->left = CHUNK - sizeof(*c);
	}
	ret = p->at;
	p->at += size;
	p->left -= size;
	return ret;
}

void pool_free(struct pool *p)
{
	while (p->last) {
		struct pool_chunk *c = p->last;

		p->last = c->before;
		free(c);
	}
	*p = (struct pool){};
}
