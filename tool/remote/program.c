// SPDX-License-Identifier: GPL-2.0-only
#include "remote/program.h"

#include <string.h>

struct stub_op *program_op(struct program *p, uint16_t what, uint16_t flags, int n_args,
			   const struct program_arg *args)
{
	struct stub_op *op;
	int i;

	if (p->n == p->room)
		return NULL;
	op = (struct stub_op *)(p->base + p->start) + p->n++;
	memset(op, 0, sizeof(*op));
	op->nr = what;
	op->flags = flags;
	for (i = 0; i < n_args; i++) {
		op->kinds |= STUB_KIND(i, args[i].kind);
		op->arg[i] = args[i].value;
	}
	return op;
}

void *program_space(struct program *p, size_t len, uint64_t *offset)
{
	uint64_t at = (p->data + 15) & ~15ULL;

	if (len > p->data_end || at > p->data_end - len)
		return NULL;
	p->data = at + len;
	*offset = at;
	return memset(p->base + at, 0, len);
}
