// SPDX-License-Identifier: GPL-2.0-only
#include "mem/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#define CHUNK	 (1024 * 1024UL)
#define THREADS	 2
#define PARALLEL (4 * CHUNK) /* below, starting a thread costs more than it gives */
#define IOVS	 256

struct pump {
	pid_t pid;
	int mem, fd;
	const struct extent *extents;
	unsigned int n;
	uint64_t start, end; /* of the file */
	uint64_t next;	     /* next chunk to take; atomic */
	int error;	     /* first failure; atomic */
	uint64_t error_addr;
};

static void failed(struct pump *p, int code, uint64_t addr)
{
	int none = 0;

	if (__atomic_compare_exchange_n(&p->error, &none, code, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		p->error_addr = addr;
}

/* The extent that holds offset @at of the file. */
static unsigned int extent_at(const struct pump *p, uint64_t at)
{
	unsigned int lo = 0, hi = p->n;

	while (hi - lo > 1) {
		unsigned int mid = (lo + hi) / 2;

		if (p->extents[mid].at <= at)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

static int read_forced(struct pump *p, uint64_t addr, uint8_t *buf, uint64_t len)
{
	ssize_t n;

	while (len) {
		n = pread(p->mem, buf, len, addr);
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		addr += n;
		buf += n;
		len -= n;
	}
	return 0;
}

/* One process_vm_readv() of what was gathered. A short count means a page could not be read. */
static int read_vector(struct pump *p, uint8_t *buf, struct iovec *iov, int n, uint64_t len)
{
	struct iovec local = {buf, len};
	ssize_t got;

	if (!n)
		return 0;
	got = process_vm_readv(p->pid, &local, 1, iov, n, 0);
	if (got < 0)
		return -errno;
	return (uint64_t)got == len ? 0 : -EFAULT;
}

/* Fill @buf with bytes [at, end) of the file to be. */
static int read_chunk(struct pump *p, uint8_t *buf, uint64_t at, uint64_t end)
{
	unsigned int i = extent_at(p, at);
	struct iovec iov[IOVS];
	uint64_t gathered = 0, first = p->extents[i].addr;
	int n = 0, ret = 0;

	for (; at < end; i++) {
		const struct extent *e = &p->extents[i];
		uint64_t skip = at - e->at, len = e->len - skip;

		if (len > end - at)
			len = end - at;
		if (e->forced || n == IOVS) {
			ret = read_vector(p, buf, iov, n, gathered);
			buf += gathered;
			gathered = n = 0;
		}
		if (!ret && e->forced) {
			ret = read_forced(p, e->addr + skip, buf, len);
			buf += len;
		} else if (!ret) {
			iov[n++] = (struct iovec){(void *)(e->addr + skip), len};
			gathered += len;
		}
		if (ret)
			break;
		at += len;
	}
	if (!ret)
		ret = read_vector(p, buf, iov, n, gathered);
	if (ret)
		failed(p, ret, first);
	return ret;
}

static int write_chunk(struct pump *p, const uint8_t *buf, uint64_t at, uint64_t len)
{
	ssize_t n;

	while (len) {
		n = pwrite(p->fd, buf, len, at);
		if (n <= 0) {
			failed(p, n < 0 ? -errno : -EIO, 0);
			return -1;
		}
		buf += n;
		at += n;
		len -= n;
	}
	return 0;
}

static void *work(void *arg)
{
	struct pump *p = arg;
	uint8_t *buf;
	uint64_t at, end;
	uint64_t room = p->end - p->start < CHUNK ? p->end - p->start : CHUNK;

	buf = malloc(room);
	if (!buf) {
		failed(p, -ENOMEM, 0);
		return NULL;
	}
	while (!__atomic_load_n(&p->error, __ATOMIC_ACQUIRE)) {
		at = __atomic_fetch_add(&p->next, CHUNK, __ATOMIC_ACQ_REL);
		if (at >= p->end)
			break;
		end = at + CHUNK < p->end ? at + CHUNK : p->end;
		if (read_chunk(p, buf, at, end) || write_chunk(p, buf, at, end - at))
			break;
	}
	free(buf);
	return NULL;
}

/*
 * Writers of one file take turns, so what counts is how long each write takes. ext4 looks for
 * every new block in what is delayed, reserves it and notes the delay; in blocks that the file
 * has already a write takes a fifth less. No memory is given out for them, as on tmpfs. A hint:
 * where there is no room the write says so.
 */
static void reserve(const struct pump *p)
{
	struct statfs st;

	if (!fstatfs(p->fd, &st) && st.f_type == EXT4_SUPER_MAGIC)
		(void)!fallocate(p->fd, FALLOC_FL_KEEP_SIZE, p->start, p->end - p->start);
}

int pump_pages(pid_t pid, int mem, const struct extent *extents, unsigned int n, int fd,
	       uint64_t *at_addr)
{
	struct pump p = {.pid = pid, .mem = mem, .fd = fd, .extents = extents, .n = n};
	pthread_t helper;
	bool helped = false;

	if (!n)
		return 0;
	p.start = p.next = extents[0].at;
	p.end = extents[n - 1].at + extents[n - 1].len;
	if (p.end - p.start >= PARALLEL) {
		reserve(&p);
		helped = !pthread_create(&helper, NULL, work, &p);
	}
	work(&p);
	if (helped)
		pthread_join(helper, NULL);
	*at_addr = p.error_addr;
	return p.error;
}
