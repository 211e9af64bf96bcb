// SPDX-License-Identifier: GPL-2.0-only
/*
 * Contents of private memory: pagemap-PID.img and pages-N.img. The page tables
 * are scanned in pieces of a fixed number of regions, each piece is moved before
 * the next is scanned: memory here does not grow with the task's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dump/pages.h"
#include "image/image.h"
#include "lib/cleanup.h"
#include "mem/pump.h"
#include "mem/scan.h"
#include "mem/vma.h"

#define PAGE	4096UL
#define REGIONS 2048
#define APART	(4ull << 20)  /* smaller anonymous mappings are scanned with their neighbours */
#define PIECE	(64ull << 20) /* between two looks of progress */

struct page_dump {
	struct dump *d;
	struct dump_task *dt;
	struct image_writer *map;
	int pagemap, pages;
	int mem;     /* open once something cannot be read without force */
	uint64_t at; /* bytes written to the pages image */
	VEC(struct extent) extents;
	PagemapEntry last; /* not written yet: the next extent may continue it */
	bool have_last;
	VEC(VmaEntry *) guards;
	const struct page_area *areas; /* at hand */
	size_t n_areas;
	size_t area; /* the first that may hold the next region */
};

int page_images_create(struct dump *d, enum image_id id, uint64_t n, uint32_t pages_id,
		       struct image_writer **ret_map, int *ret_pages)
{
	PagemapHead head = PAGEMAP_HEAD__INIT;
	_cleanup_close_ int fd = -1;
	char name[64];
	int ret;

	head.pages_id = pages_id;
	image_name(IMG_PAGES, head.pages_id, name, sizeof(name));
	fd = openat(d->run->images_dirfd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		    0600);
	if (fd < 0)
		return fail(&d->run->err, -errno, "image %s: create", name);
	ret = image_create(d->run->images_dirfd, id, n, &d->run->err, ret_map);
	if (ret)
		return ret;
	ret = image_write(*ret_map, &head.base);
	if (ret) {
		image_close(*ret_map);
		*ret_map = NULL;
		return ret;
	}
	*ret_pages = take_fd(&fd);
	return 0;
}

int page_images_close(struct dump *d, struct image_writer *map, int pages, int ret)
{
	int closed = image_close(map);

	ret = ret ? ret : closed;
	if (pages >= 0 && close(pages) && !ret)
		return fail(&d->run->err, -errno, "close a pages image");
	return ret;
}

static int flush_last(struct page_dump *pd)
{
	if (!pd->have_last)
		return 0;
	pd->have_last = false;
	return image_write(pd->map, &pd->last.base);
}

