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

/* Extents that follow one another are given as one. */
static int give(struct extent_walk *w, uint64_t *start, uint64_t *end, uint64_t off, uint64_t len)
{
	int ret = 0;

	if (off > w->size)
		off = w->size;
	if (len > w->size - off)
		len = w->size - off;
	if (len && off == *end) {
		*end += len;
		return 0;
	}
	if (*end > *start)
		ret = w->f(w, *start, *end - *start);
	*start = off;
	*end = off + len;
	return ret;
}

int extents_by_fiemap(struct extent_walk *w, bool *failed)
{
	_cleanup_free_ struct fiemap *map = NULL;
	uint64_t start = 0, end = 0, at = 0;
	bool last = false;
	uint32_t i;
	int ret = 0;

	map = malloc(sizeof(*map) + BATCH * sizeof(map->fm_extents[0]));
	if (!map) {
		errno = ENOMEM;
		return failure(failed);
	}
	while (!ret && !last && at < w->size) {
		memset(map, 0, sizeof(*map));
		map->fm_start = at;
		map->fm_length = w->size - at;
		map->fm_extent_count = BATCH;
		/* Data that was not written out may lie in extents that count as unwritten. */
		map->fm_flags = at ? 0 : FIEMAP_FLAG_SYNC;
		if (ioctl(w->fd, FS_IOC_FIEMAP, map))
			return errno == ENOTTY ? -EOPNOTSUPP : failure(failed);
		if (!map->fm_mapped_extents)
			break;
		for (i = 0; !ret && i < map->fm_mapped_extents; i++) {
			const struct fiemap_extent *e = &map->fm_extents[i];

			last = e->fe_flags & FIEMAP_EXTENT_LAST;
			at = e->fe_logical + e->fe_length;
			if (!(e->fe_flags & FIEMAP_EXTENT_UNWRITTEN))
				ret = give(w, &start, &end, e->fe_logical, e->fe_length);
		}
	}
	return ret ? ret : give(w, &start, &end, w->size, 0);
}

int extents_by_seek(struct extent_walk *w, bool *failed)
{
	off_t data, hole = 0;
	int ret = 0;

	while (!ret && (uint64_t)hole < w->size) {
		data = lseek(w->fd, hole, SEEK_DATA);
		if (data < 0)
			return errno == ENXIO ? 0 : failure(failed);
		hole = lseek(w->fd, data, SEEK_HOLE);
		if (hole < 0)
			return failure(failed);
		ret = w->f(w, data, hole - data);
	}
	return ret;
}

bool has_holes(int fd, uint64_t size)
{
	off_t hole = size ? lseek(fd, 0, SEEK_HOLE) : -1;

	return hole >= 0 && (uint64_t)hole < size;
}
