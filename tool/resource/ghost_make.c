// SPDX-License-Identifier: GPL-2.0-only
/*
 * Making deleted files again: contents while they have no name, then their names for the
 * instant in which we open them. Whoever makes them is not killed in the middle of it
 * (restore/guard.h), so `made` and `folders` are exact.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/image.h"
#include "lib/cleanup.h"
#include "lib/run.h"
#include "lib/scripts.h"
#include "resource/ghost.h"
#include "resource/ghost_parts.h"
#include "resource/xattr.h"

#define COPY_CHUNK (1u << 16)

/* --- contents ----------------------------------------------------------- */

static int write_at(int fd, const uint8_t *buf, size_t len, uint64_t at)
{
	size_t done;
	ssize_t n;

	for (done = 0; done < len; done += n) {
		n = pwrite(fd, buf + done, len - done, at + done);
		if (n < 0)
			return -errno;
	}
	return 0;
}

static int copy_bytes(struct run *run, struct image_reader *r, int fd, uint8_t *buf, uint64_t at,
		      uint64_t len)
{
	int ret = 0;
	size_t n;

	for (; !ret && len; at += n, len -= n) {
		n = len < COPY_CHUNK ? len : COPY_CHUNK;
		ret = run_check_time(run, "filling deleted files");
		if (!ret)
			ret = image_read_raw(r, buf, n);
		if (ret)
			return ret;
		ret = write_at(fd, buf, n, at);
		if (ret)
			fail(&run->err, ret, "contents of a deleted file, at %lu", at);
	}
	return ret;
}

static int copy_chunks(struct run *run, struct image_reader *r, int fd, uint8_t *buf)
{
	ProtobufCMessage *msg;
	int ret;

	while ((ret = image_read_as(r, &ghost_chunk_entry__descriptor, &msg)) == 1) {
		const GhostChunkEntry *c = (GhostChunkEntry *)msg;
		uint64_t off = c->off, len = c->len;

		protobuf_c_message_free_unpacked(msg, NULL);
		if (off > INT64_MAX || len > INT64_MAX - off)
			return fail_text(&run->err, -EBADMSG, "image ghost-file: wild chunk");
		ret = copy_bytes(run, r, fd, buf, off, len);
		if (ret)
			return ret;
	}
	return ret;
}

static int fill_regular(struct run *run, struct image_reader *r, const GhostFileEntry *e, int fd,
			const char *path)
{
	_cleanup_free_ uint8_t *buf = malloc(COPY_CHUNK);

	if (!buf)
		return fail(&run->err, -ENOMEM, "contents of deleted file %s", path);
	if (e->has_size && ftruncate(fd, e->size))
		return fail(&run->err, -errno, "deleted file %s, %lu bytes long", path, e->size);
	return e->has_chunks && e->chunks ? copy_chunks(run, r, fd, buf)
					  : copy_bytes(run, r, fd, buf, 0, image_left(r));
}

static struct timespec time_of(const Timeval *t, bool exact, uint32_t nsec)
{
	if (!t)
		return (struct timespec){.tv_nsec = UTIME_OMIT};
	return (struct timespec){t->tv_sec, exact && nsec < 1000000000 ? nsec : t->tv_usec * 1000};
}

/* By descriptor: whoever may write to the folder could have changed what the name means. */
static int set_attributes(struct run *run, struct ghost *g, const GhostFileEntry *e, int fd,
			  const char *path)
{
	const char *name = "";
	char by_fd[40];
	int ret;

	snprintf(by_fd, sizeof(by_fd), "/proc/self/fd/%d", fd);
	g->has_times = true;
	g->times[0] = time_of(e->atim, e->has_atim_nsec, e->atim_nsec);
	g->times[1] = time_of(e->mtim, e->has_mtim_nsec, e->mtim_nsec);
	/* A new owner costs a file its capabilities: they come after. */
	if (fchownat(fd, "", e->uid, e->gid, AT_EMPTY_PATH) ||
	    ((e->mode & S_IFMT) != S_IFLNK && chmod(by_fd, e->mode & 07777)))
		return fail(&run->err, -errno, "owner and mode of deleted file %s", path);
	ret = xattrs_write(by_fd, e, &name);
	if (ret)
		return fail(&run->err, ret, "extended attribute '%s' of deleted file %s", name,
			    path);
	if (utimensat(fd, "", g->times, AT_EMPTY_PATH))
		return fail(&run->err, -errno, "times of deleted file %s", path);
	return 0;
}

