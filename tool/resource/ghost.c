// SPDX-License-Identifier: GPL-2.0-only
#include "resource/ghost.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "image/image.h"
#include "lib/cleanup.h"
#include "lib/run.h"
#include "resource/reg.h"
#include "resource/xattr.h"

#define COPY_CHUNK (1u << 16)

/* remap_id of images before remap_type: this bit says ghost. */
#define OLD_GHOST_BIT (1u << 31)

/* A name that ghosts have: they may have had several (hard links). */
struct alias {
	const char *name; /* in the checkpoint */
	char *path;	  /* where it is made; NULL: under its name */
	bool made;
};

struct ghost {
	uint32_t id;
	unsigned int refs;
	bool linked;		  /* not deleted, but under another name: */
	const char *source;	  /* this one, which goes when the restore is done */
	bool has_times;		  /* set once more in the end: mapping it, or making files in it, */
	struct timespec times[2]; /* changes them */
	VEC(struct alias) aliases;
	VEC(char *) folders; /* made because they were missing too */
};

const char *ghost_path(const struct ghost *g, const char *name)
{
	struct alias *a;

	vec_for_each (&g->aliases, a)
		if (!strcmp(a->name, name) && a->path)
			return a->path;
	return name;
}

void ghost_put(struct ghost *g)
{
	struct alias *a;
	char **f;

	if (!g || --g->refs)
		return;
	vec_for_each (&g->aliases, a)
		free(a->path);
	vec_for_each (&g->folders, f)
		free(*f);
	vec_free(&g->aliases);
	vec_free(&g->folders);
	free(g);
}

/* --- loading ------------------------------------------------------------ */

/*
 * How much of @name is taken: all of it by another file, or the beginning by
 * something that is no folder. 0: it is free.
 */
static size_t taken(const char *name)
{
	char part[PATH_MAX];
	const char *slash;
	struct stat st;
	size_t len;

	for (slash = strchr(name + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		len = slash - name;
		if (len >= sizeof(part))
			return 0;
		memcpy(part, name, len);
		part[len] = 0;
		if (stat(part, &st))
			return 0;
		if (!S_ISDIR(st.st_mode))
			return len;
	}
	return lstat(name, &st) ? 0 : strlen(name);
}

static int add_alias(struct ghost *g, const char *name, uint32_t id)
{
	struct alias *a;
	size_t len;

	vec_for_each (&g->aliases, a)
		if (!strcmp(a->name, name))
			return 0;
	a = vec_add(&g->aliases);
	if (!a)
		return -ENOMEM;
	a->name = name;
	/* Another file has the name now: it stays untouched, the ghost gets one beside it. */
	len = taken(name);
	if (len && asprintf(&a->path, "%.*s.stasis-%x", (int)len, name, id) < 0) {
		a->path = NULL;
		return -ENOMEM;
	}
	return 0;
}

static struct ghost *find_ghost(struct checkpoint *cp, uint32_t id, bool linked)
{
	struct file **f;

	vec_for_each (&cp->files, f) {
		struct reg *r = (*f)->msg->type == FD_TYPES__REG ? (*f)->data : NULL;

		if (r && r->ghost && r->ghost->id == id && r->ghost->linked == linked)
			return r->ghost;
	}
	return NULL;
}

static int bad_remap(struct run *run, const RemapFilePathEntry *e)
{
	fail_text(&run->err, -EBADMSG, "image remap-fpath.img: file id %u, remapped to %u",
		  e->orig_id, e->remap_id);
	return fail_hint(&run->err, "the checkpoint is damaged; dump again");
}

static int link_ghost(struct run *run, struct checkpoint *cp, const RemapFilePathEntry *e)
{
	bool linked = e->has_remap_type ? e->remap_type == REMAP_TYPE__LINKED
					: !(e->remap_id & OLD_GHOST_BIT);
	uint32_t id = e->has_remap_type ? e->remap_id : e->remap_id & ~OLD_GHOST_BIT;
	struct file *f = checkpoint_file(cp, e->orig_id), *source = NULL;
	struct reg *r;

	if (!f || !f->msg->reg)
		return bad_remap(run, e);
	if (e->has_remap_type && e->remap_type == REMAP_TYPE__PROCFS) {
		fail_text(&run->err, -EOPNOTSUPP, "file %s: of a process that is gone",
			  f->msg->reg->name);
		return fail_hint(&run->err, "restore it with criu");
	}
	if (linked) {
		source = checkpoint_file(cp, id);
		if (!source || !source->msg->reg)
			return bad_remap(run, e);
	}
	r = f->data ? f->data : calloc(1, sizeof(*r));
	if (!r)
		return fail(&run->err, -ENOMEM, "deleted files");
	f->data = r;
	if (r->ghost)
		return bad_remap(run, e);
	r->ghost = find_ghost(cp, id, linked);
	if (!r->ghost)
		r->ghost = calloc(1, sizeof(*r->ghost));
	if (!r->ghost)
		return fail(&run->err, -ENOMEM, "deleted files");
	r->ghost->id = id;
	r->ghost->linked = linked;
	r->ghost->source = source ? source->msg->reg->name : NULL;
	r->ghost->refs++;
	if (f->msg->reg->name[0] != '/')
		return bad_remap(run, e);
	return add_alias(r->ghost, f->msg->reg->name, id)
		       ? fail(&run->err, -ENOMEM, "deleted files")
		       : 0;
}

int ghosts_load(struct run *run, struct checkpoint *cp)
{
	struct image_reader *r;
	ProtobufCMessage *msg;
	int ret = image_open(run->images_dirfd, IMG_REMAP_FPATH, 0, true, &run->err, &r);

	if (ret)
		return ret == -ENOENT && !run->err.code ? 0 : ret;
	while ((ret = image_read(r, &msg)) == 1) {
		ret = link_ghost(run, cp, (RemapFilePathEntry *)msg);
		protobuf_c_message_free_unpacked(msg, NULL);
		if (ret)
			break;
	}
	image_reader_free(r);
	return ret;
}

/* --- making ------------------------------------------------------------- */

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

static int make_regular(struct run *run, struct image_reader *r, const GhostFileEntry *e,
			const char *path)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int ret;

	if (fd < 0)
		return fail(&run->err, -errno, "deleted file %s", path);
	ret = fill_regular(run, r, e, fd, path);
	if (ret)
		unlink(path);
	return ret;
}

