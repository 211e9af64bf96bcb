// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/image.h"
#include "image/magic.h"
#include "image/nesting.h"
#include "lib/pool.h"
#include "proto/stasis.pb-c.h"

/*
 * Files are read by pread(2) into a window, never mapped: a file that shrinks
 * under its reader is an error then, not a SIGBUS. Most fit one window.
 */
#define READ_WINDOW (256 * 1024)

struct image_reader {
	int fd;
	struct error *err;
	const struct image_kind *kind; /* NULL until its magic was read */
	uint64_t size;		       /* of the file */
	uint64_t offset;	       /* of the next byte */
	uint64_t start;		       /* file offset of buf[0] */
	size_t filled, room;
	uint64_t entries;  /* read so far */
	struct pool *pool; /* that messages are in; NULL: each by itself */
	bool chunks;	   /* a ghost file in chunks: they are its further entries */
	uint8_t *buf;
	char name[IMAGE_NAME_MAX];
};

#define bad(r, at, fmt, ...)                                                           \
	fail_text((r)->err, -EBADMSG, "image %s: offset %" PRIu64 ": " fmt, (r)->name, \
		  (uint64_t)(at), ##__VA_ARGS__)

static int bad_hint(struct image_reader *r)
{
	fail_hint(r->err, "the file is damaged or incomplete: take the checkpoint again, or copy "
			  "it again from where it is whole");
	return -EBADMSG;
}

/* All of @len bytes at file offset @at. */
static int read_at(struct image_reader *r, uint64_t at, uint8_t *buf, size_t len)
{
	while (len) {
		ssize_t n = pread(r->fd, buf, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(r->err, -errno, "image %s: cannot read at offset %" PRIu64,
				    r->name, at);
		if (!n) {
			bad(r, at, "the file became shorter while it was read");
			return bad_hint(r);
		}
		buf += n;
		at += n;
		len -= n;
	}
	return 0;
}

/* Make the window hold @len bytes from the next byte on; the caller checked the size. */
static int need(struct image_reader *r, size_t len)
{
	size_t want;
	uint8_t *buf;
	int ret;

	if (r->offset >= r->start && r->offset + len <= r->start + r->filled)
		return 0;
	want = len > READ_WINDOW ? len : READ_WINDOW;
	if (want > r->size - r->offset)
		want = r->size - r->offset;
	if (want > r->room) {
		buf = realloc(r->buf, want);
		if (!buf)
			return fail(r->err, -ENOMEM, "image %s: entry of %zu bytes at %" PRIu64,
				    r->name, len, r->offset);
		r->buf = buf;
		r->room = want;
	}
	r->filled = 0;
	ret = read_at(r, r->offset, r->buf, want);
	if (ret)
		return ret;
	r->start = r->offset;
	r->filled = want;
	return 0;
}

static const uint8_t *here(const struct image_reader *r)
{
	return r->buf + (r->offset - r->start);
}

static int read_u32(struct image_reader *r, const char *what, uint32_t *value)
{
	int ret;

	if (image_left(r) < sizeof(*value)) {
		bad(r, r->offset, "%s is cut off by the end of the file", what);
		return bad_hint(r);
	}
	ret = need(r, sizeof(*value));
	if (ret)
		return ret;
	memcpy(value, here(r), sizeof(*value));
	r->offset += sizeof(*value);
	return 0;
}

static int check_magics(struct image_reader *r)
{
	const struct image_kind *kind = r->kind;
	const uint32_t head = kind->head == HEAD_SERVICE ? MAGIC_SERVICE : MAGIC_COMMON;
	uint32_t magic = 0;
	int ret;

	if (!kind->magic)
		return 0;
	if (kind->head != HEAD_NONE) {
		ret = read_u32(r, "the head magic", &magic);
		if (ret)
			return ret;
		if (magic != head) {
			bad(r, 0, "head magic 0x%08x instead of 0x%08x", magic, head);
			fail_hint(r->err, "not an image of CRIU's version 1.1 or later");
			return -EBADMSG;
		}
	}
	ret = read_u32(r, "the type magic", &magic);
	if (ret)
		return ret;
	if (magic == kind->magic)
		return 0;
	bad(r, r->offset - 4, "type magic 0x%08x instead of 0x%08x (%s)", magic, kind->magic,
	    kind->id);
	fail_hint(r->err, "the file holds another kind of image than its name says");
	return -EBADMSG;
}

/* The kind of a file of which only the contents are known. */
static int find_kind(struct image_reader *r)
{
	uint32_t magic;
	enum image_head head = HEAD_NONE;
	int ret = read_u32(r, "the magic", &magic);

	if (ret)
		return ret;
	if (magic == MAGIC_COMMON || magic == MAGIC_SERVICE) {
		head = magic == MAGIC_COMMON ? HEAD_COMMON : HEAD_SERVICE;
		ret = read_u32(r, "the type magic", &magic);
		if (ret)
			return ret;
	}
	r->kind = image_kind_of_magic(head, magic);
	if (r->kind)
		return 0;
	bad(r, r->offset - 4, "unknown magic 0x%08x", magic);
	fail_hint(r->err, "not an image file, a raw one (pages), or one of a newer version");
	return -EBADMSG;
}

int image_reader_new(int fd, const struct image_kind *kind, const char *name, struct error *err,
		     struct image_reader **ret)
{
	struct image_reader *r = calloc(1, sizeof(*r));
	struct stat st;
	int code;

	if (!r) {
		close(fd);
		return fail(err, -ENOMEM, "image %s", name);
	}
	r->fd = fd;
	r->err = err;
	r->kind = kind;
	image_copy_name(r->name, name);
	if (fstat(fd, &st))
		code = fail(err, -errno, "image %s: cannot stat", name);
	else if (!S_ISREG(st.st_mode))
		code = fail_text(err, -EINVAL, "image %s: not a regular file", name);
	else {
		r->size = st.st_size;
		code = kind ? check_magics(r) : find_kind(r);
	}
	if (code) {
		image_reader_free(r);
		return code;
	}
	*ret = r;
	return 0;
}

int image_open_path(int dirfd, const char *path, const struct image_kind *kind, bool optional,
		    struct error *err, struct image_reader **ret)
{
	/* O_NONBLOCK: a FIFO of that name must not make us wait for its writer. */
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0) {
		int code = -errno;

		if (code == -ENOENT && optional)
			return code;
		fail(err, code, "image %s: cannot open", path);
		if (code == -ENOENT)
			fail_hint(err, "the checkpoint is incomplete, or --images-dir names "
				       "another folder");
		return code;
	}
	return image_reader_new(fd, kind, path, err, ret);
}

int image_open(int dirfd, enum image_id id, uint64_t n, bool optional, struct error *err,
	       struct image_reader **ret)
{
	char name[IMAGE_NAME_MAX];

	image_name(id, n, name, sizeof(name));
	return image_open_path(dirfd, name, &image_kinds[id], optional, err, ret);
}

/* The length of the next entry, which the window holds then. 1, 0 at the end of the file, or an
 * error. */
static int entry_length(struct image_reader *r, uint32_t *len)
{
	const uint64_t at = r->offset;
	int code;

	if (!image_left(r))
		return 0;
	code = read_u32(r, "the length of an entry", len);
	if (code)
		return code;
	if (*len > image_left(r)) {
		bad(r, at, "entry %" PRIu64 " has %u bytes, the file only %" PRIu64 " more",
		    r->entries, *len, image_left(r));
		return bad_hint(r);
	}
	if (*len > IMAGE_ENTRY_MAX) {
		bad(r, at, "entry %" PRIu64 " of %u bytes is too long", r->entries, *len);
		return bad_hint(r);
	}
	code = need(r, *len);
	return code ? code : 1;
}

int image_pass(struct image_reader *r)
{
	uint32_t len;
	int code = entry_length(r, &len);

	if (code == 1) {
		r->offset += len;
		r->entries++;
	}
	return code;
}

static void *take(void *pool, size_t size)
{
	return pool_alloc(pool, size);
}

static void keep(void *pool, void *what)
{
	(void)pool;
	(void)what;
}

void image_reader_into(struct image_reader *r, struct pool *pool)
{
	r->pool = pool;
}

int image_read_as(struct image_reader *r, const ProtobufCMessageDescriptor *desc,
		  ProtobufCMessage **ret)
{
	ProtobufCAllocator pooled = {take, keep, r->pool};
	const uint64_t at = r->offset;
	ProtobufCMessage *msg;
	uint32_t len;
	int code = entry_length(r, &len);

	if (code != 1)
		return code;
	if (!nesting_is_sane(desc, here(r), len)) {
		bad(r, at, "entry %" PRIu64 " is nested too deeply", r->entries);
		return bad_hint(r);
	}
	msg = protobuf_c_message_unpack(desc, r->pool ? &pooled : NULL, len, here(r));
	if (!msg) {
		bad(r, at, "entry %" PRIu64 " is no valid %s", r->entries, desc->name);
		return bad_hint(r);
	}
	r->offset += len;
	r->entries++;
	*ret = msg;
	return 1;
}

int image_read(struct image_reader *r, ProtobufCMessage **ret)
{
	const ProtobufCMessageDescriptor *desc = r->kind->entry;
	int code;

	if (!desc)
		return fail_text(r->err, -EINVAL, "image %s: raw file, has no entries", r->name);
	if (r->kind->payload == PAYLOAD_PAGEMAP && !r->entries)
		desc = &pagemap_head__descriptor;
	if (r->chunks)
		desc = &ghost_chunk_entry__descriptor;
	if (r->kind->once && !r->chunks && r->entries && image_left(r)) {
		bad(r, r->offset, "something follows the only entry");
		return bad_hint(r);
	}
	code = image_read_as(r, desc, ret);
	if (code == 1 && desc == &ghost_file_entry__descriptor)
		r->chunks = ((const GhostFileEntry *)*ret)->chunks;
	if (code || r->entries || (!r->kind->once && r->kind->payload != PAYLOAD_PAGEMAP))
		return code;
	bad(r, r->offset, "the file ends before its first entry");
	return bad_hint(r);
}

int image_read_raw(struct image_reader *r, void *buf, uint64_t len)
{
	uint8_t *out = buf;
	size_t have = 0;

	if (len > image_left(r)) {
		bad(r, r->offset,
		    "%" PRIu64 " bytes of contents, the file has only %" PRIu64 " more", len,
		    image_left(r));
		return bad_hint(r);
	}
	if (out) {
		int ret;

		if (len < READ_WINDOW && need(r, len))
			return r->err->code;
		if (r->offset >= r->start && r->offset < r->start + r->filled)
			have = r->start + r->filled - r->offset;
		if (have > len)
			have = len;
		if (have)
			memcpy(out, here(r), have);
		ret = read_at(r, r->offset + have, out + have, len - have);
		if (ret)
			return ret;
	}
	r->offset += len;
	return 0;
}

uint64_t image_left(const struct image_reader *r)
{
	return r->size - r->offset;
}

uint64_t image_offset(const struct image_reader *r)
{
	return r->offset;
}

int image_reader_fd(const struct image_reader *r)
{
	return r->fd;
}

const struct image_kind *image_reader_kind(const struct image_reader *r)
{
	return r->kind;
}

void image_reader_free(struct image_reader *r)
{
	if (!r)
		return;
	close(r->fd);
	free(r->buf);
	free(r);
}

int image_get(int dirfd, enum image_id id, uint64_t n, bool optional, struct error *err,
	      ProtobufCMessage **ret)
{
	struct image_reader *r;
	ProtobufCMessage *msg = NULL, *more = NULL;
	int code = image_open(dirfd, id, n, optional, err, &r);

	if (code)
		return code;
	code = image_read(r, &msg);
	if (code == 1 && image_kinds[id].once && image_kinds[id].payload == PAYLOAD_NONE)
		code = image_read(r, &more) < 0 ? r->err->code : 1;
	image_reader_free(r);
	if (code == 1) {
		*ret = msg;
		return 0;
	}
	if (msg)
		protobuf_c_message_free_unpacked(msg, NULL);
	if (!code)
		code = fail_text(err, -EBADMSG, "image %s: no entry", image_kinds[id].format);
	return code;
}
