// SPDX-License-Identifier: GPL-2.0-only
/* A plan for people: every task's steps as strace would show them, by phase, and why. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "restore/execute.h"

void print_step(const struct plan *p, const struct step *s, char *buf, size_t size)
{
	snprintf(buf, size, s->why ? s->why : "step", (long)s->subject);
}

void print_plan(const struct plan *p)
{
	size_t i;

	for (i = 0; i < p->steps.n; i++) {
		char text[256];

		print_step(p, &p->steps.at[i], text, sizeof(text));
		printf("%d %d %s\n", p->slots.at[p->steps.at[i].slot]->tid, p->steps.at[i].nr,
		       text);
	}
}