/*
 * The folder that is nearest to where the file will be. Folders on the way that are missing
 * are made only when the contents are there.
 */
static int open_nearest(const char *path, int flags)
{
	_cleanup_free_ char *part = strdup(path);
	char *slash;
	int fd = -1;

	if (!part)
		return -ENOMEM;
	do {
		slash = strrchr(part, '/');
		if (!slash)
			return -ENOENT;
		slash[slash == part] = 0;
		fd = open(part, flags, 0600);
	} while (fd < 0 && errno == ENOENT && slash != part);
	return fd < 0 ? -errno : fd;
}

static void close_contents(struct ghost *g)
{
	if (g->contents >= 0)
		close(g->contents);
	g->contents = -1;
}

/* A file that has no name yet: a restore that ends here leaves nothing. */
static int prepare_contents(struct run *run, struct image_reader *r, const GhostFileEntry *e,
			    struct ghost *g)
{
	const char *path = ghost_alias_path(&g->aliases.at[0]);
	int ret;

	g->contents = open_nearest(path, O_TMPFILE | O_WRONLY | O_CLOEXEC);
	/* Not every file system can: then it gets its contents under its name. */
	if (g->contents >= 0 && !ghost_can_spare(g->contents))
		close_contents(g);
	if (g->contents < 0)
		return 0;
	ret = fill_regular(run, r, e, g->contents, path);
	return ret ? ret : set_attributes(run, g, e, g->contents, path);
}

/* --- making ------------------------------------------------------------- */

static int make_regular(struct run *run, struct image_reader *r, const GhostFileEntry *e,
			struct ghost *g, const char *path)
{
	char from[40];
	int ret;

	if (g->contents >= 0) {
		snprintf(from, sizeof(from), "/proc/self/fd/%d", g->contents);
		return linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW) ? -errno : 0;
	}
	g->contents = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (g->contents < 0)
		return -errno;
	ret = fill_regular(run, r, e, g->contents, path);
	if (ret)
		unlink(path);
	return ret;
}

static int make_node(struct run *run, struct image_reader *r, const GhostFileEntry *e,
		     struct ghost *g, const char *path)
{
	int ret;

	switch (e->mode & S_IFMT) {
	case S_IFREG:
		return make_regular(run, r, e, g, path);
	case S_IFDIR:
		ret = mkdir(path, 0700);
		break;
	case S_IFLNK:
		if (!e->symlnk_target)
			return fail_text(&run->err, -EBADMSG, "deleted symlink %s: no target",
					 path);
		ret = symlink(e->symlnk_target, path);
		break;
	case S_IFSOCK:
	case S_IFIFO:
	case S_IFCHR:
	case S_IFBLK:
		ret = mknod(path, (e->mode & S_IFMT) | 0600, e->rdev);
		break;
	default:
		return fail_text(&run->err, -EOPNOTSUPP, "deleted file %s: mode %o", path, e->mode);
	}
	return ret ? -errno : 0;
}

