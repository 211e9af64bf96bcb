// SPDX-License-Identifier: GPL-2.0-only
#include "resource/validate.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "kernel/uapi.h"
#include "lib/buildid.h"
#include "lib/cleanup.h"
#include "resource/checksum.h"
#include "resource/ghost.h"
#include "resource/reg.h"

/* How much is known of a file, the weakest first. */
enum strength { BY_SIZE, BY_BUILD_ID, BY_CHECKSUM };

struct mode {
	const char *name;
	enum strength strength;
	enum checksum_extent extent;
};

static const struct mode modes[] = {
	{"buildid", BY_BUILD_ID, 0}, /* what is done when nothing is said */
	{"filesize", BY_SIZE, 0},
	{"checksum", BY_CHECKSUM, CHECKSUM_FIRST},
	{"checksum-period", BY_CHECKSUM, CHECKSUM_PERIOD},
	{"checksum-full", BY_CHECKSUM, CHECKSUM_FULL},
};

static const struct mode *mode_of(const struct run *run)
{
	size_t i;

	for (i = 0; run->opt.file_validation && i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(run->opt.file_validation, modes[i].name))
			return &modes[i];
	return &modes[0];
}

/* Files that are made up as they are read have no contents that could stay the same. */
static bool is_made_up(int fd)
{
	static const uint32_t types[] = {PROC_SUPER_MAGIC, SYSFS_MAGIC,		DEBUGFS_MAGIC,
					 TRACEFS_MAGIC,	   SECURITYFS_MAGIC,	CGROUP_SUPER_MAGIC,
					 BPF_FS_MAGIC,	   CGROUP2_SUPER_MAGIC, SELINUX_MAGIC,
					 0x62656570 /* configfs */};
	struct statfs fs;
	size_t i;

	if (fstatfs(fd, &fs))
		return false;
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if ((uint32_t)fs.f_type == types[i])
			return true;
	return false;
}

/* Without leaving a trace in the times of the file, where that is allowed. */
static int open_quietly(const char *path)
{
	int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	int fd = open(path, flags | O_NOATIME);

	if (fd < 0 && errno == EPERM)
		fd = open(path, flags);
	return fd < 0 ? -errno : fd;
}

/* --- dump ------------------------------------------------------------------ */

/* Of a mapped file the kernel tells it (PROCMAP_QUERY, 6.11): up to 20 bytes long. */
static ssize_t ask_kernel(const struct fd_probe *p, uint8_t id[BUILD_ID_MAX])
{
	struct procmap_query q = {.size = sizeof(q),
				  .query_addr = p->addr,
				  .build_id_size = BUILD_ID_MAX,
				  .build_id_addr = (uintptr_t)id};
	_cleanup_close_ int fd = -1;
	char path[40];

	if (!p->addr)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/maps", p->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, PROCMAP_QUERY, &q) || q.inode != p->st.st_ino)
		return 0;
	return q.build_id_size;
}

static int keep_build_id(RegFileEntry *e, const uint8_t *id, size_t len)
{
	size_t words = (len + 3) / 4;

	e->build_id = calloc(words, sizeof(*e->build_id));
	if (!e->build_id)
		return -ENOMEM;
	e->n_build_id = words;
	memcpy(e->build_id, id, len);
	return 0;
}

static int record_build_id(struct collect *c, const struct fd_probe *p, RegFileEntry *e)
{
	uint8_t id[BUILD_ID_MAX] = {};
	_cleanup_close_ int fd = -1;
	ssize_t len = ask_kernel(p, id);
	char path[40];

	if (!len) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", p->local);
		fd = open_quietly(path);
		len = fd < 0 ? fd : build_id_read(fd, id);
	}
	if (len < 0)
		log_warn(&c->run->log, "File %s: only its size is recorded, it cannot be read: %s",
			 e->name, strerror(-len));
	if (len > 0 && keep_build_id(e, id, len))
		return fail(&c->run->err, -ENOMEM, "keep the build-ID of %s", e->name);
	return 0;
}

static struct checksums *checksums_of(struct run *run)
{
	if (!run->checksums)
		run->checksums = checksums_new();
	return run->checksums;
}

