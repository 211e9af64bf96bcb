/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Helpers for the tests of PAGE_IS_COW, identities and KCMP_COW.
 *
 * A sharer is a forked process that does what it is told with its copy of the memory: write, read,
 * stay, go.
 */
#ifndef SELFTESTS_COW_H
#define SELFTESTS_COW_H

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pm_scan_cow.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef CAP_CHECKPOINT_RESTORE
#define CAP_CHECKPOINT_RESTORE 40
#endif

#define HELPER	  static __attribute__((unused))
#define PAGE	  4096UL
#define HUGE_SIZE (2UL << 20)
#define MAX_PAGES 4096
#define SWAP_DISK "/dev/ram0"

/* Three features of one series, one patch after the other */
#define SKIP_NO_COW  "the kernel has no PAGE_IS_COW (EINVAL)"
#define SKIP_NO_IDS  "the kernel has no identities of COW pages (EINVAL, E2BIG)"
#define SKIP_NO_KCMP "the kernel has no KCMP_COW (EINVAL)"

/* What a scan returned, one entry for each page of the range */
struct scan {
	long n_regions;
	uint64_t walk_end;
	uint64_t categories[MAX_PAGES];
	uint64_t ids[MAX_PAGES]; /* 0 where there is none */
	struct page_region regions[MAX_PAGES];
	uint64_t raw_ids[MAX_PAGES];
};

enum job { JOB_WRITE, JOB_READ, JOB_DROP, JOB_MOVE, JOB_EXIT };

struct order {
	enum job job;
	void *addr, *to;
	size_t size;
};

struct sharer {
	pid_t pid;
	int sock, pagemap;
};

HELPER int open_pagemap(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

HELPER void *map_anon(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p != MAP_FAILED)
		madvise(p, size, MADV_NOHUGEPAGE);
	return p == MAP_FAILED ? NULL : p;
}

/* A mapping that starts at a huge page's boundary */
HELPER void *map_aligned(size_t size)
{
	char *p = mmap(NULL, size + HUGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	char *start;

	if (p == MAP_FAILED)
		return NULL;
	start = (char *)(((uintptr_t)p + HUGE_SIZE - 1) & ~(HUGE_SIZE - 1));
	if (start > p)
		munmap(p, start - p);
	munmap(start + size, p + HUGE_SIZE - start);
	return start;
}

HELPER void write_pages(void *addr, size_t size)
{
	for (size_t i = 0; i < size; i += PAGE)
		(*(volatile uint64_t *)((char *)addr + i))++;
}

HELPER void read_pages(void *addr, size_t size)
{
	for (size_t i = 0; i < size; i += PAGE)
		(void)*(volatile uint64_t *)((char *)addr + i);
}

HELPER void sharer_main(int sock)
{
	struct order order;
	char done = 0;

	while (read(sock, &order, sizeof(order)) == sizeof(order)) {
		switch (order.job) {
		case JOB_WRITE:
			write_pages(order.addr, order.size);
			break;
		case JOB_READ:
			read_pages(order.addr, order.size);
			break;
		case JOB_DROP:
			madvise(order.addr, order.size, MADV_DONTNEED);
			break;
		case JOB_MOVE:
			mremap(order.addr, order.size, order.size, MREMAP_MAYMOVE | MREMAP_FIXED,
			       order.to);
			break;
		case JOB_EXIT:
			_exit(0);
		}
		if (write(sock, &done, 1) != 1)
			break;
	}
	_exit(0);
}

/* Fork a process that shares all of the caller's private memory. */
HELPER int sharer_start(struct sharer *s)
{
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv))
		return -errno;
	s->pid = fork();
	if (s->pid < 0)
		return -errno;
	if (!s->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(sv[0]);
		sharer_main(sv[1]);
	}
	close(sv[1]);
	s->sock = sv[0];
	s->pagemap = open_pagemap(s->pid);
	return s->pagemap < 0 ? -errno : 0;
}

HELPER bool sharer_do(struct sharer *s, enum job job, void *addr, size_t size, void *to)
{
	struct order order = {.job = job, .addr = addr, .to = to, .size = size};
	char done;

	return write(s->sock, &order, sizeof(order)) == sizeof(order) &&
	       read(s->sock, &done, 1) == 1;
}

HELPER void sharer_stop(struct sharer *s)
{
	if (s->pid <= 0)
		return;
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	close(s->sock);
	close(s->pagemap);
	s->pid = 0;
}

HELPER struct pm_scan_arg_v1 scan_arg(void *addr, size_t size, struct scan *scan, uint64_t mask)
{
	return (struct pm_scan_arg_v1){
		.size = sizeof(struct pm_scan_arg_v1),
		.start = (uintptr_t)addr,
		.end = (uintptr_t)addr + size,
		.vec = (uintptr_t)scan->regions,
		.vec_len = MAX_PAGES,
		.category_mask = mask,
		.return_mask = PAGE_IS_COW | PAGE_IS_PRESENT | PAGE_IS_SWAPPED | PAGE_IS_HUGE |
			       PAGE_IS_FILE | PAGE_IS_PFNZERO,
	};
}

/* Run a scan, and lay out by pages what it returned. Returns the number of regions or a negative
 * errno. */
