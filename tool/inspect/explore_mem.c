// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "image/image.h"
#include "inspect/explore.h"
#include "lib/run.h"
#include "model/check.h"

/* Bits of vma_entry.status, beside those of model/check.h. */
#define VMA_REGULAR (1u << 0)
#define VMA_STACK   (1u << 1)
#define VMA_VDSO    (1u << 3)
#define VMA_SHARED  (1u << 8)
#define VMA_SYSV    (1u << 10)
#define VMA_SOCKET  (1u << 11)

#define PAGE_SHIFT 12

/* Shared objects are numbered in the order in which they are met. */
struct numbers {
	VEC(uint64_t) ids;
};

static size_t number_of(struct numbers *n, uint64_t id)
{
	for (size_t i = 0; i < n->ids.n; i++)
		if (n->ids.at[i] == id)
			return i + 1;
	if (vec_push(&n->ids, id))
		return 0;
	return n->ids.n;
}

struct shared_numbers {
	struct numbers sysv, memory, packet;
};

static void print_name(FILE *out, const struct vma *v, struct shared_numbers *n)
{
	const VmaEntry *e = v->msg;

	if (e->status & VMA_SYSV) {
		fprintf(out, " ips[%zu]", number_of(&n->sysv, e->shmid));
	} else if (e->status & VMA_SHARED) {
		fprintf(out, " shmem[%zu]", number_of(&n->memory, e->shmid));
	} else if (e->status & (VMA_FILE_PRIVATE | VMA_FILE_SHARED)) {
		fputc(' ', out);
		explore_file(out, v->file);
		if (e->pgoff)
			fprintf(out, " + %#" PRIx64, e->pgoff);
		if (e->status & VMA_FILE_SHARED)
			fputs(" (s)", out);
	} else if (e->status & VMA_SOCKET) {
		fprintf(out, " packet[%zu]", number_of(&n->packet, e->shmid));
	} else if (e->status & VMA_STACK) {
		fputs(" [stack]", out);
	} else if (e->status & VMA_VSYSCALL) {
		fputs(" [vsyscall]", out);
	} else if (e->status & VMA_VDSO) {
		fputs(" [vdso]", out);
	} else if (e->flags & 0x100) { /* MAP_GROWSDOWN */
		fputs(" [stack?]", out);
	}
	if (!(e->status & VMA_REGULAR))
		fputs(" *", out);
}

static void print_vma(FILE *out, const struct vma *v, struct shared_numbers *n)
{
	const VmaEntry *e = v->msg;
	char range[64];

	snprintf(range, sizeof(range), "%08" PRIx64 "-%08" PRIx64, e->start, e->end);
	fprintf(out, "\t%-36s%c%c%c", range, e->prot & 1 ? 'r' : '-', e->prot & 2 ? 'w' : '-',
		e->prot & 4 ? 'x' : '-');
	print_name(out, v, n);
	fputc('\n', out);
}

int explore_mems(struct run *run, const struct checkpoint *cp, FILE *out)
{
	struct shared_numbers numbers = {};
	struct task **t;
	struct vma *v;

	vec_for_each (&cp->tasks, t) {
		if (!(*t)->mm)
			continue;
		fprintf(out, "%u\n\t%-36s    ", (*t)->msg->pid, "exe");
		explore_file(out, (*t)->mm->exe);
		fputc('\n', out);
		vec_for_each (&(*t)->mm->vmas, v)
			print_vma(out, v, &numbers);
	}
	vec_free(&numbers.sysv.ids);
	vec_free(&numbers.memory.ids);
	vec_free(&numbers.packet.ids);
	return 0;
}

/* Where the walk over a task's mappings stands. */
struct walk {
	const struct mm *mm;
	size_t at;    /* the first mapping that may hold the next pages */
	size_t shown; /* 1 + the last one printed */
};

static void print_held(FILE *out, const struct vma *v)
{
	const VmaEntry *e = v->msg;

	fprintf(out, " %08" PRIx64 " / %-8" PRIu64, e->start, (e->end - e->start) >> PAGE_SHIFT);
	if (e->status & (VMA_FILE_PRIVATE | VMA_FILE_SHARED)) {
		fputc(' ', out);
		explore_file(out, v->file);
	}
}

/* A run of pages in the images, and beside it the mappings that it is in. */
static void print_pages(FILE *out, struct walk *w, const PagemapEntry *e)
{
	const uint64_t n = e->has_nr_pages ? e->nr_pages : e->compat_nr_pages;
	const uint64_t end = n > (UINT64_MAX - e->vaddr) >> PAGE_SHIFT
				     ? UINT64_MAX
				     : e->vaddr + (n << PAGE_SHIFT);
	const struct vma *v = w->mm->vmas.at;
	char range[64];

	snprintf(range, sizeof(range), "%" PRIx64 " / %-8" PRIu64, e->vaddr, n);
	fprintf(out, "\t%-23s", range);
	while (w->at < w->mm->vmas.n && v[w->at].msg->end <= e->vaddr)
		w->at++;
	for (size_t i = w->at; i < w->mm->vmas.n && v[i].msg->start < end; i++) {
		if (w->shown == i + 1)
			fputs(" ~", out);
		else
			print_held(out, &v[i]);
		w->shown = i + 1;
		fprintf(out, "\n\t%23s", "");
	}
	fputc('\n', out);
}

static int print_pagemap(struct run *run, const struct task *t, FILE *out)
{
	struct walk w = {.mm = t->mm};
	struct image_reader *r;
	ProtobufCMessage *msg;
	int ret = image_open(run->images_dirfd, IMG_PAGEMAP, task_pid(t->mm->owner), false,
			     &run->err, &r);

	if (ret)
		return ret;
	while ((ret = image_read(r, &msg)) == 1) {
		if (msg->descriptor == &pagemap_entry__descriptor)
			print_pages(out, &w, (const PagemapEntry *)msg);
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	image_reader_free(r);
	return ret;
}

int explore_rss(struct run *run, const struct checkpoint *cp, FILE *out)
{
	struct task **t;
	int ret;

	vec_for_each (&cp->tasks, t) {
		if (!(*t)->mm)
			continue;
		fprintf(out, "%u\n", (*t)->msg->pid);
		ret = print_pagemap(run, *t, out);
		if (ret)
			return ret;
	}
	return 0;
}