static int want_checksum(struct collect *c, const struct fd_probe *p, struct file *f,
			 enum checksum_extent extent)
{
	uint32_t n = c->run->opt.checksum_parameter;
	RegFileEntry *e = f->msg->reg;
	struct reg *r = reg_of(c->cp, f);
	_cleanup_close_ int fd = -1;
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", p->local);
	fd = open_quietly(path);
	if (fd < 0) {
		fail(&c->run->err, fd, "task %d: open %s to compute its checksum", p->pid, e->name);
		return fail_hint(&c->run->err, "use --file-validation buildid or filesize");
	}
	if (r && checksums_of(c->run))
		r->checksum = checksum_want(c->run->checksums, fd, &p->st, extent, n);
	if (!r || !r->checksum)
		return fail(&c->run->err, -ENOMEM, "checksum of %s", e->name);
	e->has_checksum_config = true;
	e->checksum_config = extent;
	e->has_checksum_parameter = extent != CHECKSUM_FULL;
	e->checksum_parameter = n;
	return 0;
}

int validation_record(struct collect *c, const struct fd_probe *p, struct file *f)
{
	const struct mode *m = mode_of(c->run);
	RegFileEntry *e = f->msg->reg;
	int ret;

	if (!S_ISREG(p->st.st_mode) || p->st.st_size == 0 || m->strength == BY_SIZE ||
	    is_made_up(p->local))
		return 0;
	ret = record_build_id(c, p, e);
	if (!ret && m->strength == BY_CHECKSUM)
		ret = want_checksum(c, p, f, m->extent);
	return ret;
}

int validation_save(struct collect *c)
{
	struct file **f;
	int ret;

	vec_for_each (&c->cp->files, f) {
		struct reg *r = (*f)->msg->type == FD_TYPES__REG ? (*f)->data : NULL;
		RegFileEntry *e = (*f)->msg->reg;

		if (!r || !r->checksum)
			continue;
		ret = checksum_wait(c->run->checksums, r->checksum, &e->checksum);
		if (ret) {
			fail(&c->run->err, ret, "read %s to compute its checksum", e->name);
			return fail_hint(&c->run->err, "use --file-validation buildid or filesize");
		}
		e->has_checksum = true;
	}
	return 0;
}

/* --- restore --------------------------------------------------------------- */

static bool by_checksum(const struct run *run)
{
	return !run->opt.file_validation || mode_of(run)->strength == BY_CHECKSUM;
}

static bool by_build_id(const struct run *run)
{
	return mode_of(run)->strength >= BY_BUILD_ID;
}

/* Any failure here comes again, with more to say, when the file is checked. */
static int start_checksum(struct run *run, struct checkpoint *cp, struct file *f)
{
	const RegFileEntry *e = f->msg->reg;
	struct reg *r;
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (stat(e->name, &st) || !S_ISREG(st.st_mode) ||
	    (e->has_size && e->size != (uint64_t)st.st_size))
		return 0;
	fd = open_quietly(e->name);
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return 0;
	r = reg_of(cp, f);
	if (r && checksums_of(run))
		r->checksum = checksum_want(run->checksums, fd, &st, e->checksum_config,
					    e->checksum_parameter);
	return r && r->checksum ? 0 : fail(&run->err, -ENOMEM, "checksum of %s", e->name);
}

static int check_extent(struct run *run, const RegFileEntry *e)
{
	if (e->checksum_config == CHECKSUM_FULL ||
	    ((e->checksum_config == CHECKSUM_FIRST || e->checksum_config == CHECKSUM_PERIOD) &&
	     e->checksum_parameter))
		return 0;
	fail_text(&run->err, -EOPNOTSUPP,
		  "file %s: its checksum is of unknown kind %u (parameter %u)", e->name,
		  e->checksum_config, e->checksum_parameter);
	return fail_hint(&run->err,
			 "to restore without looking at checksums: --file-validation buildid");
}

int validation_start(struct run *run, struct checkpoint *cp)
{
	size_t ids = 0, sums = 0, without = 0;
	struct file **f;
	int ret = 0;

	vec_for_each (&cp->files, f) {
		const RegFileEntry *e = (*f)->msg->type == FD_TYPES__REG ? (*f)->msg->reg : NULL;
		const struct reg *r = (*f)->data;

		if (ret || !e || (r && r->ghost) || (*f)->outside || e->ext)
			continue;
		without += e->size && !e->has_checksum;
		ids += e->n_build_id && !by_build_id(run);
		sums += e->has_checksum && !by_checksum(run);
		if (!e->has_checksum || !by_checksum(run))
			continue;
		ret = check_extent(run, e);
		if (!ret)
			ret = start_checksum(run, cp, *f);
	}
	if (ids || sums)
		log_warn(&run->log,
			 "Files are validated by --file-validation %s only: %zu recorded "
			 "checksums and %zu build-IDs are not looked at",
			 run->opt.file_validation, sums, ids);
	if (run->opt.file_validation && by_checksum(run) && without)
		log_warn(&run->log, "Of %zu files no checksum was recorded: what was is compared",
			 without);
	return ret;
}

