// SPDX-License-Identifier: GPL-2.0-only
/* Pipes and what is in them; fifo.c shares the contents. */
#include "resource/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "resource/collect.h"
#include "resource/kinds.h"

static bool match_pipe(const struct fd_probe *p)
{
	return S_ISFIFO(p->st.st_mode) && p->fstype == PIPEFS_MAGIC;
}

static int collect_pipe(struct collect *c, const struct fd_probe *p, struct file *f)
{
	PipeEntry *e = malloc(sizeof(*e));

	if (!e)
		return fail(&c->run->err, -ENOMEM, "keep pipe %s", p->link);
	pipe_entry__init(e);
	f->msg->pipe = e;
	e->id = f->id;
	e->pipe_id = p->st.st_ino;
	e->flags = p->flags;
	e->fown = collect_fown(p);
	return e->fown ? 0 : fail(&c->run->err, -ENOMEM, "keep pipe %s", p->link);
}

/* A reading end of our own, whatever end the task has; the pipe is left as it is. */
static int reading_end(const struct file *f)
{
	_cleanup_close_ int fd = file_local(f);
	char path[40];
	int ret;

	if (fd < 0)
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ret = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return ret < 0 ? -errno : ret;
}

/* Duplicate the contents with tee(2), which takes nothing out of the pipe. */
static int copy_contents(int from, uint8_t *buf, int bytes, int room)
{
	_cleanup_close_ int r = -1, w = -1;
	int ends[2], got = 0;
	ssize_t n;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	r = ends[0];
	w = ends[1];
	if (fcntl(w, F_SETPIPE_SZ, room) < 0)
		return -errno;
	n = tee(from, w, bytes, SPLICE_F_NONBLOCK);
	if (n < 0)
		return -errno;
	if (n != bytes)
		return -EIO;
	while (got < bytes) {
		n = read(r, buf + got, bytes - got);
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		got += n;
	}
	return 0;
}

int pipe_save_contents(struct collect *c, struct image_writer *w, const struct file *f,
		       uint32_t pipe_id)
{
	PipeDataEntry e = PIPE_DATA_ENTRY__INIT;
	_cleanup_close_ int fd = reading_end(f);
	_cleanup_free_ uint8_t *buf = NULL;
	int bytes = 0, size, ret;

	if (fd < 0)
		return fail(&c->run->err, fd, "task %d: open pipe %u of descriptor %d",
			    f->holder_pid, pipe_id, f->holder_fd);
	size = fcntl(fd, F_GETPIPE_SZ);
	if (size < 0 || ioctl(fd, FIONREAD, &bytes))
		return fail(&c->run->err, -errno, "pipe %u: ask its size", pipe_id);
	buf = malloc(bytes + 1);
	ret = !buf ? -ENOMEM : bytes ? copy_contents(fd, buf, bytes, size) : 0;
	if (ret)
		return fail(&c->run->err, ret, "pipe %u: copy its %d bytes", pipe_id, bytes);
	e.pipe_id = pipe_id;
	e.bytes = bytes;
	e.has_size = true;
	e.size = size;
	ret = image_write(w, &e.base);
	return ret ? ret : image_write_raw(w, buf, bytes);
}

static int by_id(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static int save_one(struct collect *c, struct image_writer *w, const struct file *f, uint32_t id,
		    uint32_t *seen, size_t *n_seen)
{
	if (bsearch(&id, seen, *n_seen, sizeof(*seen), by_id))
		return 0;
	seen[(*n_seen)++] = id;
	qsort(seen, *n_seen, sizeof(*seen), by_id);
	return pipe_save_contents(c, w, f, id);
}

int pipe_save_all(struct collect *c, enum image_id image, FdTypes type,
		  uint32_t (*id_of)(const struct file *f))
{
	_cleanup_free_ uint32_t *seen = malloc((c->cp->files.n + 1) * sizeof(*seen));
	struct image_writer *w = NULL;
	size_t i, n_seen = 0;
	int ret = 0, closed;

	if (!seen)
		return fail(&c->run->err, -ENOMEM, "keep pipes");
	for (i = 0; !ret && i < c->cp->files.n; i++) {
		const struct file *f = c->cp->files.at[i];

		if (f->msg->type != type)
			continue;
		if (!w)
			ret = image_create(c->run->images_dirfd, image, 0, &c->run->err, &w);
		if (!ret)
			ret = save_one(c, w, f, id_of(f), seen, &n_seen);
	}
	closed = image_close(w);
	return ret ? ret : closed;
}

static uint32_t pipe_id(const struct file *f)
{
	return f->msg->pipe->pipe_id;
}

static int save_pipes(struct collect *c)
{
	return pipe_save_all(c, IMG_PIPES_DATA, FD_TYPES__PIPE, pipe_id);
}

static int describe_pipe(const struct file *f, char *buf, size_t size)
{
	const PipeEntry *e = f->msg->pipe;

	return snprintf(buf, size, "pipe:[%u] %s", e->pipe_id,
			(e->flags & O_ACCMODE) == O_RDONLY ? "reading" : "writing");
}

const struct resource resource_pipe = {
	.name = "pipe",
	.type = FD_TYPES__PIPE,
	.match = match_pipe,
	.collect = collect_pipe,
	.save = save_pipes,
	.describe = describe_pipe,
};