static int open_proc(struct page_dump *pd, const char *name, int *ret_fd)
{
	int fd = openat(pd->dt->procfd, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return fail(&pd->d->run->err, -errno, "task %d: open its %s", pd->dt->pid, name);
	*ret_fd = fd;
	return 0;
}

/* [start, end) of one mapping holds pages of the task. */
static int add_extent(struct page_dump *pd, const struct page_area *area, uint64_t start,
		      uint64_t end)
{
	struct extent e = {.addr = start, .len = end - start, .at = pd->at, .forced = area->forced};
	int ret;

	if (e.forced && pd->mem < 0) {
		ret = open_proc(pd, "mem", &pd->mem);
		if (ret)
			return ret;
	}
	if (vec_push(&pd->extents, e))
		return fail(&pd->d->run->err, -ENOMEM, "task %d: list its pages", pd->dt->pid);
	pd->at += e.len;
	if (pd->have_last && pd->last.flags == area->flags &&
	    pd->last.vaddr + pd->last.nr_pages * PAGE == start) {
		pd->last.nr_pages += e.len / PAGE;
		return 0;
	}
	ret = flush_last(pd);
	pagemap_entry__init(&pd->last);
	pd->last.vaddr = start;
	pd->last.has_nr_pages = pd->last.has_flags = true;
	pd->last.nr_pages = e.len / PAGE;
	pd->last.flags = area->flags;
	pd->have_last = true;
	return ret;
}

/* Cut a region along the mappings; those that hold nothing of the task drop out. */
static int add_region(struct page_dump *pd, uint64_t start, uint64_t end)
{
	size_t i;
	int ret;

	while (pd->area < pd->n_areas && pd->areas[pd->area].end <= start)
		pd->area++;
	for (i = pd->area; i < pd->n_areas && pd->areas[i].start < end; i++) {
		const struct page_area *area = &pd->areas[i];
		uint64_t a = start > area->start ? start : area->start;
		uint64_t b = end < area->end ? end : area->end;

		if (!area->dumped || area->whole || a >= b)
			continue;
		ret = add_extent(pd, area, a, b);
		if (ret)
			return ret;
	}
	return 0;
}

/*
 * A guard region (madvise(MADV_GUARD_INSTALL), 6.13) is a mark in the page
 * tables. In the image it is a mapping of its own kind behind all others.
 */
static int add_guard(struct page_dump *pd, const struct page_region *r)
{
	VmaEntry *e = malloc(sizeof(*e));

	if (!e || vec_push(&pd->guards, e)) {
		free(e);
		return fail(&pd->d->run->err, -ENOMEM, "task %d: keep its guard regions",
			    pd->dt->pid);
	}
	vma_entry__init(e);
	e->start = r->start;
	e->end = r->end;
	e->status = VMA_GUARD;
	e->fd = -1;
	return 0;
}

static int save_guards(struct page_dump *pd)
{
	MmEntry *m = pd->dt->task->mm->msg;
	void *grown;

	if (!pd->guards.n)
		return 0;
	grown = realloc(m->vmas, (m->n_vmas + pd->guards.n) * sizeof(*m->vmas));
	if (!grown)
		return fail(&pd->d->run->err, -ENOMEM, "task %d: keep its guard regions",
			    pd->dt->pid);
	m->vmas = grown;
	memcpy(m->vmas + m->n_vmas, pd->guards.at, pd->guards.n * sizeof(*m->vmas));
	m->n_vmas += pd->guards.n;
	pd->guards.n = 0;
	return 0;
}

/* As many of the extents as make a piece whose end can be shown; large ones are cut. */
static unsigned int cut_piece(struct extent *left, unsigned int n, struct extent *piece,
			      uint64_t *ret_bytes)
{
	unsigned int used = 0;
	uint64_t bytes = 0;

	while (used < n && used < REGIONS && bytes < PIECE) {
		struct extent *e = &left[used], *p = &piece[used];

		*p = *e;
		if (p->len > PIECE - bytes)
			p->len = PIECE - bytes;
		e->addr += p->len;
		e->at += p->len;
		e->len -= p->len;
		bytes += p->len;
		used++;
	}
	*ret_bytes = bytes;
	return used;
}

/* The same as pump_pages() of all, with somebody watching. */
static int move_watched(struct page_dump *pd, uint64_t *at_addr)
{
	struct extent *left = pd->extents.at, *end = left + pd->extents.n, piece[REGIONS];
	unsigned int n;
	uint64_t bytes;
	int ret = 0;

	while (!ret && left < end) {
		n = cut_piece(left, end - left, piece, &bytes);
		ret = pump_pages(pd->dt->pid, pd->mem, piece, n, pd->pages, at_addr);
		progress_add(pd->d->progress, bytes);
		left += left[n - 1].len ? n - 1 : n;
	}
	return ret;
}

static int move(struct page_dump *pd)
{
	uint64_t addr = 0;
	int ret;

	if (pd->d->progress->on)
		ret = move_watched(pd, &addr);
	else
		ret = pump_pages(pd->dt->pid, pd->mem, pd->extents.at, pd->extents.n, pd->pages,
				 &addr);
	pd->extents.n = 0;
	if (!ret)
		return 0;
	if (addr)
		return fail(&pd->d->run->err, ret, "task %d: read its memory at %#lx", pd->dt->pid,
			    addr);
	fail(&pd->d->run->err, ret, "task %d: write its pages image", pd->dt->pid);
	return ret == -ENOSPC
		       ? fail_hint(&pd->d->run->err, "make room where the images go, or choose "
						     "another --images-dir")
		       : ret;
}

static int scan(struct page_dump *pd, uint64_t start, uint64_t end, uint64_t excluded,
		struct page_region *regions, uint64_t *walked)
{
	struct scan_query query = {
		.excluded = excluded,
		.any = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
		.shown = PAGE_IS_GUARD,
	};
	int n = scan_pages(pd->pagemap, start, end, &query, regions, REGIONS, walked);

	/* Before 6.15 this category is unknown; guard regions look like swapped pages. */
	if (n == -EINVAL) {
		query.shown = 0;
		n = scan_pages(pd->pagemap, start, end, &query, regions, REGIONS, walked);
	}
	if (n < 0)
		return fail(&pd->d->run->err, n, "task %d: scan its page tables", pd->dt->pid);
	return n;
}

/* What the page tables show between two addresses, but for pages of @excluded categories. */
static int dump_scanned(struct page_dump *pd, uint64_t start, uint64_t end, uint64_t excluded)
{
	struct page_region regions[REGIONS];
	uint64_t done = start;
	int n, i, ret = 0;

	while (!ret && start < end) {
		n = scan(pd, start, end, excluded, regions, &start);
		if (n < 0)
			return n;
		for (i = 0; !ret && i < n; i++) {
			/* Seen on 6.18: the last region before the kernel's buffer is full, twice.
			 */
			if (regions[i].start < done)
				regions[i].start = done;
			if (regions[i].start >= regions[i].end)
				continue;
			done = regions[i].end;
			if (regions[i].categories & PAGE_IS_GUARD)
				ret = add_guard(pd, &regions[i]);
			else
				ret = add_region(pd, regions[i].start, regions[i].end);
		}
		if (!ret && pd->extents.n >= REGIONS)
			ret = move(pd);
	}
	return ret;
}

static int dump_range(struct page_dump *pd, uint64_t start, uint64_t end)
{
	return dump_scanned(pd, start, end, PAGE_IS_FILE | PAGE_IS_PFNZERO);
}

/*
 * Whether a page is a file's the kernel only sees in its struct page, of which each is a miss
 * of the cache: five sixths of the time. Anonymous memory has no such pages.
 */
static int dump_anonymous(struct page_dump *pd, uint64_t start, uint64_t end)
{
	return dump_scanned(pd, start, end, PAGE_IS_PFNZERO);
}

static bool scanned_apart(const struct page_area *a)
{
	return a->dumped && (a->flags & PAGES_LAZY) && a->end - a->start >= APART;
}

/* What the page tables show in areas [first, end). */
static int scan_areas(struct page_dump *pd, size_t first, size_t end)
{
	return first < end ? dump_range(pd, pd->areas[first].start, pd->areas[end - 1].end) : 0;
}

int page_areas(const struct dump_task *dt, size_t first, area_vec *areas)
{
	const struct mm *mm = dt->task->mm;
	size_t i;

	for (i = first; i < mm->vmas.n; i++) {
		const VmaEntry *e = mm->vmas.at[i].msg;
		const struct dump_vma *dv = &dt->vmas.at[i];
		struct page_area a = {
			.start = e->start,
			.end = e->end,
			.flags = PAGES_PRESENT,
			.dumped = dv->private_anon,
			.whole = dv->whole,
			.forced = !(e->prot & PROT_READ),
		};

		if (e->status & VMA_VSYSCALL)
			break;
		if ((e->status & VMA_ANON_PRIVATE) && !(e->status & VMA_VDSO))
			a.flags |= PAGES_LAZY;
		if (vec_push(areas, a))
			return -ENOMEM;
	}
	return 0;
}

/* Threads have errors of their own. */
static void use(struct page_dump *pd, struct dump *d)
{
	pd->d = d;
	if (pd->map)
		image_writer_error(pd->map, &d->run->err);
}

int page_dump_areas(struct dump *d, struct page_dump *pd, const struct page_area *areas, size_t n)
{
	size_t i, first = 0;
	int ret = 0;

	use(pd, d);
	pd->areas = areas;
	pd->n_areas = n;
	pd->area = 0;
	for (i = 0; !ret && i < n; i++) {
		if (!areas[i].whole && !scanned_apart(&areas[i]))
			continue;
		ret = scan_areas(pd, first, i);
		/* The vDSO is shared with the kernel in the page tables, yet belongs to the
		 * checkpoint. */
		if (!ret && areas[i].whole)
			ret = add_extent(pd, &areas[i], areas[i].start, areas[i].end);
		else if (!ret)
			ret = dump_anonymous(pd, areas[i].start, areas[i].end);
		if (!ret && pd->extents.n >= REGIONS)
			ret = move(pd);
		first = i + 1;
	}
	if (!ret)
		ret = scan_areas(pd, first, n);
	return ret ? ret : move(pd);
}

int page_dump_start(struct dump *d, struct dump_task *dt)
{
	struct page_dump *pd = calloc(1, sizeof(*pd));
	int ret;

	if (!pd)
		return fail(&d->run->err, -ENOMEM, "task %d: dump its memory", dt->pid);
	*pd = (struct page_dump){.d = d, .dt = dt, .pagemap = -1, .mem = -1, .pages = -1};
	dt->pages = pd;
	ret = open_proc(pd, "pagemap", &pd->pagemap);
	return ret ? ret
		   : page_images_create(d, IMG_PAGEMAP, dt->pid, dt->pages_id, &pd->map,
					&pd->pages);
}

int page_dump_end(struct dump *d, struct dump_task *dt, int ret)
{
	struct page_dump *pd = dt->pages;
	VmaEntry **guard;

	if (!pd)
		return ret;
	dt->pages = NULL;
	use(pd, d);
	if (!ret)
		ret = flush_last(pd);
	if (!ret)
		ret = save_guards(pd);
	ret = page_images_close(d, pd->map, pd->pages, ret);
	d->stats.pages_written += pd->at / PAGE;
	dt->dumped = pd->at;
	vec_for_each (&pd->guards, guard)
		free(*guard);
	vec_free(&pd->guards);
	vec_free(&pd->extents);
	cleanup_close(&pd->pagemap);
	cleanup_close(&pd->mem);
	free(pd);
	return ret;
}

int dump_pages(struct dump *d, struct dump_task *dt)
{
	area_vec areas = {0};
	int ret = dt->pages ? 0 : page_dump_start(d, dt);

	if (!ret && page_areas(dt, dt->n_ahead, &areas))
		ret = fail(&d->run->err, -ENOMEM, "task %d: list its mappings", dt->pid);
	if (!ret)
		ret = page_dump_areas(d, dt->pages, areas.at, areas.n);
	vec_free(&areas);
	return page_dump_end(d, dt, ret);
}