static const char *hex(const void *id, size_t len, char buf[2 * BUILD_ID_MAX + 5])
{
	const uint8_t *p = id;
	size_t i;

	if (!len)
		return "none";
	strcpy(buf + 2 * (len < BUILD_ID_MAX ? len : BUILD_ID_MAX),
	       len > BUILD_ID_MAX ? "..." : "");
	for (i = 0; i < len && i < BUILD_ID_MAX; i++) {
		buf[2 * i] = "0123456789abcdef"[p[i] >> 4];
		buf[2 * i + 1] = "0123456789abcdef"[p[i] & 15];
	}
	return buf;
}

static int changed(struct run *run, const RegFileEntry *e)
{
	return fail_hint(&run->err,
			 "bring %s back as it was at the dump; if it really is as good as the "
			 "old one, --file-validation filesize restores with it",
			 e->name);
}

static int check_build_id(struct run *run, const RegFileEntry *e, int fd)
{
	char was[2 * BUILD_ID_MAX + 5], is[2 * BUILD_ID_MAX + 5];
	size_t kept = e->n_build_id * sizeof(*e->build_id);
	uint8_t id[BUILD_ID_MAX] = {};
	ssize_t len = build_id_read(fd, id);

	if (len < 0)
		return fail(&run->err, len, "read the build-ID of %s", e->name);
	if ((size_t)(len + 3) / 4 * 4 == kept && !memcmp(id, e->build_id, kept))
		return 0;
	fail_text(&run->err, -ESTALE, "file %s: its build-ID is %s, it was %s", e->name,
		  hex(id, len, is), hex(e->build_id, kept, was));
	return changed(run, e);
}

static int check_checksum(struct run *run, const struct file *f)
{
	const RegFileEntry *e = f->msg->reg;
	const struct reg *r = f->data;
	char of[64] = "its contents";
	uint32_t is = 0;
	int ret = -ENOENT;

	if (r && r->checksum)
		ret = checksum_wait(run->checksums, r->checksum, &is);
	if (ret)
		return fail(&run->err, ret, "read %s to compute its checksum", e->name);
	if (is == e->checksum)
		return 0;
	if (e->checksum_config == CHECKSUM_FIRST)
		snprintf(of, sizeof(of), "its first %u bytes", e->checksum_parameter);
	else if (e->checksum_config == CHECKSUM_PERIOD)
		snprintf(of, sizeof(of), "one byte in every %u", e->checksum_parameter);
	fail_text(&run->err, -ESTALE, "file %s: the checksum of %s is %08x, it was %08x", e->name,
		  of, is, e->checksum);
	return changed(run, e);
}

int validation_check(struct run *run, const struct file *f, const struct stat *st)
{
	const RegFileEntry *e = f->msg->reg;
	_cleanup_close_ int fd = -1;
	struct stat now;
	int ret = 0;

	if (!S_ISREG(st->st_mode))
		return 0;
	if (e->has_size && (uint64_t)st->st_size != e->size) {
		fail_text(&run->err, -ESTALE, "file %s: its size is %" PRIu64 ", it was %" PRIu64,
			  e->name, (uint64_t)st->st_size, e->size);
		return fail_hint(&run->err, "bring the file back as it was at the dump");
	}
	if (e->n_build_id && by_build_id(run)) {
		fd = open_quietly(e->name);
		if (fd < 0 || fstat(fd, &now))
			return fail(&run->err, fd < 0 ? fd : -errno, "open %s to read its build-ID",
				    e->name);
		ret = S_ISREG(now.st_mode) ? check_build_id(run, e, fd) : -ESTALE;
		if (ret)
			return fail(&run->err, ret, "file %s changes", e->name);
	}
	return e->has_checksum && by_checksum(run) ? check_checksum(run, f) : 0;
}
