// SPDX-License-Identifier: GPL-2.0-only
/* Probes: memory. */
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/memfd.h>
#include <linux/userfaultfd.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/probe.h"
#include "kernel/uapi.h"

#define PAGE		 4096UL
#define PM_SOFT_DIRTY	 (1ull << 55)
#define PM_PRESENT	 (1ull << 63)
#define PM_PFN		 ((1ull << 55) - 1)
#define CLEAR_SOFT_DIRTY "4"

static char *some_page(void)
{
	char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int probe_procmap_query(void)
{
	char id[64];
	struct procmap_query q = {
		.size = sizeof(q),
		.query_addr = (uintptr_t)probe_procmap_query,
		.build_id_size = sizeof(id),
		.build_id_addr = (uintptr_t)id,
	};
	int fd = open("/proc/self/maps", O_RDONLY);

	if (fd < 0 || ioctl(fd, PROCMAP_QUERY, &q))
		return -errno;
	return q.vma_start <= q.query_addr && q.query_addr < q.vma_end ? 0 : -EIO;
}

/* Scan one page; what it is goes to *ret_is. */
static int scan_page(const void *page, uint64_t flags, uint64_t want, uint64_t *ret_is)
{
	struct page_region region = {0};
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.flags = flags,
		.start = (uintptr_t)page,
		.end = (uintptr_t)page + PAGE,
		.vec = (uintptr_t)&region,
		.vec_len = 1,
		.category_anyof_mask = want,
		.return_mask = want,
	};
	int fd = open("/proc/self/pagemap", O_RDONLY), n;

	if (fd < 0)
		return -errno;
	n = ioctl(fd, PAGEMAP_SCAN, &arg);
	close(fd);
	if (n < 0)
		return -errno;
	*ret_is = n ? region.categories : 0;
	return 0;
}

int probe_pagemap_scan(void)
{
	char *page = some_page();
	uint64_t is;
	int r;

	if (!page)
		return -errno;
	*page = 1;
	r = scan_page(page, 0, PAGE_IS_PRESENT | PAGE_IS_SWAPPED, &is);
	return r ? r : is ? 0 : -EIO;
}

int probe_guard_pages(void)
{
	return probe_call(madvise(some_page(), PAGE, MADV_GUARD_INSTALL));
}

int probe_pagemap_scan_guard_pages(void)
{
	char *page = some_page();
	uint64_t is;
	int r;

	if (madvise(page, PAGE, MADV_GUARD_INSTALL))
		return -errno;
	r = scan_page(page, 0, PAGE_IS_GUARD, &is);
	return r ? r : is & PAGE_IS_GUARD ? 0 : -EIO;
}

int probe_secretmem(void)
{
	int fd = syscall(__NR_memfd_secret, 0);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, PAGE))
		return -errno;
	return mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -errno : 0;
}

int probe_memfd(void)
{
	return probe_call(memfd_create("probe", MFD_ALLOW_SEALING));
}

int probe_memfd_exec(void)
{
	return probe_call(memfd_create("probe", MFD_NOEXEC_SEAL));
}

int probe_memfd_hugetlb(void)
{
	return probe_call(memfd_create("probe", MFD_HUGETLB));
}

int probe_populate_write(void)
{
	return probe_call(madvise(some_page(), PAGE, MADV_POPULATE_WRITE));
}

static int pagemap_entry(const void *page, uint64_t *ret)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = pread(fd, ret, sizeof(*ret), (uintptr_t)page / PAGE * sizeof(*ret));
	close(fd);
	return n == sizeof(*ret) ? 0 : n < 0 ? -errno : -EIO;
}

int probe_mem_dirty_track(void)
{
	int fd = open("/proc/self/clear_refs", O_WRONLY), r;
	volatile char *page = some_page();
	uint64_t before, after;

	if (fd < 0 || !page)
		return -errno;
	*page = 1;
	if (write(fd, CLEAR_SOFT_DIRTY, 1) != 1)
		return -errno;
	r = pagemap_entry((void *)page, &before);
	*page = 2;
	if (!r)
		r = pagemap_entry((void *)page, &after);
	if (r)
		return r;
	return !(before & PM_SOFT_DIRTY) && after & PM_SOFT_DIRTY ? 0 : -EOPNOTSUPP;
}

/* Without the capability the kernel shows 0 for the number. */
int probe_pfn(void)
{
	char *page = some_page();
	uint64_t entry;
	int r;

	*page = 1;
	r = pagemap_entry(page, &entry);
	return r ? r : entry & PM_PRESENT && entry & PM_PFN ? 0 : -EPERM;
}

static int open_uffd(uint64_t features, int flags)
{
	struct uffdio_api api = {.api = UFFD_API, .features = features};
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC | flags);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api))
		return -errno;
	return fd;
}

int probe_uffd(void)
{
	int fd = open_uffd(0, UFFD_USER_MODE_ONLY);

	return fd < 0 ? fd : 0;
}

int probe_uffd_noncoop(void)
{
	int fd = open_uffd(UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP |
				   UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_EVENT_UNMAP,
			   0);

	return fd < 0 ? fd : 0;
}

/* Protect a page, see that it counts as unwritten, write, see that it counts as written. */
int probe_uffd_wp_async(void)
{
	int fd = open_uffd(UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED,
			   UFFD_USER_MODE_ONLY);
	volatile char *page = some_page();
	struct uffdio_register reg = {
		.range = {(uintptr_t)page, PAGE},
		.mode = UFFDIO_REGISTER_MODE_WP,
	};
	uint64_t is[3] = {0};
	int r;

	if (fd < 0)
		return fd;
	*page = 1;
	if (ioctl(fd, UFFDIO_REGISTER, &reg))
		return -errno;
	r = scan_page((void *)page, PM_SCAN_WP_MATCHING, PAGE_IS_WRITTEN, &is[0]);
	if (!r)
		r = scan_page((void *)page, 0, PAGE_IS_WRITTEN, &is[1]);
	*page = 2;
	if (!r)
		r = scan_page((void *)page, 0, PAGE_IS_WRITTEN, &is[2]);
	return r ? r : is[0] && !is[1] && is[2] ? 0 : -EIO;
}

int probe_mem_policy(void)
{
	int mode;

	return probe_call(syscall(__NR_get_mempolicy, &mode, NULL, 0, NULL, 0));
}

/* Move the ring and see whether the context goes with it. */
int probe_aio_remap(void)
{
	aio_context_t ctx = 0;
	unsigned long start, end;
	struct io_event event;
	char line[512];
	size_t size = 0;
	char *to;
	FILE *f;

	if (syscall(__NR_io_setup, 16, &ctx))
		return -errno;
	f = fopen("/proc/self/maps", "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx", &start, &end) == 2 && start == ctx)
			size = end - start;
	fclose(f);
	if (!size)
		return -ENOENT;
	to = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mremap((void *)ctx, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
		return -errno;
	return probe_call(syscall(__NR_io_getevents, (aio_context_t)to, 0, 1, &event, NULL));
}
