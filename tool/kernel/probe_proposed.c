// SPDX-License-Identifier: GPL-2.0-only
/* Probes: the interfaces that kernel-patches/ proposes. */
#include <asm/prctl.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/probe.h"
#include "kernel/uapi.h"

#define PAGE 4096UL

/* Faulting is put on and taken off again before anything here can ask CPUID. */
int probe_cpuid_faulting(void)
{
	int r = probe_call(syscall(__NR_arch_prctl, ARCH_SET_CPUID, 0UL));

	if (!r)
		syscall(__NR_arch_prctl, ARCH_SET_CPUID, 1UL);
	return r;
}

/* Entering the session that one is in already changes nothing. */
int probe_attach_session(void)
{
	pid_t pid;
	int r = probe_child(NULL, &pid), fd;

	if (r)
		return r;
	fd = syscall(__NR_pidfd_open, pid, 0);
	return fd < 0 ? -errno : probe_call(ioctl(fd, PIDFD_ATTACH_SESSION, 0));
}

int probe_early_pidns(void)
{
	int r = probe_be_root();

	if (r)
		return r;
	if (unshare(CLONE_NEWPID))
		return -errno;
	return probe_call(open("/proc/self/ns/pid_for_children", O_RDONLY));
}

/* A page that a child shares, as struct pm_scan_arg_v1, of which @size bytes are given. */
static int scan_shared(size_t size, uint64_t *ret_id, void **ret_page)
{
	struct page_region region = {0};
	struct pm_scan_arg_v1 arg = {
		.size = size,
		.vec = (uintptr_t)&region,
		.vec_len = 1,
		.category_mask = PAGE_IS_COW,
		.return_mask = PAGE_IS_COW,
	};
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open("/proc/self/pagemap", O_RDONLY), n, r;
	pid_t pid;

	if (page == MAP_FAILED || fd < 0)
		return -errno;
	*page = 1;
	r = probe_child(NULL, &pid);
	if (r)
		return r;
	arg.start = (uintptr_t)page;
	arg.end = arg.start + PAGE;
	if (ret_id) {
		arg.cow_ids = (uintptr_t)ret_id;
		arg.cow_ids_len = 1;
	}
	*ret_page = page;
	n = ioctl(fd, PAGEMAP_SCAN_SIZED(size), &arg);
	return n < 0 ? -errno : n == 1 && region.categories & PAGE_IS_COW ? 0 : -EIO;
}

int probe_cow_scan(void)
{
	void *page;

	return scan_shared(PM_SCAN_ARG_SIZE_VER0, NULL, &page);
}

int probe_cow_ids(void)
{
	uint64_t id = 0;
	void *page;
	int r = scan_shared(PM_SCAN_ARG_SIZE_VER1, &id, &page);

	return r ? r : id ? 0 : -EIO;
}

int probe_kcmp_cow(void)
{
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid;
	long r;

	if (page == MAP_FAILED)
		return -errno;
	*page = 1;
	r = probe_child(NULL, &pid);
	if (r)
		return r;
	r = syscall(__NR_kcmp, getpid(), pid, KCMP_TYPE_COW, page, page);
	return r < 0 ? -errno : r ? -EIO : 0;
}

/* Only asks how many rows there are. EINVAL: unknown; ENODEV: known, but not to this CPU. */
int probe_cpuid_override(void)
{
	struct arch_cpuid_override arg = {.size = ARCH_CPUID_OVERRIDE_SIZE_VER0};

	return probe_call(syscall(__NR_arch_prctl, ARCH_GET_CPUID_OVERRIDE, &arg));
}
