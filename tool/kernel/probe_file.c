// SPDX-License-Identifier: GPL-2.0-only
/* Probes: files and mounts. */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/kcmp.h>
#include <linux/openat2.h>
#include <linux/sockios.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "kernel/probe.h"
#include "kernel/uapi.h"

#ifndef MOVE_MOUNT_SET_GROUP
#define MOVE_MOUNT_SET_GROUP 0x00000100
#endif
#define MOVE_MOUNT_EMPTY_BOTH	0x44 /* F_EMPTY_PATH | T_EMPTY_PATH */
#define STATX_MNT_ID_UNIQUE_BIT 0x4000U
#define STATMOUNT_MNT_BASIC_BIT 2
#define TICKS_IOC		_IOW('T', 0, uint64_t)

/* The first mapping of a file: by its range, then by its name in map_files. */
int probe_map_files(void)
{
	char line[512], link[96], to[512];
	unsigned long start, end;
	FILE *f = fopen("/proc/self/maps", "re");
	ssize_t n = -1;

	if (!f)
		return -errno;
	errno = ENOENT;
	while (n < 0 && fgets(line, sizeof(line), f)) {
		if (!strchr(line, '/') || sscanf(line, "%lx-%lx", &start, &end) != 2)
			continue;
		snprintf(link, sizeof(link), "/proc/self/map_files/%lx-%lx", start, end);
		n = readlink(link, to, sizeof(to));
		if (n < 0)
			break;
	}
	n = n < 0 ? -errno : 0;
	fclose(f);
	return n;
}

int probe_mnt_id(void)
{
	return probe_fdinfo(open("/", O_RDONLY), "mnt_id:");
}

int probe_statmount(void)
{
	struct mnt_id_req req = {.size = MNT_ID_REQ_SIZE_VER0, .param = STATMOUNT_MNT_BASIC_BIT};
	uint64_t buf[128];
	struct statx stx;

	if (statx(AT_FDCWD, "/", 0, STATX_MNT_ID_UNIQUE_BIT, &stx))
		return -errno;
	if (!(stx.stx_mask & STATX_MNT_ID_UNIQUE_BIT))
		return -EOPNOTSUPP;
	/* stx_mnt_id, at its place in every version of the structure. */
	memcpy(&req.mnt_id, (char *)&stx + 0x90, sizeof(req.mnt_id));
	return probe_call(syscall(__NR_statmount, &req, buf, sizeof(buf), 0));
}

int probe_mntns_ioctl(void)
{
	uint64_t id;

	return probe_call(ioctl(open("/proc/self/ns/mnt", O_RDONLY), NS_GET_MNTNS_ID, &id));
}

int probe_openat2(void)
{
	struct open_how how = {.flags = O_PATH, .resolve = RESOLVE_IN_ROOT};

	return probe_call(syscall(__NR_openat2, AT_FDCWD, "/", &how, sizeof(how)));
}

/* A mount namespace of one's own with an empty tmpfs where /proc was. */
static int empty_mount(void)
{
	int r = probe_be_root();

	if (r)
		return r;
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -errno;
	return probe_call(mount("probe", "/proc", "tmpfs", 0, NULL));
}

int probe_move_mount_set_group(void)
{
	int from, to, r = empty_mount();

	if (r)
		return r;
	if (mount("none", "/proc", NULL, MS_SHARED, NULL))
		return -errno;
	from = open("/proc", O_PATH);
	if (mount("/proc", "/proc", NULL, MS_BIND, NULL) ||
	    mount("none", "/proc", NULL, MS_PRIVATE, NULL))
		return -errno;
	to = open("/proc", O_PATH);
	return probe_call(syscall(__NR_move_mount, from, "", to, "",
				  MOVE_MOUNT_SET_GROUP | MOVE_MOUNT_EMPTY_BOTH));
}

