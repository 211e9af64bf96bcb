// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/vec.h"
#include "monitor/monitor_priv.h"

int monitor_tree(struct monitor *m, struct error *err, struct monitor_tree *ret)
{
	struct caba_node *copy = NULL;
	bool quiet = false;
	size_t top = 0;

	for (int i = 0; !quiet && i < MONITOR_TRIES; i++) {
		uint64_t seq = monitor_seq(m);
		struct caba_node *bigger;

		if (m->head->top > top) {
			top = m->head->top;
			bigger = realloc(copy, top * sizeof(*copy));
			if (!bigger) {
				free(copy);
				return fail(err, -ENOMEM, "copying %zu nodes", top);
			}
			copy = bigger;
		}
		memcpy(copy, m->nodes, top * sizeof(*copy));
		quiet = monitor_quiet(m, seq);
	}
	memcpy(&ret->head, copy, sizeof(ret->head));
	/* In a moving tree the head may name more than was copied. */
	if (ret->head.top > top)
		ret->head.top = top;
	ret->nodes = copy;
	ret->moving = !quiet;
	return 0;
}

void monitor_tree_free(struct monitor_tree *t)
{
	free(t->nodes);
	t->nodes = NULL;
}

/* What is needed per node to find the joints of a set. */
struct mark {
	uint32_t entry;	 /* 1 + index in the result; 0: none */
	uint32_t passed; /* branches of the set that come up to here */
};

typedef VEC(struct monitor_birth) births_t;

/* Go up from every process of the set, each node's way on being gone once. */
static void mark_lines(const struct monitor_tree *t, struct mark *marks, const births_t *out)
{
	const struct monitor_birth *b;

	vec_for_each (out, b) {
		uint32_t i = b->record.rec.node;

		while (i >= CABA_FIRST_NODE && i < t->head.top) {
			uint32_t up = t->nodes[i].up;

			if (up < CABA_FIRST_NODE || up >= t->head.top || marks[up].passed++)
				break;
			/* One of the set goes on by itself. */
			if (marks[up].entry)
				break;
			i = up;
		}
	}
}

static int add_joints(const struct monitor_tree *t, struct mark *marks, births_t *out)
{
	for (uint32_t i = CABA_FIRST_NODE; i < t->head.top; i++) {
		const struct caba_node *n = &t->nodes[i];
		struct monitor_birth *b;

		if (marks[i].entry || marks[i].passed < 2)
			continue;
		b = vec_add(out);
		if (!b)
			return -ENOMEM;
		b->up = -1;
		b->record.rec.id = n->id;
		b->record.rec.start = n->start;
		b->record.rec.tgid = n->tgid;
		b->record.rec.node = i;
		b->record.state = n->state;
		marks[i].entry = out->n;
	}
	return 0;
}

static void find_up(const struct monitor_tree *t, const struct mark *marks, struct monitor_birth *b)
{
	uint32_t i = b->record.rec.node;

	for (uint32_t left = t->head.top; left; left--) {
		if (i < CABA_FIRST_NODE || i >= t->head.top)
			return;
		b->doubts |= monitor_edge_doubts(&t->nodes[i]);
		i = t->nodes[i].up;
		if (i < t->head.top && marks[i].entry) {
			b->up = marks[i].entry - 1;
			return;
		}
	}
}

static void mark_set(const struct monitor_tree *t, struct mark *marks, births_t *set)
{
	struct monitor_birth *b;

	vec_for_each (set, b) {
		uint32_t i = b->record.rec.node;

		b->up = -1;
		b->doubts = 0;
		if (i >= CABA_FIRST_NODE && i < t->head.top && t->nodes[i].id == b->record.rec.id)
			marks[i].entry = b - set->at + 1;
		else
			b->doubts |= b->record.doubts | MONITOR_LINE_BROKEN;
	}
}

int monitor_walk_records(struct monitor *m, struct monitor_birth **births, size_t *n,
			 struct error *err)
{
	_cleanup_(monitor_tree_free) struct monitor_tree t = {0};
	_cleanup_free_ struct mark *marks = NULL;
	births_t out = {.at = *births, .n = *n, .room = *n};
	struct monitor_birth *b;
	int r;

	r = monitor_tree(m, err, &t);
	if (r)
		return r;
	marks = calloc(t.head.top, sizeof(*marks));
	if (!marks)
		return fail(err, -ENOMEM, "walking the births of %zu processes", *n);
	mark_set(&t, marks, &out);
	mark_lines(&t, marks, &out);
	r = add_joints(&t, marks, &out);
	*births = out.at;
	if (r)
		return fail(err, r, "walking the births of %zu processes", *n);
	*n = out.n;
	vec_for_each (&out, b) {
		if (b->record.rec.node < t.head.top && marks[b->record.rec.node].entry)
			find_up(&t, marks, b);
		if (t.moving)
			b->doubts |= MONITOR_MOVING;
	}
	return 0;
}

int monitor_walk(struct monitor *m, const pid_t *pids, size_t n, struct error *err,
		 struct monitor_birth **ret, size_t *ret_n)
{
	_cleanup_free_ struct monitor_birth *births = calloc(n ? n : 1, sizeof(*births));
	int r;

	if (!births)
		return fail(err, -ENOMEM, "asking the monitor for %zu processes", n);
	for (size_t i = 0; i < n; i++) {
		births[i].pid = pids[i];
		r = monitor_lookup(m, pids[i], err, &births[i].record);
		if (r)
			return r;
	}
	r = monitor_walk_records(m, &births, &n, err);
	if (r)
		return r;
	*ret = take_ptr(births);
	*ret_n = n;
	return 0;
}

/* Events that a program did not see because it was running already on that CPU. */
static uint64_t missed_of(const char *path)
{
	_cleanup_close_ int link = -1, prog = -1;
	struct bpf_link_info linfo = {0};
	struct bpf_prog_info pinfo = {0};
	uint32_t len = sizeof(linfo);

	link = bpf_obj_get(path);
	if (link < 0 || bpf_obj_get_info_by_fd(link, &linfo, &len))
		return 0;
	prog = bpf_prog_get_fd_by_id(linfo.prog_id);
	len = sizeof(pinfo);
	if (prog < 0 || bpf_obj_get_info_by_fd(prog, &pinfo, &len))
		return 0;
	return pinfo.recursion_misses;
}

int monitor_status(struct monitor *m, struct error *err, struct monitor_status *ret)
{
	struct monitor_status s = {.nodes_bytes = m->size};
	_cleanup_closedir_ DIR *dir = NULL;
	char path[PATH_MAX];
	struct dirent *e;

	snprintf(path, sizeof(path), "%s/monitor", m->folder);
	dir = opendir(path);
	if (!dir)
		return fail(err, -errno, "%s: reading", path);
	while ((e = readdir(dir))) {
		if (strncmp(e->d_name, "on_", 3) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/monitor/%s", m->folder, e->d_name);
		s.missed += missed_of(path);
		s.programs++;
	}
	for (int i = 0; i < MONITOR_TRIES; i++) {
		uint64_t seq = monitor_seq(m);

		memcpy(&s.head, m->head, sizeof(s.head));
		if (monitor_quiet(m, seq))
			break;
	}
	/* With the kernel's header of 64 bytes, in an object of a power of two; and 192 that a
	 * task's first storage of any kind costs. */
	s.record_bytes = (sizeof(struct caba_rec) + 64 <= 512 ? 512 : 1024) + 192;
	*ret = s;
	return 0;
}