/* Folders on the way that are gone, too. */
static int make_folders(struct run *run, struct ghost *g, const char *path)
{
	char part[PATH_MAX];
	const char *slash;
	char *copy;

	for (slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		if ((size_t)(slash - path) >= sizeof(part))
			return fail(&run->err, -ENAMETOOLONG, "deleted file %s", path);
		memcpy(part, path, slash - path);
		part[slash - path] = 0;
		if (mkdir(part, 0700)) {
			if (errno == EEXIST)
				continue;
			return fail(&run->err, -errno, "folder %s of a deleted file", part);
		}
		copy = strdup(part);
		if (!copy || vec_push(&g->folders, copy)) {
			rmdir(part);
			free(copy);
			return fail(&run->err, -ENOMEM, "deleted files");
		}
	}
	return 0;
}

/* Read the image up to its contents and call @f. */
static int with_image(struct run *run, struct ghost *g,
		      int (*f)(struct run *run, struct image_reader *r, const GhostFileEntry *e,
			       struct ghost *g))
{
	struct image_reader *r;
	ProtobufCMessage *msg;
	int ret = image_open(run->images_dirfd, IMG_GHOST_FILE, g->id, false, &run->err, &r);

	if (ret)
		return ret;
	ret = image_read(r, &msg);
	if (ret == 1) {
		ret = f(run, r, (GhostFileEntry *)msg, g);
		protobuf_c_message_free_unpacked(msg, NULL);
	} else if (!ret) {
		ret = fail_text(&run->err, -EBADMSG, "image ghost-file-%x.img is empty", g->id);
	}
	image_reader_free(r);
	return ret;
}

static int prepare(struct run *run, struct image_reader *r, const GhostFileEntry *e,
		   struct ghost *g)
{
	return S_ISREG(e->mode) ? prepare_contents(run, r, e, g) : 0;
}

static int make_first(struct run *run, struct image_reader *r, const GhostFileEntry *e,
		      struct ghost *g)
{
	struct ghost_alias *a = &g->aliases.at[0];
	const char *path = ghost_alias_path(a);
	_cleanup_close_ int fd = -1;
	int ret = make_node(run, r, e, g, path);

	/* Somebody was quicker, or another ghost has the same name. */
	if (ret == -EEXIST && !run->err.code && a->entrance && !a->by_name &&
	    !ghost_place(a, g->id)) {
		path = ghost_alias_path(a);
		ret = make_node(run, r, e, g, path);
	}
	if (ret)
		return run->err.code ? ret : fail(&run->err, ret, "deleted file %s", path);
	a->made = true;
	fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fail(&run->err, -errno, "deleted file %s", path);
	/* A program that is open for writing cannot be executed. */
	close_contents(g);
	return g->has_times ? 0 : set_attributes(run, g, e, fd, path);
}

/* What has been made, or linked, is behind the door from now on. */
static int open_door(struct run *run, struct ghost_alias *a)
{
	const char *path = ghost_alias_path(a);
	_cleanup_close_ int fd = -1;

	if (!a->entrance)
		return 0;
	fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || dup3(fd, a->door, O_CLOEXEC) < 0)
		return fail(&run->err, -errno, "deleted file %s", path);
	return 0;
}

static bool gone(const char *path)
{
	return !unlink(path) || (errno == EISDIR && !rmdir(path)) || errno == ENOENT;
}

/* Is it gone? A folder may wait for what is in it, but not for ever (@last). */
static bool remove_path(struct run *run, const char *path, bool last)
{
	if (gone(path))
		return true;
	if (last)
		log_warn(&run->log, "deleted file %s was made again for a moment and stays: %m",
			 path);
	return false;
}

/* What is in folders goes first. */
static bool may_go(const struct ghost_alias *a)
{
	struct stat st;

	return a->made && a->entrance && !a->by_name && !fstatat(a->door, "", &st, AT_EMPTY_PATH) &&
	       !S_ISDIR(st.st_mode);
}

static int make_alias(struct run *run, struct ghost *g, struct ghost_alias *a, const char *from)
{
	int ret = make_folders(run, g, ghost_alias_path(a));

	if (ret)
		return ret;
	if (!from)
		return with_image(run, g, make_first);
	if (!linkat(AT_FDCWD, from, AT_FDCWD, ghost_alias_path(a), 0)) {
		a->made = true;
		return 0;
	}
	return fail(&run->err, -errno, "link %s to %s", ghost_alias_path(a), from);
}