/* Does the map of a file on overlayfs name the overlay's device? */
int probe_overlayfs_maps(void)
{
	int maps = open("/proc/self/maps", O_RDONLY), fd, r = empty_mount();
	static char text[65536];
	unsigned long at;
	unsigned int major, minor;
	struct stat st;
	size_t n = 0;
	ssize_t got;
	char *p, *line;

	if (r)
		return r;
	if (mkdir("/proc/l", 0700) || mkdir("/proc/u", 0700) || mkdir("/proc/w", 0700) ||
	    mkdir("/proc/m", 0700))
		return -errno;
	close(open("/proc/l/f", O_CREAT | O_WRONLY, 0600));
	if (mount("probe", "/proc/m", "overlay", 0,
		  "lowerdir=/proc/l,upperdir=/proc/u,workdir=/proc/w"))
		return errno == ENODEV ? -ENODEV : -errno;
	fd = open("/proc/m/f", O_RDONLY);
	p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	if (fd < 0 || fstat(fd, &st) || p == MAP_FAILED)
		return -errno;
	while (n < sizeof(text) - 1 && (got = read(maps, text + n, sizeof(text) - 1 - n)) > 0)
		n += got;
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (sscanf(line, "%lx-%*x %*s %*x %x:%x", &at, &major, &minor) == 3 &&
		    at == (uintptr_t)p)
			return makedev(major, minor) == st.st_dev ? 0 : -EOPNOTSUPP;
	return -ENOENT;
}

int probe_autofs(void)
{
	int ends[2], proc = open("/proc", O_DIRECTORY), mounts, r = empty_mount();
	static char text[65536];
	char options[128];
	size_t n = 0;
	ssize_t got;

	if (r)
		return r;
	if (pipe(ends))
		return -errno;
	snprintf(options, sizeof(options), "fd=%d,pgrp=%d,minproto=5,maxproto=5,direct", ends[1],
		 getpgrp());
	if (mount("probe", "/proc", "autofs", 0, options))
		return -errno;
	mounts = openat(proc, "self/mountinfo", O_RDONLY);
	while (n < sizeof(text) - 1 && (got = read(mounts, text + n, sizeof(text) - 1 - n)) > 0)
		n += got;
	return strstr(text, "pipe_ino=") ? 0 : -EOPNOTSUPP;
}

int probe_fdinfo_lock(void)
{
	int fd = memfd_create("probe", 0);

	if (fd < 0 || flock(fd, LOCK_EX))
		return -errno;
	return probe_fdinfo(fd, "lock:");
}

int probe_kcmp_epoll(void)
{
	struct kcmp_epoll_slot slot;
	struct epoll_event event = {.events = EPOLLIN};
	int ep = epoll_create1(0), ends[2];
	long r;

	if (ep < 0 || pipe(ends) || epoll_ctl(ep, EPOLL_CTL_ADD, ends[0], &event))
		return -errno;
	slot = (struct kcmp_epoll_slot){.efd = ep, .tfd = ends[0]};
	r = syscall(__NR_kcmp, getpid(), getpid(), KCMP_EPOLL_TFD, ends[0], &slot);
	return r < 0 ? -errno : r ? -EIO : 0;
}

int probe_timerfd(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, 0), r;
	uint64_t ticks = 3;

	if (fd < 0)
		return -errno;
	r = probe_fdinfo(fd, "ticks:");
	return r ? r : probe_call(ioctl(fd, TICKS_IOC, &ticks));
}

int probe_fd_reopen(void)
{
	char path[40];
	int ends[2];

	if (pipe(ends))
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[0]);
	return probe_call(open(path, O_RDWR));
}

int probe_tun(void)
{
	int fd = open("/dev/net/tun", O_RDWR);
	unsigned int features;

	return fd < 0 ? -errno : probe_call(ioctl(fd, TUNGETFEATURES, &features));
}

int probe_tun_ns(void)
{
	int fd = open("/dev/net/tun", O_RDWR);

	return fd < 0 ? -errno : probe_call(ioctl(fd, SIOCGSKNS));
}
