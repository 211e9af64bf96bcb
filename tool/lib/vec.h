/* SPDX-License-Identifier: GPL-2.0-only */
/* Growing arrays. A VEC(type) that is all zeroes is empty and owns nothing. */
#ifndef STASIS_LIB_VEC_H
#define STASIS_LIB_VEC_H

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define VEC(type)               \
	struct {                \
		type *at;       \
		size_t n, room; \
	}

/* Make room for @more elements; 0 or -ENOMEM, the array unchanged. */
int vec_grow(void *at_ptr, size_t *room, size_t n, size_t more, size_t size);

#define vec_reserve(v, more) vec_grow(&(v)->at, &(v)->room, (v)->n, more, sizeof(*(v)->at))

/* Append; 0 or -ENOMEM. */
#define vec_push(v, value) (vec_reserve(v, 1) ? -ENOMEM : ((v)->at[(v)->n++] = (value), 0))

/* Append a zeroed element; its address or NULL. Earlier addresses may move. */
#define vec_add(v)                \
	(vec_reserve(v, 1) ? NULL \
			   : (__typeof__((v)->at))memset(&(v)->at[(v)->n++], 0, sizeof(*(v)->at)))

/* qsort(3) wants an address even for nothing. */
#define vec_sort(v, compare) ((v)->n ? qsort((v)->at, (v)->n, sizeof(*(v)->at), compare) : (void)0)

#define vec_free(v) (free((v)->at), (v)->at = NULL, (v)->n = (v)->room = 0)

/* Behind the last element. An empty array may have no address: nothing is added to it then. */
#define vec_end(v) ((v)->n ? (v)->at + (v)->n : (v)->at)

#define vec_for_each(v, it) for (it = (v)->at; it < vec_end(v); it++)

#endif
