// SPDX-License-Identifier: GPL-2.0-only
/* Checksums of files, as checksum.h has them computed by threads. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/crc32c.h"
#include "lib/tap.h"
#include "resource/checksum.h"

#define MIB    (1u << 20)
#define LARGE  (5 * MIB + 777)
#define SHORT  5000
#define ROUNDS 100

static uint8_t *some_bytes(size_t len)
{
	uint8_t *p = malloc(len);
	size_t i;

	if (!p)
		abort();
	for (i = 0; i < len; i++)
		p[i] = i * 2654435761u >> 13;
	return p;
}

/* By definition, from memory. */
static uint32_t expected(const uint8_t *p, size_t size, enum checksum_extent extent, uint32_t n)
{
	static struct crc32c c; /* big */
	size_t i;

	crc32c_start(&c, false);
	if (extent != CHECKSUM_PERIOD)
		crc32c_add(&c, p, extent == CHECKSUM_FIRST && n < size ? n : size);
	for (i = 0; extent == CHECKSUM_PERIOD && i < size; i += n)
		crc32c_add(&c, p + i, 1);
	return crc32c_value(&c);
}

static int computed(int fd, enum checksum_extent extent, uint32_t n, uint32_t *ret)
{
	struct checksums *s = checksums_new();
	struct checksum *c;
	struct stat st;
	int code = -1;

	if (s && !fstat(fd, &st)) {
		c = checksum_want(s, fd, &st, extent, n);
		if (c)
			code = checksum_wait(s, c, ret);
	}
	checksums_free(s);
	return code;
}

static int file_of(const char *folder, const uint8_t *data, size_t size)
{
	int fd = folder ? open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)
			: memfd_create("checksum", MFD_CLOEXEC);

	if (fd >= 0 && (pwrite(fd, data, size, 0) != (ssize_t)size || fsync(fd))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void sizes(struct tap *t, const char *folder, const uint8_t *data)
{
	static const size_t lengths[] = {1,	  4095,	       131072,	131073,
					 2 * MIB, 2 * MIB + 1, 4 * MIB, LARGE};
	static const uint32_t numbers[] = {1,	 2,	7,	1000,	     4096,
					   4097, 50000, 131072, 2 * MIB + 5, LARGE};
	uint32_t want, got;
	size_t i, k;
	int extent, fd, code, bad = 0;

	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		fd = file_of(folder, data, lengths[i]);
		for (extent = CHECKSUM_FULL; extent <= CHECKSUM_PERIOD; extent++) {
			for (k = 0; k < sizeof(numbers) / sizeof(numbers[0]); k++) {
				want = expected(data, lengths[i], extent, numbers[k]);
				code = computed(fd, extent, numbers[k], &got);
				if (!code && got == want)
					continue;
				bad++;
				tap_note("size %zu, extent %d, N %u: %08x (%d), want %08x",
					 lengths[i], extent, numbers[k], got, code, want);
			}
		}
		close(fd);
	}
	tap_result(t, !bad, "sizes, extents and numbers: %s",
		   folder ? "a file in the working folder" : "a file in memory");
}

/* Looking at the holes of a file in memory would fill them. */
static void holes(struct tap *t)
{
	int fd = memfd_create("holes", MFD_CLOEXEC);
	uint8_t *data = calloc(1, LARGE);
	struct stat before, after;
	uint32_t got = 0;
	int code = -1;

	if (!data || ftruncate(fd, LARGE) || pwrite(fd, "data", 4, 3 * MIB) != 4)
		abort();
	memcpy(data + 3 * MIB, "data", 4);
	if (!fstat(fd, &before))
		code = computed(fd, CHECKSUM_FULL, 0, &got);
	tap_result(t, !code && got == expected(data, LARGE, CHECKSUM_FULL, 0), "a file with holes");
	tap_result(t, !fstat(fd, &after) && after.st_blocks == before.st_blocks,
		   "its holes stay holes");
	free(data);
	close(fd);
}

struct cutting {
	int fd;
	const uint8_t *data;
	atomic_bool end;
	atomic_uint rounds;
};

static void *cut(void *arg)
{
	struct cutting *c = arg;

	while (!c->end) {
		if (ftruncate(c->fd, SHORT) ||
		    pwrite(c->fd, c->data + SHORT, LARGE - SHORT, SHORT) < 0)
			abort();
		c->rounds++;
	}
	return NULL;
}

/* A bus error in our own mapping of it must not end the program. */
static void cut_off(struct tap *t, const uint8_t *data)
{
	struct cutting c = {.fd = file_of(NULL, data, LARGE), .data = data};
	unsigned int i, whole = 0;
	pthread_t thread;
	uint32_t got;

	if (pthread_create(&thread, NULL, cut, &c))
		abort();
	for (i = 0; i < ROUNDS || c.rounds < ROUNDS; i++)
		whole += !computed(c.fd, i % 2 ? CHECKSUM_PERIOD : CHECKSUM_FULL, 3, &got) &&
			 got == expected(data, LARGE, i % 2 ? CHECKSUM_PERIOD : CHECKSUM_FULL, 3);
	c.end = true;
	pthread_join(thread, NULL);
	tap_note("%u times cut off, %u of %u checksums of the whole file", c.rounds, whole, i);
	tap_result(t, true, "a file that is cut off while it is read");
	tap_result(t,
		   !computed(c.fd, CHECKSUM_FULL, 0, &got) &&
			   got == expected(data, LARGE, CHECKSUM_FULL, 0),
		   "and afterwards");
	close(c.fd);
}

int main(void)
{
	uint8_t *data = some_bytes(LARGE);
	struct tap t = {};

	puts("TAP version 13");
	sizes(&t, NULL, data);
	sizes(&t, ".", data);
	holes(&t);
	cut_off(&t, data);
	free(data);
	return tap_end(&t);
}
