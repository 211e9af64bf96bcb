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
#define PAGE	  4096UL /* no_cow() refuses others */
#define HUGE_SIZE (2UL << 20)
#define MAX_PAGES 4096
#define SWAP_DISK "/dev/ram0"
/* Where a swap header begins with its version, and where it has its label and its signature */
#define SWAP_LABEL	  "ksft-cow"
#define SWAP_LABEL_OFFSET 1052
#define SWAP_MAGIC	  "SWAPSPACE2"
#define SWAP_MAGIC_OFFSET (PAGE - 10)

/* Three features of one series, one patch after the other */
#define SKIP_NO_COW  "the kernel has no PAGE_IS_COW (EINVAL)"
#define SKIP_NO_IDS  "the kernel has no identities of COW pages (EINVAL, E2BIG)"
#define SKIP_NO_KCMP "the kernel has no KCMP_COW (EINVAL)"

/* And what one may have or not */
#define SKIP_NO_RIGHT \
	"identities are for CAP_CHECKPOINT_RESTORE in the initial user namespace (EPERM)"
#define SKIP_NO_FRAMES "page frame numbers are for CAP_SYS_ADMIN in the initial user namespace"

#define SENTINEL 0x5e5e5e5e5e5e5e5eULL /* no identity, or one in 2^64 times */

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

/* As the argument was before it could ask for identities, which a kernel may not have. */
HELPER struct pm_scan_arg_v1 scan_arg_v0(void *addr, size_t size, struct scan *scan, uint64_t mask)
{
	struct pm_scan_arg_v1 arg = scan_arg(addr, size, scan, mask);

	arg.size = PM_SCAN_ARG_SIZE_VER0;
	return arg;
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
	struct pm_scan_arg_v1 arg = scan_arg_v0(addr, size, scan, 0);

	return run_scan(pagemap, &arg, scan);
}

HELPER long scan_ids(int pagemap, void *addr, size_t size, struct scan *scan)
{
	struct pm_scan_arg_v1 arg = scan_arg(addr, size, scan, PAGE_IS_COW);

	arg.cow_ids = (uintptr_t)scan->raw_ids;
	arg.cow_ids_len = MAX_PAGES;
	return run_scan(pagemap, &arg, scan);
}

/* Run a scan of no pages, to see what the kernel says about the argument. */
HELPER int probe_scan(struct pm_scan_arg_v1 *arg)
{
	int fd = open_pagemap(getpid());
	int err;

	if (fd < 0)
		return ENOENT;
	err = ioctl(fd, PAGEMAP_SCAN_SIZED(arg->size), arg) < 0 ? errno : 0;
	close(fd);
	return err;
}

/* The functions that follow return NULL, or why a test can't be run here. */
HELPER const char *no_pagemap(void)
{
	if (sysconf(_SC_PAGESIZE) != PAGE)
		return "the tests are made for pages of 4096 bytes";
	if (access("/proc/self/pagemap", F_OK))
		return "no /proc/self/pagemap (CONFIG_PROC_PAGE_MONITOR)";
	return NULL;
}

HELPER const char *no_cow(void)
{
	struct pm_scan_arg_v1 arg = {.size = PM_SCAN_ARG_SIZE_VER0, .category_mask = PAGE_IS_COW};
	const char *why = no_pagemap();

	if (why)
		return why;
	return probe_scan(&arg) ? SKIP_NO_COW : NULL;
}

HELPER int probe_cow_ids(void)
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

	return probe_scan(&arg);
}

HELPER const char *no_cow_ids(void)
{
	const char *why = no_cow();
	int err = why ? 0 : probe_cow_ids();

	if (why)
		return why;
	return err && err != EPERM ? SKIP_NO_IDS : NULL;
}

/* User 0 of a user namespace is not who may. */
HELPER bool may_have_ids(void)
{
	return probe_cow_ids() == 0;
}

/* The kernel can do without pagemap, but not the tests, which look at the memory of processes
 * first. */
HELPER const char *no_kcmp_cow(void)
{
	const char *why = no_pagemap();
	uint64_t here = 0;

	if (why)
		return why;
	if (syscall(SYS_kcmp, getpid(), getpid(), KCMP_TYPE_COW, &here, &here) >= 0)
		return NULL;
	switch (errno) {
	case ENOSYS:
		return "the kernel has no kcmp (CONFIG_KCMP)";
	case EPERM:
		/* One may always compare with oneself. */
		return "kcmp is not allowed here (EPERM; a seccomp filter?)";
	case EINVAL:
		return SKIP_NO_KCMP;
	default:
		return NULL; /* the tests will say what is wrong */
	}
}

