// SPDX-License-Identifier: GPL-2.0-only
/* Filling memory out of the pages images: populate, then read into many pieces at once. */
#include "plan/fill.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "plan/fds.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* What one preadv(2) takes: IOV_MAX pieces, and MAX_RW_COUNT bytes. */
#define BATCH_PIECES 1024
#define BATCH_BYTES  0x7ffff000ull

/* Below this, faults while reading are cheaper than a call that avoids them. */
#define POPULATE_MIN (16 * PAGE_BYTES)

struct filler {
	struct plan *p;
	struct plan_slot *slot;
	uint64_t base; /* added to the extents' start */
	struct iovec batch[BATCH_PIECES];
	unsigned int n;
	uint64_t bytes, offset, first;
	/* The pages image that is open. */
	struct operand fd;
	uint32_t pages_id, depth;
	bool open;
};

static void flush(struct filler *f)
{
	struct operand iov;

	if (!f->n)
		return;
	iov = plan_data(f->p, f->batch, f->n * sizeof(*f->batch));
	plan_call_expect(f->p, f->slot, "contents from %#lx on", f->first, __NR_preadv, f->bytes,
			 f->fd, iov, imm(f->n), imm(f->offset), imm(0));
	f->n = 0;
	f->bytes = 0;
}

static void use_pages_image(struct filler *f, const struct stored *e)
{
	char name[64];

	if (f->open && f->pages_id == e->pages_id && f->depth == e->depth)
		return;
	flush(f);
	if (f->open)
		plan_close(f->p, f->slot, f->fd);
	image_name(IMG_PAGES, e->pages_id, name, sizeof(name));
	f->fd = plan_call(f->p, f->slot, "pages image %ld", e->pages_id, __NR_openat,
			  imm(f->p->service_fd + e->depth), plan_string(f->p, name),
			  imm(O_RDONLY | O_CLOEXEC));
	f->pages_id = e->pages_id;
	f->depth = e->depth;
	f->open = true;
}

static void fill_piece(struct filler *f, uint64_t start, uint64_t len, uint64_t offset)
{
	struct iovec *last = f->n ? &f->batch[f->n - 1] : NULL;

	if (f->n && (f->offset + f->bytes != offset || f->bytes + len > BATCH_BYTES))
		flush(f);
	if (!f->n) {
		f->offset = offset;
		f->first = start;
		last = NULL;
	}
	if (last && (uint64_t)last->iov_base + last->iov_len == start) {
		last->iov_len += len;
	} else {
		if (f->n == BATCH_PIECES) {
			flush(f);
			f->offset = offset;
			f->first = start;
		}
		f->batch[f->n++] = (struct iovec){(void *)start, len};
	}
	f->bytes += len;
	f->p->bytes_filled += len;
}

static void fill_extent(struct filler *f, const struct stored *e)
{
	uint64_t done, len;

	use_pages_image(f, e);
	for (done = 0; done < e->len; done += len) {
		len = e->len - done;
		if (len > BATCH_BYTES)
			len = BATCH_BYTES;
		fill_piece(f, f->base + e->start + done, len, e->offset + done);
	}
}

static void finish_filling(struct filler *f)
{
	flush(f);
	if (f->open)
		plan_close(f->p, f->slot, f->fd);
}

static void populate_piece(struct plan *p, struct plan_slot *slot, uint64_t start, uint64_t len)
{
	if (len >= POPULATE_MIN)
		plan_call(p, slot, "populate before filling", start, __NR_madvise, imm(start),
			  imm(len), imm(MADV_POPULATE_WRITE));
}

static int fill(struct plan *p, struct plan_slot *slot, uint64_t base, const stored_vec *extents,
		bool populate)
{
	struct filler *f = calloc(1, sizeof(*f));
	struct stored *e;

	if (!f)
		return fail(&p->run->err, -ENOMEM, "restore plan");
	f->p = p;
	f->slot = slot;
	f->base = base;
	vec_for_each (extents, e) {
		if (populate)
			populate_piece(p, slot, base + e->start, e->len);
		fill_extent(f, e);
	}
	finish_filling(f);
	free(f);
	return 0;
}

int plan_fill(struct plan *p, struct plan_slot *slot, uint64_t base, const stored_vec *extents)
{
	return fill(p, slot, base, extents, true);
}

int plan_fill_file(struct plan *p, struct plan_slot *slot, enum image_id maps, uint32_t id,
		   uint64_t size, struct operand fd, bool populate)
{
	uint64_t at = plan_scratch(p), len = (size + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
	stored_vec extents = {0};
	char name[64];
	int ret = pagemap_load(p->run, &p->chain, maps, id, true, &extents);

	if (!ret && extents.n &&
	    extents.at[extents.n - 1].start + extents.at[extents.n - 1].len > len) {
		image_name(maps, id, name, sizeof(name));
		ret = fail_text(&p->run->err, -EBADMSG,
				"image %s: contents beyond the %lu bytes of the file", name, size);
	}
	if (!ret && extents.n) {
		plan_call_expect(p, slot, "map it at %#lx", at, __NR_mmap, at, imm(at), imm(len),
				 imm(PROT_READ | PROT_WRITE), imm(MAP_SHARED | MAP_FIXED_NOREPLACE),
				 fd, imm(0));
		ret = fill(p, slot, at, &extents, populate);
		plan_call(p, slot, "unmap %#lx", at, __NR_munmap, imm(at), imm(len));
	}
	vec_free(&extents);
	return ret;
}