static int make_node(struct run *run, struct image_reader *r, const GhostFileEntry *e,
		     const char *path)
{
	int ret;

	switch (e->mode & S_IFMT) {
	case S_IFREG:
		return make_regular(run, r, e, path);
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
		ret = mknod(path, e->mode, e->rdev);
		break;
	default:
		return fail_text(&run->err, -EOPNOTSUPP, "deleted file %s: mode %o", path, e->mode);
	}
	return ret ? fail(&run->err, -errno, "deleted file %s", path) : 0;
}

static struct timespec time_of(const Timeval *t, bool exact, uint32_t nsec)
{
	if (!t)
		return (struct timespec){.tv_nsec = UTIME_OMIT};
	return (struct timespec){t->tv_sec, exact && nsec < 1000000000 ? nsec : t->tv_usec * 1000};
}

static int set_attributes(struct run *run, struct ghost *g, const GhostFileEntry *e,
			  const char *path)
{
	const char *name = "";
	int ret;

	g->has_times = true;
	g->times[0] = time_of(e->atim, e->has_atim_nsec, e->atim_nsec);
	g->times[1] = time_of(e->mtim, e->has_mtim_nsec, e->mtim_nsec);
	/* A new owner costs a file its capabilities: they come after. */
	if (fchownat(AT_FDCWD, path, e->uid, e->gid, AT_SYMLINK_NOFOLLOW) ||
	    ((e->mode & S_IFMT) != S_IFLNK && chmod(path, e->mode & 07777)))
		return fail(&run->err, -errno, "owner and mode of deleted file %s", path);
	ret = xattrs_write(path, e, &name);
	if (ret)
		return fail(&run->err, ret, "extended attribute '%s' of deleted file %s", name,
			    path);
	if (utimensat(AT_FDCWD, path, g->times, AT_SYMLINK_NOFOLLOW))
		return fail(&run->err, -errno, "times of deleted file %s", path);
	return 0;
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

static const char *place(const struct alias *a)
{
	return a->path ? a->path : a->name;
}

static int make_from_image(struct run *run, struct ghost *g)
{
	struct image_reader *r;
	ProtobufCMessage *msg;
	int ret = image_open(run->images_dirfd, IMG_GHOST_FILE, g->id, false, &run->err, &r);

	if (ret)
		return ret;
	ret = image_read(r, &msg);
	if (ret == 1) {
		ret = make_node(run, r, (GhostFileEntry *)msg, place(&g->aliases.at[0]));
		g->aliases.at[0].made = !ret;
		if (!ret)
			ret = set_attributes(run, g, (GhostFileEntry *)msg,
					     place(&g->aliases.at[0]));
		protobuf_c_message_free_unpacked(msg, NULL);
	} else if (!ret) {
		ret = fail_text(&run->err, -EBADMSG, "image ghost-file-%x.img is empty", g->id);
	}
	image_reader_free(r);
	return ret;
}

static int make_ghost(struct run *run, struct ghost *g)
{
	const char *from = g->source;
	size_t i;
	int ret;

	for (i = 0; i < g->aliases.n; i++) {
		struct alias *a = &g->aliases.at[i];

		if (a->made)
			continue;
		ret = make_folders(run, g, place(a));
		if (ret)
			return ret;
		if (!from) {
			ret = make_from_image(run, g);
			if (ret)
				return ret;
			from = place(a);
		} else if (linkat(AT_FDCWD, from, AT_FDCWD, place(a), 0)) {
			return fail(&run->err, -errno, "link %s to %s", place(a), from);
		}
		a->made = true;
	}
	return 0;
}

static int compare_depth(const void *a, const void *b)
{
	const struct ghost *const *x = a, *const *y = b;

	return strcmp((*x)->aliases.at[0].name, (*y)->aliases.at[0].name);
}

/* Every ghost once, folders before what is in them. */
static int list_ghosts(struct checkpoint *cp, struct ghost ***ret, size_t *n)
{
	struct ghost **v = calloc(cp->files.n + 1, sizeof(*v));
	size_t i, j, k = 0;

	if (!v)
		return -ENOMEM;
	for (i = 0; i < cp->files.n; i++) {
		struct file *f = cp->files.at[i];
		struct reg *r = f->msg->type == FD_TYPES__REG ? f->data : NULL;

		if (!r || !r->ghost)
			continue;
		for (j = 0; j < k && v[j] != r->ghost; j++)
			;
		if (j == k)
			v[k++] = r->ghost;
	}
	qsort(v, k, sizeof(*v), compare_depth);
	*ret = v;
	*n = k;
	return 0;
}

int ghosts_make(struct run *run, struct checkpoint *cp)
{
	struct ghost **v;
	size_t n, i;
	int ret;

	if (list_ghosts(cp, &v, &n))
		return fail(&run->err, -ENOMEM, "deleted files");
	for (i = 0, ret = 0; i < n && !ret; i++)
		ret = make_ghost(run, v[i]);
	free(v);
	return ret;
}

static void remove_path(struct run *run, const char *path)
{
	if (unlink(path) && (errno != EISDIR || rmdir(path)) && errno != ENOENT)
		log_warn(&run->log, "deleted file %s was made again for a moment and stays: %m",
			 path);
}

static void remove_ghost(struct run *run, struct ghost *g)
{
	bool any = false;
	size_t i;

	for (i = g->aliases.n; i-- > 0;) {
		if (g->aliases.at[i].made && g->has_times)
			utimensat(AT_FDCWD, place(&g->aliases.at[i]), g->times,
				  AT_SYMLINK_NOFOLLOW);
		if (g->aliases.at[i].made)
			remove_path(run, place(&g->aliases.at[i]));
		any |= g->aliases.at[i].made;
		g->aliases.at[i].made = false;
	}
	if (g->source && any && !run->err.code)
		remove_path(run, g->source);
	for (i = g->folders.n; i-- > 0;) {
		rmdir(g->folders.at[i]);
		free(g->folders.at[i]);
	}
	g->folders.n = 0;
}

void ghosts_remove(struct run *run, struct checkpoint *cp)
{
	struct ghost **v;
	size_t n, i;

	if (list_ghosts(cp, &v, &n))
		return;
	for (i = n; i-- > 0;)
		remove_ghost(run, v[i]);
	free(v);
}
