// SPDX-License-Identifier: GPL-2.0-only
/* Dump of files that no path leads to: ghosts (deleted) and remapped links. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "resource/collect.h"
#include "resource/kinds.h"

#define BLOCK 512 /* of st_blocks */
#define PIECE (256 * 1024)

static int add_remap(struct collect *c, uint32_t file, uint32_t target, RemapType type)
{
	RemapFilePathEntry *e = malloc(sizeof(*e));

	if (e)
		remap_file_path_entry__init(e);
	if (!e || vec_push(&c->remaps, e)) {
		free(e);
		return fail(&c->run->err, -ENOMEM, "keep a deleted file");
	}
	e->orig_id = file;
	e->remap_id = target;
	e->has_remap_type = true;
	e->remap_type = type;
	return 0;
}

/* --- contents ------------------------------------------------------------- */

static int copy(struct collect *c, struct image_writer *w, int fd, uint64_t at, uint64_t len)
{
	_cleanup_free_ char *buf = malloc(PIECE);
	int ret = 0;
	ssize_t n;

	if (!buf)
		return fail(&c->run->err, -ENOMEM, "copy a deleted file");
	for (; !ret && len; at += n, len -= n) {
		n = pread(fd, buf, len < PIECE ? len : PIECE, at);
		if (n <= 0)
			return fail(&c->run->err, n ? -errno : -EIO, "read a deleted file at %lu",
				    at);
		ret = image_write_raw(w, buf, n);
	}
	return ret;
}

/* Only what is there, found by the file system: time goes with data and extents, not with length.
 */
static int save_chunks(struct collect *c, struct image_writer *w, int fd, uint64_t size)
{
	GhostChunkEntry e = GHOST_CHUNK_ENTRY__INIT;
	off_t data, hole = 0;
	int ret = 0;

	while (!ret && (uint64_t)hole < size) {
		data = lseek(fd, hole, SEEK_DATA);
		if (data < 0)
			return errno == ENXIO
				       ? 0
				       : fail(&c->run->err, -errno, "find data of a deleted file");
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole < 0)
			return fail(&c->run->err, -errno, "find a hole of a deleted file");
		e.off = data;
		e.len = hole - data;
		ret = image_write(w, &e.base);
		if (!ret)
			ret = copy(c, w, fd, e.off, e.len);
	}
	return ret;
}

static int save_data(struct collect *c, const struct fd_probe *p, struct image_writer *w,
		     bool chunks)
{
	_cleanup_close_ int fd = -1;
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", p->local);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail(&c->run->err, -errno, "task %d: open deleted file %s for reading",
			    p->pid, p->link);
	return chunks ? save_chunks(c, w, fd, p->st.st_size) : copy(c, w, fd, 0, p->st.st_size);
}

static void set_time(Timeval *t, const struct timespec *from)
{
	timeval__init(t);
	t->tv_sec = from->tv_sec;
	t->tv_usec = from->tv_nsec / 1000;
}

static int save_ghost(struct collect *c, const struct fd_probe *p, uint32_t id)
{
	GhostFileEntry e = GHOST_FILE_ENTRY__INIT;
	struct image_writer *w;
	Timeval atim, mtim;
	int ret, closed;

	e.uid = p->st.st_uid;
	e.gid = p->st.st_gid;
	e.mode = p->st.st_mode;
	e.has_dev = e.has_ino = true;
	e.dev = p->st.st_dev;
	e.ino = p->st.st_ino;
	if (S_ISCHR(e.mode) || S_ISBLK(e.mode)) {
		e.has_rdev = true;
		e.rdev = p->st.st_rdev;
	}
	set_time(&atim, &p->st.st_atim);
	set_time(&mtim, &p->st.st_mtim);
	e.atim = &atim;
	e.mtim = &mtim;
	if (S_ISREG(e.mode)) {
		e.has_chunks = e.has_size = true;
		e.chunks = (uint64_t)p->st.st_blocks * BLOCK < (uint64_t)p->st.st_size;
		e.size = p->st.st_size;
	}
	ret = image_create(c->run->images_dirfd, IMG_GHOST_FILE, id, &c->run->err, &w);
	if (ret)
		return ret;
	ret = image_write(w, &e.base);
	if (!ret && S_ISREG(e.mode))
		ret = save_data(c, p, w, e.chunks);
	closed = image_close(w);
	return ret ? ret : closed;
}

