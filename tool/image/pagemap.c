// SPDX-License-Identifier: GPL-2.0-only
#include "image/pagemap.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "mem/vma.h"
#include "proto/stasis.pb-c.h"

/* More folders than anybody chains; fewer than descriptors there are. */
#define MAX_PARENTS 256

/* Highest address (or offset) that a page may end at. */
#define ADDRESS_END (1ull << 56)

int image_chain_open(struct run *run, struct image_chain *c)
{
	int dir = run->images_dirfd;

	for (;;) {
		if (vec_push(&c->dirs, dir)) {
			if (c->dirs.n)
				close(dir);
			return fail(&run->err, -ENOMEM, "parents of the checkpoint");
		}
		dir = openat(dir, "parent", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0 && errno == ENOENT)
			return 0;
		if (dir < 0)
			return fail(&run->err, -errno, "parent of the checkpoint, level %zu",
				    c->dirs.n);
		if (c->dirs.n >= MAX_PARENTS) {
			close(dir);
			return fail(&run->err, -ELOOP, "parents of the checkpoint");
		}
	}
}

void image_chain_close(struct image_chain *c)
{
	size_t i;

	for (i = 1; i < c->dirs.n; i++)
		close(c->dirs.at[i]);
	vec_free(&c->dirs);
}

struct entry {
	uint64_t start, end;
	uint64_t offset; /* of its pages in the pages image */
	uint32_t flags;
};

/* One page map of one checkpoint. */
struct level {
	VEC(struct entry) entries;
	uint32_t pages_id;
	uint64_t pages_size;
	uint64_t present; /* bytes that the entries say are in the pages image */
};

static uint32_t entry_flags(const PagemapEntry *e)
{
	if (e->has_flags)
		return e->flags;
	/* Before CRIU 3.0. */
	return e->has_in_parent && e->in_parent ? PAGES_IN_PARENT : PAGES_PRESENT;
}

static int bad_map(struct run *run, enum image_id kind, uint64_t n, const char *what, uint64_t at)
{
	char name[64];

	image_name(kind, n, name, sizeof(name));
	fail_text(&run->err, -EBADMSG, "image %s: %s at %#" PRIx64, name, what, at);
	return fail_hint(&run->err, "the checkpoint is damaged; dump again");
}

static int add_entry(struct run *run, const PagemapEntry *e, enum image_id kind, uint64_t n,
		     struct level *l)
{
	uint64_t pages = e->has_nr_pages ? e->nr_pages : e->compat_nr_pages;
	uint64_t end = l->entries.n ? l->entries.at[l->entries.n - 1].end : 0;
	struct entry entry = {.start = e->vaddr, .offset = l->present, .flags = entry_flags(e)};

	if (e->vaddr % PAGE_BYTES || e->vaddr < end || e->vaddr > ADDRESS_END ||
	    pages > (ADDRESS_END - e->vaddr) / PAGE_BYTES)
		return bad_map(run, kind, n, "overlapping or wild entry", e->vaddr);
	entry.end = e->vaddr + pages * PAGE_BYTES;
	if (entry.flags & PAGES_PRESENT)
		l->present += entry.end - entry.start;
	return vec_push(&l->entries, entry) ? fail(&run->err, -ENOMEM, "page map") : 0;
}

static int read_entries(struct run *run, struct image_reader *r, enum image_id kind, uint64_t n,
			struct level *l)
{
	ProtobufCMessage *msg;
	int ret = image_read(r, &msg);

	if (ret <= 0)
		return ret < 0 ? ret : bad_map(run, kind, n, "no head", 0);
	l->pages_id = ((PagemapHead *)msg)->pages_id;
	protobuf_c_message_free_unpacked(msg, NULL);
	while ((ret = image_read(r, &msg)) == 1) {
		ret = add_entry(run, (PagemapEntry *)msg, kind, n, l);
		protobuf_c_message_free_unpacked(msg, NULL);
		if (ret)
			break;
	}
	return ret;
}

static int level_load(struct run *run, int dir, enum image_id kind, uint64_t n, bool optional,
		      struct level *l)
{
	struct image_reader *r;
	char name[64];
	struct stat st;
	int ret = image_open(dir, kind, n, optional, &run->err, &r);