HELPER long run_scan(int pagemap, struct pm_scan_arg_v1 *arg, struct scan *scan)
{
	uint64_t *id = scan->raw_ids;

	memset(scan->categories, 0, sizeof(scan->categories));
	memset(scan->ids, 0, sizeof(scan->ids));
	scan->n_regions = ioctl(pagemap, PAGEMAP_SCAN_SIZED(arg->size), arg);
	if (scan->n_regions < 0)
		return -errno;
	scan->walk_end = arg->walk_end;

	for (long i = 0; i < scan->n_regions; i++) {
		struct page_region *r = &scan->regions[i];

		for (uint64_t a = r->start; a < r->end; a += PAGE) {
			size_t page = (a - arg->start) / PAGE;

			if (a < arg->start || page >= MAX_PAGES)
				return -ERANGE;
			scan->categories[page] = r->categories;
			if (arg->cow_ids && (r->categories & PAGE_IS_COW))
				scan->ids[page] = *id++;
		}
	}
	return scan->n_regions;
}

/* All pages of a range that has any of the categories */
HELPER long scan_pages(int pagemap, void *addr, size_t size, struct scan *scan)
{
	struct pm_scan_arg_v1 arg = scan_arg(addr, size, scan, 0);

	arg.size = PM_SCAN_ARG_SIZE_VER0;
	return run_scan(pagemap, &arg, scan);
}

HELPER long scan_ids(int pagemap, void *addr, size_t size, struct scan *scan)
{
	struct pm_scan_arg_v1 arg = scan_arg(addr, size, scan, PAGE_IS_COW);

	arg.cow_ids = (uintptr_t)scan->raw_ids;
	arg.cow_ids_len = MAX_PAGES;
	return run_scan(pagemap, &arg, scan);
}

HELPER bool have_cow(void)
{
	struct pm_scan_arg_v1 arg = {.size = PM_SCAN_ARG_SIZE_VER0, .category_mask = PAGE_IS_COW};
	int fd = open_pagemap(getpid());
	bool have = ioctl(fd, PAGEMAP_SCAN_V0, &arg) == 0;

	close(fd);
	return have;
}

HELPER bool have_cow_ids(void)
{
	uint64_t id;
	struct page_region region;
	struct pm_scan_arg_v1 arg = {
		.size = PM_SCAN_ARG_SIZE_VER1,
		.vec = (uintptr_t)&region,
		.vec_len = 1,
		.category_mask = PAGE_IS_COW,
		.return_mask = PAGE_IS_COW,
		.cow_ids = (uintptr_t)&id,
		.cow_ids_len = 1,
	};
	int fd = open_pagemap(getpid());
	bool have = ioctl(fd, PAGEMAP_SCAN_V1, &arg) == 0 || errno == EPERM;

	close(fd);
	return have;
}

HELPER bool have_kcmp_cow(void)
{
	uint64_t here = 0;

	return syscall(SYS_kcmp, getpid(), getpid(), KCMP_TYPE_COW, &here, &here) >= 0 ||
	       errno != EINVAL;
}

HELPER size_t count_pages(const struct scan *scan, size_t n, uint64_t category)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		found += !!(scan->categories[i] & category);
	return found;
}

/* The judge: page frame number of a present page from pagemap, for root; 0 if there is none */
HELPER uint64_t page_frame(int pagemap, void *addr)
{
	uint64_t entry = 0;

	if (pread(pagemap, &entry, sizeof(entry), (uintptr_t)addr / PAGE * sizeof(entry)) !=
	    sizeof(entry))
		return 0;
	return entry >> 63 ? entry & ((1ULL << 55) - 1) : 0;
}

HELPER long write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	close(fd);
	return n < 0 ? -errno : 0;
}

HELPER long read_number(const char *path)
{
	char text[64] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(fd);
	return atol(text);
}

/* Swap on a RAM disk, as a machine for tests has none. Returns NULL or why there isn't any. */
HELPER const char *swap_start(void)
{
	if (geteuid())
		return "root only: needs swap";
	if (access(SWAP_DISK, R_OK | W_OK))
		return "no " SWAP_DISK " (CONFIG_BLK_DEV_RAM) to swap to";
	if (system("mkswap " SWAP_DISK " >/dev/null 2>&1"))
		return "mkswap " SWAP_DISK " failed";
	if (swapon(SWAP_DISK, 0) && errno != EBUSY)
		return "swapon " SWAP_DISK " failed";
	return NULL;
}

HELPER void swap_stop(void)
{
	swapoff(SWAP_DISK);
}

/* Write out pages that nobody shares; the kernel leaves shared ones alone. */
HELPER bool swap_out(int pagemap, void *addr, size_t size, struct scan *scan)
{
	for (int tries = 0; tries < 50; tries++) {
		madvise(addr, size, MADV_PAGEOUT);
		if (scan_pages(pagemap, addr, size, scan) < 0)
			return false;
		if (count_pages(scan, size / PAGE, PAGE_IS_SWAPPED) == size / PAGE)
			return true;
	}
	return false;
}

HELPER void drop_capabilities(uint64_t keep)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {};

	data[0].effective = data[0].permitted = (uint32_t)keep;
	data[1].effective = data[1].permitted = (uint32_t)(keep >> 32);
	syscall(SYS_capset, &header, data);
}

/* Run a function in a process of its own; its value (0 to 127) is its exit status. */
HELPER int in_child(int (*fn)(void *), void *arg)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -1;
	if (!pid)
		_exit(fn(arg));
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

#endif
