// SPDX-License-Identifier: GPL-2.0-only
#include "resource/extents.h"

#include <errno.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/cleanup.h"

/* Extents a call: some 57 KiB of them. */
#define BATCH 1024

static int failure(bool *failed)
{
	*failed = true;
	return -errno;
}

/* A range that is put together out of extents that follow one another. */
struct range {
	uint64_t start, end;
};

/* @off and @len are within the file. */
static int give(struct extent_walk *w, struct range *r, uint64_t off, uint64_t len)
{
	int ret = 0;

	if (len && off == r->end) {
		r->end += len;
		return 0;
	}
	if (r->end > r->start)
		ret = w->f(w, r->start, r->end - r->start);
	r->start = off;
	r->end = off + len;
	return ret;
}

static int seek_between(struct extent_walk *w, struct range *r, off_t at, off_t end, bool *failed)
{
	off_t data, hole;
	int ret = 0;

	for (; !ret && at < end; at = hole) {
		data = lseek(w->fd, at, SEEK_DATA);
		if (data < 0)
			return errno == ENXIO ? 0 : failure(failed);
		if (data >= end)
			break;
		hole = lseek(w->fd, data, SEEK_HOLE);
		if (hole < 0)
			return failure(failed);
		ret = give(w, r, data, (hole < end ? hole : end) - data);
	}
	return ret;
}

static int give_extent(struct extent_walk *w, struct range *r, const struct fiemap_extent *e,
		       bool *failed)
{
	uint64_t off = e->fe_logical, len = e->fe_length;

	if (off > w->size)
		off = w->size;
	if (len > w->size - off)
		len = w->size - off;
	/*
	 * An extent counts as unwritten also while its data is only in memory.
	 * FIEMAP_FLAG_SYNC would have it written first: for minutes, if there is much of it.
	 */
	if (e->fe_flags & FIEMAP_EXTENT_UNWRITTEN)
		return seek_between(w, r, off, off + len, failed);
	return give(w, r, off, len);
}

int extents_by_fiemap(struct extent_walk *w, bool *failed)
{
	_cleanup_free_ struct fiemap *map =
		malloc(sizeof(*map) + BATCH * sizeof(map->fm_extents[0]));
	struct range r = {};
	bool last = false;
	uint64_t at = 0;
	int ret = 0;
	uint32_t i;

	if (!map) {
		errno = ENOMEM;
		return failure(failed);
	}
	while (!ret && !last && at < w->size) {
		memset(map, 0, sizeof(*map));
		map->fm_start = at;
		map->fm_length = w->size - at;
		map->fm_extent_count = BATCH;
		if (ioctl(w->fd, FS_IOC_FIEMAP, map))
			return !at && (errno == ENOTTY || errno == EOPNOTSUPP) ? -EOPNOTSUPP
									       : failure(failed);
		if (!map->fm_mapped_extents)
			break;
		for (i = 0; !ret && i < map->fm_mapped_extents; i++) {
			const struct fiemap_extent *e = &map->fm_extents[i];

			last = e->fe_flags & FIEMAP_EXTENT_LAST;
			at = e->fe_logical + e->fe_length;
			ret = give_extent(w, &r, e, failed);
		}
	}
	return ret ? ret : give(w, &r, w->size, 0);
}

int extents_by_seek(struct extent_walk *w, bool *failed)
{
	struct range r = {};
	int ret = seek_between(w, &r, 0, w->size, failed);

	return ret ? ret : give(w, &r, w->size, 0);
}

bool has_holes(int fd, uint64_t size)
{
	off_t hole = size ? lseek(fd, 0, SEEK_HOLE) : -1;

	return hole >= 0 && (uint64_t)hole < size;
}
