// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "lib/cleanup.h"
#include "monitor/monitor.h"
#include "monitor/place.h"

#define BPF_MOUNT "/sys/fs/bpf"

static bool is_bpf(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == BPF_FS_MAGIC;
}

static int mount_bpf(const char *parent, struct error *err)
{
	if (is_bpf(parent))
		return 0;
	if (strcmp(parent, BPF_MOUNT) != 0) {
		fail_text(err, -EINVAL, "%s: not on a BPF file system", parent);
		return fail_hint(err, "mount one there: mount -t bpf bpf %s", parent);
	}
	if (mount("bpf", BPF_MOUNT, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700")) {
		fail(err, -errno, "%s: mounting the BPF file system", BPF_MOUNT);
		return fail_hint(err, "the monitor needs CONFIG_BPF_SYSCALL and root");
	}
	return 0;
}

static void parent_of(const char *folder, char *buf, size_t size)
{
	char *slash;

	snprintf(buf, size, "%s", folder);
	slash = strrchr(buf, '/');
	if (slash && slash != buf)
		*slash = '\0';
}

/* Only root may be able to change what is pinned. */
static int check_folder(int fd, const char *folder, struct error *err)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(fd, &fs) || fs.f_type != BPF_FS_MAGIC)
		return fail_text(err, -EINVAL, "%s: not on a BPF file system", folder);
	if (fstat(fd, &st) || st.st_uid != 0 || st.st_mode & 077) {
		fail_text(err, -EPERM, "%s: not for root alone (owner %u, mode %03o)", folder,
			  st.st_uid, st.st_mode & 0777);
		return fail_hint(err,
				 "nobody but root may change what is pinned there: chown root, "
				 "chmod 700, or remove it");
	}
	return 0;
}

/* 1: the folder was removed between opening and locking. */
static int lock_folder(const char *folder, bool make, struct error *err, int *ret)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	if (make && mkdir(folder, 0700) && errno != EEXIST)
		return fail(err, -errno, "%s: making the folder", folder);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return make ? 1 : -ENOENT;
	if (fd < 0)
		return fail(err, -errno, "%s: opening the folder", folder);
	r = check_folder(fd, folder, err);
	if (r)
		return r;
	if (flock(fd, LOCK_EX))
		return fail(err, -errno, "%s: locking", folder);
	if (fstat(fd, &st) == 0 && st.st_nlink == 0)
		return 1;
	*ret = take_fd(&fd);
	return 0;
}

int place_open(struct place *p, const char *folder, bool make, struct error *err)
{
	char parent[PATH_MAX];
	int r;

	folder = folder ? folder : MONITOR_FOLDER;
	if (folder[0] != '/' || strlen(folder) >= sizeof(p->folder))
		return fail_text(err, -EINVAL, "%s: not an absolute path of fewer than %zu bytes",
				 folder, sizeof(p->folder));
	parent_of(folder, parent, sizeof(parent));
	if (make) {
		r = mount_bpf(parent, err);
		if (r)
			return r;
	}
	do {
		r = lock_folder(folder, make, err, &p->fd);
	} while (r == 1);
	if (!r)
		snprintf(p->folder, sizeof(p->folder), "%s", folder);
	return r;
}

void place_close(struct place *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

void place_path(const struct place *p, const char *part, const char *name, char *buf, size_t size)
{
	snprintf(buf, size, "%s/%s%s%s", p->folder, part, *name ? "/" : "", name);
}

bool place_has(const struct place *p, const char *part)
{
	struct stat st;

	return fstatat(p->fd, part, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

int place_begin(struct place *p, struct error *err)
{
	int r = place_drop(p, "new", err);

	if (r)
		return r;
	if (mkdirat(p->fd, "new", 0700))
		return fail(err, -errno, "%s/new: making the folder", p->folder);
	return 0;
}

int place_commit(struct place *p, struct error *err)
{
	if (renameat(p->fd, "new", p->fd, "monitor"))
		return fail(err, -errno, "%s/new: renaming to monitor", p->folder);
	return 0;
}

int place_drop(struct place *p, const char *part, struct error *err)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *e;
	int fd;

	fd = openat(p->fd, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return 0;
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return fail(err, -errno, "%s/%s: opening the folder", p->folder, part);
	while ((e = readdir(dir))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(dir), e->d_name, 0))
			return fail(err, -errno, "%s/%s/%s: removing", p->folder, part, e->d_name);
		rewinddir(dir);
	}
	if (unlinkat(p->fd, part, AT_REMOVEDIR))
		return fail(err, -errno, "%s/%s: removing", p->folder, part);
	return 0;
}

void place_remove(struct place *p)
{
	rmdir(p->folder);
}
