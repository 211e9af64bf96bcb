// SPDX-License-Identifier: GPL-2.0-only
/* The tree of births and the tree of parents, side by side. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/monitor_show.h"
#include "lib/cleanup.h"

#define CELL	    40
#define DEEPEST	    24 /* generations that are indented; further ones tell their depth */
#define LINE_LENGTH 128

struct line {
	char text[LINE_LENGTH];
};

typedef VEC(struct line) lines_t;

/* Children as lists. Index 0 stands above all, others are one more than in struct show. */
struct forest {
	size_t n;
	size_t *up, *first, *next;
};

static void forest_free(struct forest *f)
{
	free(f->up);
	free(f->first);
	free(f->next);
}

static ssize_t above(const struct show *s, size_t i, bool births)
{
	return births ? s->births[i].up : show_find(s, s->tasks.at[i].parent);
}

static int forest_plant(const struct show *s, bool births, struct forest *f)
{
	f->n = (births ? s->n_births : s->tasks.n) + 1;
	f->up = calloc(f->n, sizeof(*f->up));
	f->first = calloc(f->n, sizeof(*f->first));
	f->next = calloc(f->n, sizeof(*f->next));
	if (!f->up || !f->first || !f->next)
		return -ENOMEM;
	/* Backwards, for the lists to be in order. */
	for (size_t i = f->n - 1; i; i--) {
		f->up[i] = above(s, i - 1, births) + 1;
		f->next[i] = f->first[f->up[i]];
		f->first[f->up[i]] = i;
	}
	return 0;
}

static void entry(const struct show *s, bool births, size_t i, size_t depth, struct line *l)
{
	const struct monitor_birth *b = &s->births[i];
	size_t size = sizeof(l->text), n = 0;

	if (depth > DEEPEST)
		n += snprintf(l->text, size, "%*s[%zu] ", 2 * DEEPEST, "", depth);
	else
		n += snprintf(l->text, size, "%*s%s", (int)depth * 2, "", depth ? "\\_ " : "");
	if (i >= s->tasks.n)
		n += snprintf(l->text + n, size - n,
			      b->record.state == CABA_GONE ? "(%u gone)" : "(%u outside)",
			      b->record.rec.tgid);
	else
		n += snprintf(l->text + n, size - n, "%d %s%s", b->pid, s->tasks.at[i].comm,
			      s->tasks.at[i].state == 'Z' ? " <zombie>" : "");
	if (births && b->doubts & (MONITOR_LINE_GUESSED | MONITOR_LINE_BROKEN | MONITOR_MOVING))
		snprintf(l->text + n, size - n, " ?");
}

static int draw(const struct show *s, bool births, lines_t *out)
{
	_cleanup_(forest_free) struct forest f = {0};
	size_t depth = 0, i;
	int r = forest_plant(s, births, &f);

	if (r)
		return r;
	i = f.first[0];
	while (i) {
		struct line *l = vec_add(out);

		if (!l)
			return -ENOMEM;
		entry(s, births, i - 1, depth, l);
		if (f.first[i]) {
			i = f.first[i];
			depth++;
			continue;
		}
		while (i && !f.next[i]) {
			i = f.up[i];
			depth--;
		}
		i = f.next[i];
	}
	return 0;
}

static void print_beside(const lines_t *left, const lines_t *right, FILE *out)
{
	size_t width = CELL;
	struct line *l;

	vec_for_each (left, l) {
		size_t len = strlen(l->text);

		width = len > width ? len : width;
	}
	width = width > 2 * CELL ? 2 * CELL : width;
	fprintf(out, "%-*s  %s\n", (int)width, "BIRTHS", "PARENTS");
	for (size_t i = 0; i < left->n || i < right->n; i++)
		fprintf(out, "%-*s  %s\n", (int)width, i < left->n ? left->at[i].text : "",
			i < right->n ? right->at[i].text : "");
}

int show_trees(const struct show *s, FILE *out)
{
	lines_t left = {0}, right = {0};
	int r = draw(s, true, &left);

	if (!r)
		r = draw(s, false, &right);
	if (!r)
		print_beside(&left, &right, out);
	vec_free(&left);
	vec_free(&right);
	return r;
}
