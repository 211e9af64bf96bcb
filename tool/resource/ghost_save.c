// SPDX-License-Identifier: GPL-2.0-only
/* Dump of files that no path leads to: ghosts (deleted) and remapped links. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "resource/collect.h"
#include "resource/extents.h"
#include "resource/kinds.h"
#include "resource/xattr.h"

#define BLOCK	   512 /* of st_blocks */
#define PIECE	   (256 * 1024)
#define LINK_TRIES 10000

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

/* A file whose data is being written to its image, range by range. */
struct saving {
	struct extent_walk walk;
	struct collect *c;
	struct image_writer *w;
	char *buf;
};

static int copy(struct saving *s, uint64_t at, uint64_t len)
{
	int ret = 0;
	ssize_t n;

	for (; !ret && len; at += n, len -= n) {
		n = pread(s->walk.fd, s->buf, len < PIECE ? len : PIECE, at);
		if (n <= 0)
			return fail(&s->c->run->err, n ? -errno : -EIO,
				    "read a deleted file at %lu", at);
		ret = image_write_raw(s->w, s->buf, n);
	}
	return ret;
}

static int save_chunk(struct extent_walk *walk, uint64_t off, uint64_t len)
{
	struct saving *s = (struct saving *)walk;
	GhostChunkEntry e = GHOST_CHUNK_ENTRY__INIT;
	int ret;

	e.off = off;
	e.len = len;
	ret = image_write(s->w, &e.base);
	return ret ? ret : copy(s, off, len);
}

/* Only what is there, found by the file system: time goes with data and extents, not with length.
 */
static int save_chunks(struct saving *s)
{
	int ret = -EOPNOTSUPP;
	bool failed = false;

	if (s->c->run->opt.ghost_fiemap) {
		ret = extents_by_fiemap(&s->walk, &failed);
		if (ret == -EOPNOTSUPP && !failed)
			log_warn(&s->c->run->log,
				 "The file system of a deleted file has no FIEMAP: "
				 "using SEEK_DATA");
	}
	if (ret == -EOPNOTSUPP && !failed)
		ret = extents_by_seek(&s->walk, &failed);
	return failed ? fail(&s->c->run->err, ret, "find the data of a deleted file") : ret;
}

static int open_again(struct collect *c, const struct fd_probe *p)
{
	char path[40];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", p->local);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOATIME);
	if (fd < 0)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? fail(&c->run->err, -errno, "task %d: open deleted file %s for reading",
			     p->pid, p->link)
		      : fd;
}

static int save_data(struct saving *s, bool chunks)
{
	int ret;

	s->buf = malloc(PIECE);
	if (!s->buf)
		return fail(&s->c->run->err, -ENOMEM, "copy a deleted file");
	ret = chunks ? save_chunks(s) : copy(s, 0, s->walk.size);
	free(s->buf);
	return ret;
}

static void set_time(Timeval *t, const struct timespec *from)
{
	timeval__init(t);
	t->tv_sec = from->tv_sec;
	t->tv_usec = from->tv_nsec / 1000;
}

static int read_target(struct collect *c, const struct fd_probe *p, GhostFileEntry *e)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(p->local, "", target, sizeof(target) - 1);

	if (n >= 0)
		e->symlnk_target = strndup(target, n);
	return e->symlnk_target ? 0
				: fail(&c->run->err, n < 0 ? -errno : -ENOMEM,
				       "task %d: read deleted symlink %s", p->pid, p->link);
}

/* What only some kinds of files have; the caller frees it. */
static int fill_kind(struct collect *c, const struct fd_probe *p, GhostFileEntry *e)
{
	int ret;

	if (S_ISLNK(e->mode))
		return read_target(c, p, e);
	if (S_ISCHR(e->mode) || S_ISBLK(e->mode)) {
		e->has_rdev = true;
		e->rdev = p->st.st_rdev;
	}
	ret = xattrs_read(p->local, e);
	return ret ? fail(&c->run->err, ret, "task %d: extended attributes of deleted file %s",
			  p->pid, p->link)
		   : 0;
}

static void fill_entry(const struct fd_probe *p, GhostFileEntry *e, Timeval *atim, Timeval *mtim)
{
	e->uid = p->st.st_uid;
	e->gid = p->st.st_gid;
	e->mode = p->st.st_mode;
	e->has_dev = e->has_ino = true;
	e->dev = major(p->st.st_dev) << 20 | minor(p->st.st_dev);
	e->ino = p->st.st_ino;
	set_time(atim, &p->st.st_atim);
	set_time(mtim, &p->st.st_mtim);
	e->atim = atim;
	e->mtim = mtim;
	e->has_atim_nsec = e->has_mtim_nsec = true;
	e->atim_nsec = p->st.st_atim.tv_nsec;
	e->mtim_nsec = p->st.st_mtim.tv_nsec;
}

static int write_ghost(struct collect *c, GhostFileEntry *e, struct saving *s, uint32_t id)
{
	int ret, closed;

	ret = image_create(c->run->images_dirfd, IMG_GHOST_FILE, id, &c->run->err, &s->w);
	if (ret)
		return ret;
	ret = image_write(s->w, &e->base);
	if (!ret && S_ISREG(e->mode))
		ret = save_data(s, e->chunks);
	closed = image_close(s->w);
	return ret ? ret : closed;
}

static int save_ghost(struct collect *c, const struct fd_probe *p, uint32_t id)
{
	struct saving s = {.walk = {.fd = -1, .size = p->st.st_size, .f = save_chunk}, .c = c};
	GhostFileEntry e = GHOST_FILE_ENTRY__INIT;
	Timeval atim, mtim;
	int ret;

	fill_entry(p, &e, &atim, &mtim);
	ret = fill_kind(c, p, &e);
	if (!ret && S_ISREG(e.mode)) {
		s.walk.fd = open_again(c, p);
		ret = s.walk.fd < 0 ? s.walk.fd : 0;
		e.has_chunks = e.has_size = true;
		e.chunks = !ret && has_holes(s.walk.fd, s.walk.size);
		e.size = p->st.st_size;
	}
	if (!ret)
		ret = write_ghost(c, &e, &s, id);
	if (s.walk.fd >= 0)
		close(s.walk.fd);
	free(e.symlnk_target);
	xattrs_free(&e);
	return ret;
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
	const char *folder = gone ? dirname(gone) : NULL;
	unsigned int another = 0;
	char from[40];
	int ret;

	if (!gone)
		return fail(&c->run->err, -ENOMEM, "keep file %s", p->link);
	snprintf(from, sizeof(from), "/proc/self/fd/%d", p->local);
	/* Other checkpoints may have names there. */
	do {
		if ((size_t)snprintf(path, size,
				     another ? "%s/link_remap.%u.%u" : "%s/link_remap.%u", folder,
				     id, another) >= size)
			return fail(&c->run->err, -ENAMETOOLONG, "link %s anew", p->link);
		ret = linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW) ? -errno : 0;
	} while (ret == -EEXIST && ++another < LINK_TRIES);
	if (ret)
		return fail(&c->run->err, ret, "link %s anew as %s", p->link, path);
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
