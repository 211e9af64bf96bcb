// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/image.h"
#include "image/magic.h"

/* One write(2) for most files: a checkpoint of 1000 tasks has 7000 of them. */
#define WRITE_BUFFER (64 * 1024)

struct image_writer {
	int fd;
	int status; /* the first error; later calls return it and do nothing */
	struct error *err;
	uint64_t offset; /* of the first byte in buf */
	size_t used;
	char name[IMAGE_NAME_MAX];
	uint8_t buf[WRITE_BUFFER];
};

static int write_failed(struct image_writer *w, int code, const char *what)
{
	w->status = fail(w->err, code, "image %s: %s at offset %" PRIu64, w->name, what, w->offset);
	if (code == -ENOSPC || code == -EDQUOT)
		fail_hint(w->err, "free space on the file system of the images, or use another -D");
	return w->status;
}

static int write_all(struct image_writer *w, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = write(w->fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return write_failed(w, -errno, "cannot write");
		w->offset += n;
		data += n;
		len -= n;
	}
	return 0;
}

static int flush(struct image_writer *w)
{
	size_t used = w->used;

	w->used = 0;
	return write_all(w, w->buf, used);
}

int image_write_raw(struct image_writer *w, const void *data, size_t len)
{
	int ret;

	if (w->status)
		return w->status;
	if (len > sizeof(w->buf) - w->used) {
		ret = flush(w);
		if (ret)
			return ret;
		if (len >= sizeof(w->buf))
			return write_all(w, data, len);
	}
	if (len)
		memcpy(w->buf + w->used, data, len);
	w->used += len;
	return 0;
}

static int write_magics(struct image_writer *w, const struct image_kind *kind)
{
	uint32_t magic[2] = {kind->head == HEAD_SERVICE ? MAGIC_SERVICE : MAGIC_COMMON,
			     kind->magic};

	if (!kind->magic)
		return 0;
	if (kind->head == HEAD_NONE)
		return image_write_raw(w, &magic[1], sizeof(magic[1]));
	return image_write_raw(w, magic, sizeof(magic));
}

int image_writer_new(int fd, const struct image_kind *kind, const char *name, struct error *err,
		     struct image_writer **ret)
{
	struct image_writer *w = malloc(sizeof(*w));

	if (!w) {
		close(fd);
		return fail(err, -ENOMEM, "image %s: cannot allocate a buffer", name);
	}
	w->fd = fd;
	w->status = 0;
	w->err = err;
	w->offset = 0;
	w->used = 0;
	image_copy_name(w->name, name);
	write_magics(w, kind); /* fits the buffer: cannot fail */
	*ret = w;
	return 0;
}

/*
 * A file that is there is replaced, not overwritten: it may be a link into an
 * older checkpoint, a symlink to somewhere else, or readable for others.
 */
static int create_file(int dirfd, const char *name)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
	int fd = openat(dirfd, name, flags, 0600);

	if (fd < 0 && errno == EEXIST && !unlinkat(dirfd, name, 0))
		fd = openat(dirfd, name, flags, 0600);
	return fd < 0 ? -errno : fd;
}

int image_create(int dirfd, enum image_id id, uint64_t n, struct error *err,
		 struct image_writer **ret)
{
	char name[IMAGE_NAME_MAX];
	int fd;

	image_name(id, n, name, sizeof(name));
	fd = create_file(dirfd, name);
	if (fd < 0) {
		fail(err, fd, "image %s: cannot create", name);
		if (fd == -EROFS || fd == -EACCES || fd == -EPERM)
			fail_hint(err, "choose a folder that can be written to with --images-dir");
		return fd;
	}
	return image_writer_new(fd, &image_kinds[id], name, err, ret);
}

/* A message that does not fit what is left of the buffer is packed aside. */
static int write_packed(struct image_writer *w, const ProtobufCMessage *msg, uint32_t len)
{
	uint8_t *tmp = malloc(len);
	int ret;

	if (!tmp)
		return write_failed(w, -ENOMEM, "cannot pack an entry");
	protobuf_c_message_pack(msg, tmp);
	ret = image_write_raw(w, tmp, len);
	free(tmp);
	return ret;
}

int image_write(struct image_writer *w, const ProtobufCMessage *msg)
{
	size_t size = protobuf_c_message_get_packed_size(msg);
	uint32_t len = size;
	int ret;

	if (w->status)
		return w->status;
	if (size > IMAGE_ENTRY_MAX)
		return write_failed(w, -EFBIG, "entry too long to be read again");
	if (sizeof(w->buf) - w->used < sizeof(len) + size) {
		ret = flush(w);
		if (ret)
			return ret;
	}
	ret = image_write_raw(w, &len, sizeof(len));
	if (ret)
		return ret;
	if (sizeof(w->buf) - w->used < size)
		return write_packed(w, msg, len);
	w->used += protobuf_c_message_pack(msg, w->buf + w->used);
	return 0;
}

void image_writer_error(struct image_writer *w, struct error *err)
{
	w->err = err;
}

int image_writer_fd(struct image_writer *w)
{
	int ret = w->status ?: flush(w);

	return ret ?: w->fd;
}

int image_close(struct image_writer *w)
{
	int ret;

	if (!w)
		return 0;
	ret = w->status ?: flush(w);
	if (close(w->fd) && !ret)
		ret = write_failed(w, -errno, "cannot close");
	free(w);
	return ret;
}

int image_put(int dirfd, enum image_id id, uint64_t n, const ProtobufCMessage *msg,
	      struct error *err)
{
	struct image_writer *w;
	int ret = image_create(dirfd, id, n, err, &w);

	if (ret)
		return ret;
	image_write(w, msg);
	return image_close(w);
}
