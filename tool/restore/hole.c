// SPDX-License-Identifier: GPL-2.0-only
/* A stretch of addresses that is free in every restored task, and in the tool. */
#include <errno.h>
#include <stdlib.h>

#include "restore/memory.h"

#define LOWEST	    0x100000ull
#define ADDRESS_MAX 0x7ffffffff000ull
#define WANTED	    (64ull << 30)
/* Scratch begins at a multiple of the largest huge page. */
#define ALIGNMENT (1ull << 30)
#define LEAST	  (64ull << 20)
/* Distance to what grows (stacks downwards, heaps upwards). */
#define MARGIN (16ull << 20)

static int compare(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

static bool fits(struct plan *p, uint64_t from, uint64_t to, uint64_t len)
{
	if (to < from || to - from < len + 2 * MARGIN)
		return false;
	p->hole = from + MARGIN;
	p->hole_len = len;
	return true;
}

static bool find(struct plan *p, uint64_t len)
{
	uint64_t at = LOWEST;
	struct range *r;

	vec_for_each (&p->used, r) {
		if (r->start > at && fits(p, at, r->start, len))
			return true;
		if (r->end > at)
			at = r->end;
	}
	return at < ADDRESS_MAX && fits(p, at, ADDRESS_MAX, len);
}

int plan_hole(struct plan *p)
{
	uint64_t len, least = LEAST + ALIGNMENT + p->vdso_room + p->scratch_room;
	struct vma *vma;
	struct mm **mm;

	vec_for_each (&p->cp->mms, mm)
		vec_for_each (&(*mm)->vmas, vma)
			if (vec_push(&p->used, ((struct range){vma->msg->start, vma->msg->end})))
				return fail(&p->run->err, -ENOMEM, "restore plan");
	vec_sort(&p->used, compare);
	for (len = WANTED + least; len >= least; len = len / 2 >= least ? len / 2 : least) {
		if (find(p, len))
			return 0;
		if (len == least)
			break;
	}
	return fail(&p->run->err, -ENOMEM, "no address range is free in all tasks");
}