static int make_ghost(struct run *run, struct ghost *g)
{
	const char *from = g->source;
	struct ghost_alias *a;
	int ret;

	g->used = true;
	vec_for_each (&g->aliases, a) {
		ret = make_alias(run, g, a, from);
		if (!ret)
			ret = open_door(run, a);
		if (ret)
			return ret;
		if (!from)
			from = ghost_alias_path(a);
	}
	vec_for_each (&g->aliases, a) {
		if (may_go(a))
			a->made = !remove_path(run, ghost_alias_path(a), false);
	}
	return 0;
}

/* Names that nobody needs any more; @last: if the restore has failed, or the tasks are there. */
static void remove_names(struct run *run, struct ghost *g, bool last)
{
	struct ghost_alias *a;
	char **folder;
	size_t i;

	for (i = g->aliases.n; i-- > 0;) {
		a = &g->aliases.at[i];
		if (a->made && (last || (a->entrance && !a->by_name)))
			a->made = !remove_path(run, ghost_alias_path(a), last);
	}
	for (; g->folders.n; g->folders.n--) {
		folder = &g->folders.at[g->folders.n - 1];
		if (rmdir(*folder) && !last)
			break;
		free(*folder);
	}
}

int ghosts_make(struct run *run, struct checkpoint *cp)
{
	size_t n, i;
	int ret;

	if (ghosts_list(cp))
		return fail(&run->err, -ENOMEM, "deleted files");
	n = cp->ghosts.n;
	for (i = 0, ret = 0; i < n && !ret; i++)
		if (!cp->ghosts.at[i]->source)
			ret = with_image(run, cp->ghosts.at[i], prepare);
	for (i = 0; i < n && !ret; i++)
		ret = make_ghost(run, cp->ghosts.at[i]);
	/* The last made are the first to go: folders are empty then. */
	for (i = n; i-- > 0;)
		remove_names(run, cp->ghosts.at[i], ret);
	return ret;
}

/* Through any descriptor of it; its names may be gone. */
static void set_times(const struct ghost *g)
{
	const struct ghost_alias *a = g->aliases.at;

	if (!g->has_times)
		return;
	if (a->entrance)
		utimensat(a->door, "", g->times, AT_EMPTY_PATH);
	else if (a->made)
		utimensat(AT_FDCWD, ghost_alias_path(a), g->times, AT_SYMLINK_NOFOLLOW);
}

static void finish_ghost(struct run *run, struct ghost *g)
{
	struct ghost_alias *a;

	set_times(g);
	remove_names(run, g, true);
	vec_for_each (&g->aliases, a) {
		if (a->door >= 0)
			close(a->door);
		a->door = -1;
	}
	close_contents(g);
}

void ghosts_remove(struct run *run, struct checkpoint *cp)
{
	size_t i;

	for (i = cp->ghosts.n; i-- > 0;)
		finish_ghost(run, cp->ghosts.at[i]);
}

void ghosts_unname(struct checkpoint *cp)
{
	const struct ghost *g;
	size_t i, j;

	for (i = cp->ghosts.n; i-- > 0;) {
		g = cp->ghosts.at[i];
		for (j = g->aliases.n; j-- > 0;)
			if (g->aliases.at[j].made)
				gone(ghost_alias_path(&g->aliases.at[j]));
		for (j = g->folders.n; j-- > 0;)
			rmdir(g->folders.at[j]);
	}
}

void ghosts_done(struct run *run, struct checkpoint *cp)
{
	struct ghost **g;

	vec_for_each (&cp->ghosts, g)
		if ((*g)->source && (*g)->used)
			remove_path(run, (*g)->source, true);
}