HELPER size_t count_pages(const struct scan *scan, size_t n, uint64_t category)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		found += !!(scan->categories[i] & category);
	return found;
}

HELPER bool get_huge(int pagemap, char *p, size_t size, struct scan *scan)
{
	madvise(p, size, MADV_HUGEPAGE);
	write_pages(p, size);
	madvise(p, size, MADV_COLLAPSE);
	return scan_pages(pagemap, p, size, scan) >= 0 &&
	       count_pages(scan, size / PAGE, PAGE_IS_HUGE) == size / PAGE;
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

/* What a test has changed in the system, for the teardown to put back */
struct changes {
	struct {
		const char *path;
		char old[32];
	} files[4];
	int n_files;
	bool swap;
};

/* Write a number to a file of settings, once it is known how to put back what was there. */
HELPER long change_setting(struct changes *c, const char *path, long value)
{
	char text[32];
	long old = read_number(path);
	int i;

	if (old < 0)
		return old;
	for (i = 0; i < c->n_files && strcmp(c->files[i].path, path); i++)
		;
	snprintf(text, sizeof(text), "%ld", value);
	if (i == (int)(sizeof(c->files) / sizeof(c->files[0])))
		return -ENOSPC;
	if (i == c->n_files) {
		c->files[i].path = path;
		snprintf(c->files[i].old, sizeof(c->files[i].old), "%ld", old);
		c->n_files++;
	}
	return write_file(path, text);
}

/* Add to the pages that hugetlb has; whether that was possible shows when they are mapped. */
HELPER void more_huge_pages(struct changes *c, long n)
{
	const char *path = "/proc/sys/vm/nr_hugepages";

	change_setting(c, path, read_number(path) + n);
}

/* Is the disk nobody's: empty, or what an earlier test has left? */
HELPER const char *swap_disk_in_use(void)
{
	static const char zeroes[PAGE];
	char buf[PAGE];
	int fd = open(SWAP_DISK, O_RDONLY | O_EXCL | O_CLOEXEC);
	bool ours = false, empty = true;

	if (fd < 0)
		return SWAP_DISK " is in use";
	for (int i = 0; i < 256 && read(fd, buf, PAGE) == (ssize_t)PAGE; i++) {
		empty &= !memcmp(buf, zeroes, PAGE);
		if (i == 0)
			ours = !memcmp(buf + SWAP_MAGIC_OFFSET, SWAP_MAGIC, strlen(SWAP_MAGIC)) &&
			       !strncmp(buf + SWAP_LABEL_OFFSET, SWAP_LABEL, 16);
	}
	close(fd);
	return ours || empty ? NULL : SWAP_DISK " holds data of somebody else";
}

/* Swap on a RAM disk, as a machine for tests has none. Returns NULL or why there isn't any. */
HELPER const char *swap_start(struct changes *c)
{
	const char *why;

	if (geteuid())
		return "root only: needs swap";
	if (access(SWAP_DISK, R_OK | W_OK))
		return "no " SWAP_DISK " (CONFIG_BLK_DEV_RAM) to swap to";
	why = swap_disk_in_use();
	if (why)
		return why;
	if (system("mkswap -L " SWAP_LABEL " " SWAP_DISK " >/dev/null 2>&1"))
		return "mkswap " SWAP_DISK " failed";
	if (swapon(SWAP_DISK, 0))
		return "swapon " SWAP_DISK " failed";
	c->swap = true;
	return NULL;
}

HELPER void undo_changes(struct changes *c)
{
	if (c->swap)
		swapoff(SWAP_DISK);
	c->swap = false;
	while (c->n_files) {
		c->n_files--;
		write_file(c->files[c->n_files].path, c->files[c->n_files].old);
	}
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

HELPER uint64_t permitted_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {};

	syscall(SYS_capget, &header, data);
	return (uint64_t)data[1].permitted << 32 | data[0].permitted;
}

/* Drop all but those, as far as the process has them. */
HELPER void drop_capabilities(uint64_t keep)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {};

	keep &= permitted_capabilities();
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