/* --- which is it ---------------------------------------------------------- */

static int collect_ghost(struct collect *c, const struct fd_probe *p, struct file *f)
{
	uint64_t used = (uint64_t)p->st.st_blocks * BLOCK;
	char name[600];
	struct inode *i;
	bool is_new;
	int ret;

	if (S_ISREG(p->st.st_mode) && used > c->run->opt.ghost_limit) {
		fail_text(&c->run->err, -EFBIG,
			  "%s is deleted and uses %lu bytes, more than the %lu of "
			  "--ghost-limit",
			  probe_name(p, name, sizeof(name)), used, c->run->opt.ghost_limit);
		return fail_hint(&c->run->err, "allow it: --ghost-limit %lu", used);
	}
	i = collect_inode(c, p, IMG_COUNT, &is_new);
	if (!i)
		return fail(&c->run->err, -ENOMEM, "keep deleted file %s", p->link);
	if (is_new) {
		i->id = ++c->last_ghost_id;
		ret = save_ghost(c, p, i->id);
		if (ret)
			return ret;
	}
	return add_remap(c, f->id, i->id, REMAP_TYPE__GHOST);
}

/* A name for a file that has others which are not known: beside the one that it had. */
static int make_link(struct collect *c, const struct fd_probe *p, uint32_t id, char *path,
		     size_t size)
{
	_cleanup_free_ char *gone = strdup(p->link), *kept = NULL;
	char from[40];

	if (!gone)
		return fail(&c->run->err, -ENOMEM, "keep file %s", p->link);
	if ((size_t)snprintf(path, size, "%s/link_remap.%u", dirname(gone), id) >= size)
		return fail(&c->run->err, -ENAMETOOLONG, "link %s anew", p->link);
	snprintf(from, sizeof(from), "/proc/self/fd/%d", p->local);
	if (linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW))
		return fail(&c->run->err, -errno, "link %s anew as %s", p->link, path);
	kept = strdup(path);
	if (!kept || vec_push(&c->links, kept)) {
		unlink(path);
		return fail(&c->run->err, -ENOMEM, "keep file %s", p->link);
	}
	kept = NULL;
	return 0;
}

static int collect_linked(struct collect *c, const struct fd_probe *p, struct file *f)
{
	struct fd_probe named = *p;
	struct file *second;
	char name[600];
	int ret;

	if (!c->run->opt.link_remap) {
		fail_text(&c->run->err, -ENOENT,
			  "%s cannot be reached by its path: it was unlinked, renamed or "
			  "mounted over",
			  probe_name(p, name, sizeof(name)));
		return fail_hint(&c->run->err,
				 "--link-remap gives it a name for the time until it is restored");
	}
	ret = make_link(c, p, c->last_file_id + 1, named.link, sizeof(named.link));
	if (ret)
		return ret;
	/* Only a path: what is opened is the first file's entry. */
	named.fd = -1;
	named.flags = 0;
	named.pos = 0;
	ret = collect_second(c, &resource_reg, &named, &second);
	return ret ? ret : add_remap(c, f->id, second->id, REMAP_TYPE__LINKED);
}

int ghost_collect(struct collect *c, const struct fd_probe *p, struct file *f)
{
	return p->st.st_nlink == 0 ? collect_ghost(c, p, f) : collect_linked(c, p, f);
}

int ghost_save(struct collect *c)
{
	struct image_writer *w;
	size_t i;
	int ret, closed;

	if (!c->remaps.n)
		return 0;
	ret = image_create(c->run->images_dirfd, IMG_REMAP_FPATH, 0, &c->run->err, &w);
	if (ret)
		return ret;
	for (i = 0; !ret && i < c->remaps.n; i++)
		ret = image_write(w, &c->remaps.at[i]->base);
	closed = image_close(w);
	return ret ? ret : closed;
}

void ghost_undo(struct collect *c)
{
	size_t i;

	for (i = 0; i < c->links.n; i++)
		unlink(c->links.at[i]);
}