	if (ret)
		return ret;
	ret = read_entries(run, r, kind, n, l);
	image_reader_free(r);
	if (ret)
		return ret;
	image_name(IMG_PAGES, l->pages_id, name, sizeof(name));
	if (!fstatat(dir, name, &st, 0))
		l->pages_size = st.st_size;
	else if (l->present)
		return fail(&run->err, -errno, "image %s", name);
	return 0;
}

struct loader {
	struct run *run;
	const struct image_chain *chain;
	enum image_id kind;
	uint64_t n;
	struct level *levels;
	size_t n_levels;
	stored_vec *out;
};

static int add_extent(struct loader *ld, uint32_t depth, uint64_t start, uint64_t len,
		      uint64_t offset)
{
	struct level *l = &ld->levels[depth];
	struct stored *last = ld->out->n ? &ld->out->at[ld->out->n - 1] : NULL,
		      e = {
			      .start = start,
			      .len = len,
			      .offset = offset,
			      .pages_id = l->pages_id,
			      .depth = depth,
		      };

	if (offset + len > l->pages_size)
		return bad_map(ld->run, ld->kind, ld->n, "pages image too short for the entry",
			       start);
	if (last && last->depth == depth && last->start + last->len == start &&
	    last->offset + last->len == offset) {
		last->len += len;
		return 0;
	}
	return vec_push(ld->out, e) ? fail(&ld->run->err, -ENOMEM, "page map") : 0;
}

/* Index of the first entry of @l that ends behind @start. */
static size_t find_entry(const struct level *l, uint64_t start)
{
	size_t lo = 0, hi = l->entries.n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (l->entries.at[mid].end <= start)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int need_level(struct loader *ld, uint32_t depth)
{
	if (depth < ld->n_levels)
		return 0;
	if (depth >= ld->chain->dirs.n)
		return bad_map(ld->run, ld->kind, ld->n, "pages in a parent that is not there",
			       depth);
	struct level *l = realloc(ld->levels, (depth + 1) * sizeof(*l));

	if (!l)
		return fail(&ld->run->err, -ENOMEM, "page map");
	ld->levels = l;
	memset(&l[depth], 0, sizeof(*l));
	ld->n_levels = depth + 1;
	return level_load(ld->run, ld->chain->dirs.at[depth], ld->kind, ld->n, false, &l[depth]);
}

/* The part [start, start + len) of the memory, from @depth on downwards. */
static int resolve(struct loader *ld, uint32_t depth, uint64_t start, uint64_t len)
{
	uint64_t end = start + len, at = start;
	size_t i;
	int ret = need_level(ld, depth);

	if (ret)
		return ret;
	for (i = find_entry(&ld->levels[depth], start); i < ld->levels[depth].entries.n; i++) {
		const struct entry *e = &ld->levels[depth].entries.at[i];
		uint64_t from = e->start > start ? e->start : start;
		uint64_t to = e->end < end ? e->end : end;

		if (e->start >= end)
			break;
		if (depth && from > at)
			break;
		at = to;
		if (e->flags & PAGES_PRESENT)
			ret = add_extent(ld, depth, from, to - from, e->offset + (from - e->start));
		else if (e->flags & PAGES_IN_PARENT)
			ret = resolve(ld, depth + 1, from, to - from);
		else if (!(e->flags & PAGES_LAZY))
			ret = bad_map(ld->run, ld->kind, ld->n, "entry with unknown flags",
				      e->start);
		if (ret)
			return ret;
	}
	if (depth && at < end)
		return bad_map(ld->run, ld->kind, ld->n, "pages that the parent does not have", at);
	return 0;
}

int pagemap_load(struct run *run, const struct image_chain *c, enum image_id kind, uint64_t n,
		 bool optional, stored_vec *ret)
{
	struct loader ld = {.run = run, .chain = c, .kind = kind, .n = n, .out = ret};
	size_t i;
	int r;

	ld.levels = calloc(1, sizeof(*ld.levels));
	if (!ld.levels)
		return fail(&run->err, -ENOMEM, "page map");
	ld.n_levels = 1;
	r = level_load(run, c->dirs.at[0], kind, n, optional, &ld.levels[0]);
	if (!r && ld.levels[0].entries.n)
		r = resolve(&ld, 0, 0, ADDRESS_END);
	else if (r == -ENOENT && optional && !run->err.code)
		r = 0;
	for (i = 0; i < ld.n_levels; i++)
		vec_free(&ld.levels[i].entries);
	free(ld.levels);
	return r;
}
