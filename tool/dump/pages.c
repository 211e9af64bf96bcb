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

#include "dump/state.h"
#include "image/image.h"
#include "lib/cleanup.h"
#include "lib/parallel.h"
#include "mem/pump.h"
#include "mem/scan.h"
#include "mem/vma.h"

#define PAGE	4096UL
#define REGIONS 2048
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
	size_t vma; /* the first that may hold the next region */
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
		return ret;
	}
	*ret_pages = take_fd(&fd);
	return 0;
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
static int add_extent(struct page_dump *pd, const struct vma *vma, uint64_t start, uint64_t end)
{
	struct extent e = {.addr = start, .len = end - start, .at = pd->at};
	uint32_t flags = PAGES_PRESENT;
	int ret;

	if ((vma->msg->status & VMA_ANON_PRIVATE) && !(vma->msg->status & VMA_VDSO))
		flags |= PAGES_LAZY;
	e.forced = !(vma->msg->prot & PROT_READ);
	if (e.forced && pd->mem < 0) {
		ret = open_proc(pd, "mem", &pd->mem);
		if (ret)
			return ret;
	}
	if (vec_push(&pd->extents, e))
		return fail(&pd->d->run->err, -ENOMEM, "task %d: list its pages", pd->dt->pid);
	pd->at += e.len;
	if (pd->have_last && pd->last.flags == flags &&
	    pd->last.vaddr + pd->last.nr_pages * PAGE == start) {
		pd->last.nr_pages += e.len / PAGE;
		return 0;
	}
	ret = flush_last(pd);
	pagemap_entry__init(&pd->last);
	pd->last.vaddr = start;
	pd->last.has_nr_pages = pd->last.has_flags = true;
	pd->last.nr_pages = e.len / PAGE;
	pd->last.flags = flags;
	pd->have_last = true;
	return ret;
}

/* Cut a region along the mappings; those that hold nothing of the task drop out. */
static int add_region(struct page_dump *pd, uint64_t start, uint64_t end)
{
	const struct mm *mm = pd->dt->task->mm;
	size_t i;
	int ret;

	while (pd->vma < mm->vmas.n && mm->vmas.at[pd->vma].msg->end <= start)
		pd->vma++;
	for (i = pd->vma; i < mm->vmas.n && mm->vmas.at[i].msg->start < end; i++) {
		const struct vma *vma = &mm->vmas.at[i];
		uint64_t a = start > vma->msg->start ? start : vma->msg->start;
		uint64_t b = end < vma->msg->end ? end : vma->msg->end;

		if (!pd->dt->vmas.at[i].private_anon || pd->dt->vmas.at[i].whole || a >= b)
			continue;
		ret = add_extent(pd, vma, a, b);
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
	MmEntry *m = pd->dt->task->mm->msg;
	VmaEntry *e = malloc(sizeof(*e));
	void *grown = realloc(m->vmas, (m->n_vmas + 1) * sizeof(*m->vmas));

	if (grown)
		m->vmas = grown;
	if (!e || !grown) {
		free(e);
		return fail(&pd->d->run->err, -ENOMEM, "task %d: keep its guard regions",
			    pd->dt->pid);
	}
	vma_entry__init(e);
	e->start = r->start;
	e->end = r->end;
	e->status = VMA_GUARD;
	e->fd = -1;
	m->vmas[m->n_vmas++] = e;
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
		progress_add(&pd->d->progress, bytes);
		left += left[n - 1].len ? n - 1 : n;
	}
	return ret;
}

static int move(struct page_dump *pd)
{
	uint64_t addr = 0;
	int ret;

	if (pd->d->progress.on)
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

static int scan(struct page_dump *pd, uint64_t start, uint64_t end, struct page_region *regions,
		uint64_t *walked)
{
	struct scan_query query = {
		.excluded = PAGE_IS_FILE | PAGE_IS_PFNZERO,
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

/* Everything the page tables show between two addresses. */
static int dump_range(struct page_dump *pd, uint64_t start, uint64_t end)
{
	struct page_region regions[REGIONS];
	uint64_t done = start;
	int n, i, ret = 0;

	while (!ret && start < end) {
		n = scan(pd, start, end, regions, &start);
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

static int dump_all(struct page_dump *pd)
{
	const struct mm *mm = pd->dt->task->mm;
	uint64_t start = 0;
	size_t i;
	int ret = 0;

	/* The vDSO is shared with the kernel in the page tables, yet belongs to the checkpoint. */
	for (i = 0; !ret && i < mm->vmas.n; i++) {
		const VmaEntry *e = mm->vmas.at[i].msg;

		if (e->status & VMA_VSYSCALL)
			break;
		if (pd->dt->vmas.at[i].whole) {
			ret = dump_range(pd, start, e->start);
			if (!ret)
				ret = add_extent(pd, &mm->vmas.at[i], e->start, e->end);
			start = e->end;
		}
	}
	if (!ret && i && mm->vmas.at[i - 1].msg->end > start)
		ret = dump_range(pd, start, mm->vmas.at[i - 1].msg->end);
	return ret ? ret : move(pd);
}

static int dump_task_pages(struct dump *d, struct dump_task *dt)
{
	struct page_dump pd = {.d = d, .dt = dt, .pagemap = -1, .mem = -1, .pages = -1};
	int ret, closed;

	ret = open_proc(&pd, "pagemap", &pd.pagemap);
	if (!ret)
		ret = page_images_create(d, IMG_PAGEMAP, dt->pid, dt->pages_id, &pd.map, &pd.pages);
	if (!ret)
		ret = dump_all(&pd);
	if (!ret)
		ret = flush_last(&pd);
	closed = image_close(pd.map);
	if (!ret)
		ret = closed;
	d->stats.pages_written += pd.at / PAGE;
	vec_free(&pd.extents);
	cleanup_close(&pd.pagemap);
	cleanup_close(&pd.mem);
	cleanup_close(&pd.pages);
	return ret;
}

static int dump_nth(void *context, size_t i)
{
	struct dump *d = context;
	struct dump_task *dt = dump_of(d->cp->tasks.at[i]);

	return dt->tracees.n ? dump_task_pages(d, dt) : 0;
}

/* By two threads, each with its own error and counters; the numbers of images are given before. */
int dump_pages(struct dump *d)
{
	struct run second_run = *d->run;
	struct dump second = *d;
	struct task **t;
	int ret;

	vec_for_each (&d->cp->tasks, t)
		if (dump_of(*t)->tracees.n)
			dump_of(*t)->pages_id = ++d->last_pages_id;
	second.run = &second_run;
	second.stats.pages_written = 0;
	second.progress.on = false; /* one line is drawn, by one thread */
	ret = parallel_for(d->cp->tasks.n, dump_nth, d, &second);
	d->stats.pages_written += second.stats.pages_written;
	if (!d->run->err.code)
		d->run->err = second_run.err;
	return ret;
}
