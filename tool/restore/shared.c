// SPDX-License-Identifier: GPL-2.0-only
/*
 * Anonymous shared memory. The first task that maps an object makes it and
 * fills it; others take a descriptor of it, which the first opens through
 * /proc/self/map_files, so that the object is of the same kind as it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>

#include "resource/memfd.h"
#include "resource/sysv.h"
#include "restore/memory.h"

struct object {
	uint64_t shmid, size;
	unsigned int n_mappings;
	struct plan_slot *maker;
	struct operand fd; /* in the maker */
	struct operand ready, taken;
	unsigned int n_takes;
	bool opened; /* fd, ready and taken are set */
};

struct objects {
	VEC(struct object) list; /* ascending by shmid */
};

void objects_free(struct objects *o)
{
	if (o)
		vec_free(&o->list);
	free(o);
}

static struct object *find(struct objects *o, uint64_t shmid)
{
	size_t lo = 0, hi = o->list.n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (o->list.at[mid].shmid == shmid)
			return &o->list.at[mid];
		if (o->list.at[mid].shmid < shmid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	const struct object *x = a, *y = b;

	return (x->shmid > y->shmid) - (x->shmid < y->shmid);
}

static int add_use(struct plan *p, const VmaEntry *v)
{
	struct object *o = vec_add(&p->objects->list);

	if (!o)
		return fail(&p->run->err, -ENOMEM, "restore plan");
	o->shmid = v->shmid;
	o->size = v->pgoff + (v->end - v->start);
	o->n_mappings = 1;
	return 0;
}

/* Several uses of one object become one, as large as the largest. */
static void merge(struct objects *o)
{
	size_t i, n = 0;

	if (!o->list.n)
		return;
	vec_sort(&o->list, compare);
	for (i = 1; i < o->list.n; i++) {
		struct object *last = &o->list.at[n], *next = &o->list.at[i];

		if (last->shmid == next->shmid) {
			last->n_mappings++;
			if (next->size > last->size)
				last->size = next->size;
		} else {
			o->list.at[++n] = *next;
		}
	}
	o->list.n = n + 1;
}

static void need_scratch(struct plan *p, uint64_t size)
{
	size = (size + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
	if (size > p->scratch_room)
		p->scratch_room = size;
}

int plan_objects(struct plan *p)
{
	struct file **f;
	struct object *o;
	struct vma *vma;
	struct mm **mm;
	int ret;

	p->objects = calloc(1, sizeof(*p->objects));
	if (!p->objects)
		return fail(&p->run->err, -ENOMEM, "restore plan");
	vec_for_each (&p->cp->mms, mm)
		vec_for_each (&(*mm)->vmas, vma) {
			if (vma->msg->status & VMA_SYSV)
				need_scratch(p, sysv_size(p->cp, vma->msg->shmid));
			if (!(vma->msg->status & VMA_ANON_SHARED) || vma->msg->status & VMA_SYSV)
				continue;
			ret = add_use(p, vma->msg);
			if (ret)
				return ret;
		}
	merge(p->objects);
	vec_for_each (&p->objects->list, o)
		need_scratch(p, o->size);
	vec_for_each (&p->cp->files, f) {
		if ((*f)->msg->type == FD_TYPES__MEMFD)
			need_scratch(p, memfd_size(*f));
		else if ((*f)->msg->type == FD_TYPES__MEMFD_SECRET)
			need_scratch(p, secretmem_size(*f));
	}
	return 0;
}

static int fill(struct plan *p, struct plan_slot *slot, struct object *o, uint64_t base)
{
	stored_vec extents = {0};
	struct stored *last;
	int ret = pagemap_load(p->run, &p->chain, IMG_SHMEM_PAGEMAP, o->shmid, true, &extents);

	if (!ret && extents.n) {
		last = &extents.at[extents.n - 1];
		if (last->start + last->len > o->size)
			ret = fail_text(&p->run->err, -EBADMSG,
					"image pagemap-shmem-%" PRIu64
					".img: contents beyond the object's end at %#" PRIx64,
					o->shmid, o->size);
	}
	if (!ret)
		ret = plan_fill(p, slot, base, &extents);
	vec_free(&extents);
	return ret;
}

static void open_object(struct plan *p, struct plan_slot *slot, struct object *o, uint64_t at)
{
	char path[96];

	snprintf(path, sizeof(path), "/proc/self/map_files/%" PRIx64 "-%" PRIx64, at, at + o->size);
	o->fd = plan_call(p, slot, "descriptor of shared memory %ld", o->shmid, __NR_openat,
			  imm(AT_FDCWD), plan_string(p, path), imm(O_RDWR | O_CLOEXEC));
	o->ready = plan_word(p);
	o->taken = plan_word(p);
	o->opened = true;
	plan_signal(p, slot, o->ready, 1);
}

static void map_part(struct plan *p, struct plan_slot *slot, const VmaEntry *v, int prot,
		     struct operand fd)
{
	plan_call_expect(p, slot, "shared mapping at %#lx", v->start, __NR_mmap, v->start,
			 imm(v->start), imm(v->end - v->start), imm(prot),
			 imm(MAP_SHARED | MAP_FIXED_NOREPLACE | (v->flags & MAP_NORESERVE)), fd,
			 imm(v->pgoff));
}

/* The first mapping of @o is made by @slot: where it belongs if it is whole, else in the hole. */
static int make_object(struct plan *p, struct plan_slot *slot, const VmaEntry *v, int prot,
		       struct object *o)
{
	bool whole = !v->pgoff && v->end - v->start == o->size;
	uint64_t at = whole ? v->start : plan_scratch(p);
	int ret;

	o->maker = slot;
	o->size = (o->size + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
	plan_call_expect(p, slot, "make shared memory %ld", o->shmid, __NR_mmap, at, imm(at),
			 imm(o->size), imm(PROT_READ | PROT_WRITE),
			 imm(MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE |
			     (v->flags & (MAP_NORESERVE | MAP_HUGETLB | 0x3fu << 26))),
			 imm(-1), imm(0));
	ret = fill(p, slot, o, at);
	if (ret)
		return ret;
	if (!whole || o->n_mappings > 1)
		open_object(p, slot, o, at);
	if (!whole) {
		map_part(p, slot, v, prot, o->fd);
		plan_call(p, slot, "scratch mapping of shared memory %ld", o->shmid, __NR_munmap,
			  imm(at), imm(o->size));
	} else if (prot != (PROT_READ | PROT_WRITE)) {
		plan_call(p, slot, "protection at %#lx", v->start, __NR_mprotect, imm(at),
			  imm(o->size), imm(prot));
	}
	return 0;
}

int plan_map_object(struct plan *p, struct plan_slot *slot, const VmaEntry *v, int prot)
{
	struct object *o = find(p->objects, v->shmid);
	struct operand fd;

	if (!o->maker)
		return make_object(p, slot, v, prot, o);
	if (o->maker == slot) {
		map_part(p, slot, v, prot, o->fd);
		return 0;
	}
	plan_await(p, slot, o->ready, 1, "wait for shared memory %ld", o->shmid);
	fd = plan_take(p, slot, o->maker, o->fd, "take shared memory %ld", o->shmid);
	map_part(p, slot, v, prot, fd);
	plan_close(p, slot, fd);
	plan_signal(p, slot, o->taken, 1);
	o->n_takes++;
	return 0;
}

void plan_objects_done(struct plan *p)
{
	struct object *o;

	vec_for_each (&p->objects->list, o) {
		if (!o->opened)
			continue;
		o->maker->phase = PHASE_THREADS;
		if (o->n_takes)
			plan_await(p, o->maker, o->taken, o->n_takes,
				   "wait until all have shared memory %ld", o->shmid);
		plan_close(p, o->maker, o->fd);
	}
}
