// SPDX-License-Identifier: GPL-2.0-only
/* Pipes and what is in them; fifo.c shares the contents. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/run.h"
#include "plan/fds.h"
#include "resource/collect.h"
#include "resource/inherit.h"
#include "resource/kinds.h"
#include "resource/pipe.h"

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

/*
 * Duplicate the contents with tee(2), which takes nothing out of the pipe. In
 * packet mode (O_DIRECT) a read gives one packet: their lengths go into @e.
 */
static int copy_contents(int from, uint8_t *buf, int bytes, int room, PipeDataEntry *e)
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
		e->packets[e->n_packets++] = n;
	}
	return 0;
}

int pipe_save_contents(struct collect *c, struct image_writer *w, const struct file *f,
		       uint32_t pipe_id)
{
	PipeDataEntry e = PIPE_DATA_ENTRY__INIT;
	_cleanup_close_ int fd = reading_end(f);
	_cleanup_free_ uint32_t *packets = NULL;
	_cleanup_free_ uint8_t *buf = NULL;
	int bytes = 0, size, ret;

	if (fd < 0)
		return fail(&c->run->err, fd, "task %d: open pipe %u of descriptor %d",
			    f->holder_pid, pipe_id, f->holder_fd);
	size = fcntl(fd, F_GETPIPE_SZ);
	if (size < 0 || ioctl(fd, FIONREAD, &bytes))
		return fail(&c->run->err, -errno, "pipe %u: ask its size", pipe_id);
	buf = malloc(bytes + 1);
	e.packets = packets = malloc((bytes + 1) * sizeof(*packets));
	ret = !buf || !packets ? -ENOMEM : bytes ? copy_contents(fd, buf, bytes, size, &e) : 0;
	/* Only packets need more than one read. */
	if (e.n_packets == 1)
		e.n_packets = 0;
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

static int identify_pipe(const struct file *f, char *buf, size_t size)
{
	return snprintf(buf, size, "pipe:[%u]", f->msg->pipe->pipe_id);
}

/* --- restore --- */

/* More than any pipe holds (pipe-max-size may be raised, but hardly to this). */
#define MAX_CONTENTS (1u << 30)

/* --- contents, for FIFOs too -------------------------------------------- */

struct pipe_data *pipe_data_find(struct pipe_data_list *l, uint32_t id)
{
	struct pipe_data *d;

	vec_for_each (&l->list, d)
		if (d->id == id)
			return d;
	return NULL;
}

static int read_contents(struct run *run, struct image_reader *r, const PipeDataEntry *e,
			 struct pipe_data *d)
{
	d->id = e->pipe_id;
	d->size = e->has_size ? e->size : 0;
	d->len = e->bytes;
	if (e->bytes > MAX_CONTENTS || e->bytes > image_left(r))
		return fail_text(&run->err, -EBADMSG, "contents of pipe %#x: %u bytes", e->pipe_id,
				 e->bytes);
	d->bytes = malloc(e->bytes + 1);
	if (!d->bytes)
		return fail(&run->err, -ENOMEM, "contents of pipe %#x", e->pipe_id);
	if (e->n_packets) {
		uint64_t sum = 0;
		size_t i;

		for (i = 0; i < e->n_packets; i++)
			sum += e->packets[i];
		if (sum != e->bytes)
			return fail_text(&run->err, -EBADMSG,
					 "contents of pipe %#x: packets of %lu bytes in %u",
					 e->pipe_id, sum, e->bytes);
		d->packets = malloc(e->n_packets * sizeof(*d->packets));
		if (!d->packets)
			return fail(&run->err, -ENOMEM, "contents of pipe %#x", e->pipe_id);
		memcpy(d->packets, e->packets, e->n_packets * sizeof(*d->packets));
		d->n_packets = e->n_packets;
	}
	return image_read_raw(r, d->bytes, e->bytes);
}

int pipe_data_load(struct run *run, enum image_id image, struct pipe_data_list *l)
{
	struct image_reader *r;
	ProtobufCMessage *msg;
	int ret = image_open(run->images_dirfd, image, 0, true, &run->err, &r);

	if (ret)
		return ret == -ENOENT && !run->err.code ? 0 : ret;
	while ((ret = image_read(r, &msg)) == 1) {
		struct pipe_data *d = vec_add(&l->list);

		ret = d ? read_contents(run, r, (PipeDataEntry *)msg, d)
			: fail(&run->err, -ENOMEM, "contents of pipes");
		protobuf_c_message_free_unpacked(msg, NULL);
		if (ret)
			break;
	}
	image_reader_free(r);
	return ret;
}

void pipe_data_free(struct pipe_data_list *l)
{
	struct pipe_data *d;

	vec_for_each (&l->list, d) {
		free(d->bytes);
		free(d->packets);
	}
	vec_free(&l->list);
}

void pipe_data_plan(struct plan *p, struct plan_slot *slot, const struct pipe_data *d, bool packets,
		    struct operand write_end)
{
	size_t i, at = 0;

	if (d->size)
		plan_call(p, slot, "size of the pipe", d->size, __NR_fcntl, write_end,
			  imm(F_SETPIPE_SZ), imm(d->size));
	if (d->len && (packets || d->n_packets))
		plan_call(p, slot, "packet mode", 0, __NR_fcntl, write_end, imm(F_SETFL),
			  imm(O_WRONLY | O_DIRECT | O_NONBLOCK));
	if (d->n_packets) {
		for (i = 0; i < d->n_packets; at += d->packets[i++])
			plan_call_expect(p, slot, "packet of %ld bytes", d->packets[i], __NR_write,
					 d->packets[i], write_end,
					 plan_data(p, d->bytes + at, d->packets[i]),
					 imm(d->packets[i]));
	} else if (d->len)
		plan_call_expect(p, slot, "contents of the pipe, %ld bytes", d->len, __NR_write,
				 d->len, write_end, plan_data(p, d->bytes, d->len), imm(d->len));
}

/* --- pipes -------------------------------------------------------------- */

/* A pipe: file->data of all descriptions of its ends. */
struct pipe {
	uint32_t id;
	unsigned int refs;
	struct file *ends[2]; /* the first description of the read end, of the write end */
	struct pipe_data data;
	struct plan_slot *maker;
};

static bool writes(const struct file *f)
{
	return (f->msg->pipe->flags & O_ACCMODE) != O_RDONLY;
}

struct by_id {
	uint32_t id;
	struct file *f;
};

static int compare(const void *a, const void *b)
{
	const struct by_id *x = a, *y = b;

	return x->id != y->id ? (x->id > y->id) - (x->id < y->id)
			      : (x->f->id > y->f->id) - (x->f->id < y->f->id);
}

/* Link the ends of each pipe. */
static int link_pipes(struct run *run, struct by_id *v, size_t n, struct pipe_data_list *data)
{
	struct pipe *pipe = NULL;
	size_t i;

	for (i = 0; i < n; i++) {
		struct file *f = v[i].f;
		struct pipe_data *d;

		if (!pipe || pipe->id != v[i].id) {
			pipe = calloc(1, sizeof(*pipe));
			if (!pipe)
				return fail(&run->err, -ENOMEM, "pipe %#x", v[i].id);
			pipe->id = v[i].id;
			d = pipe_data_find(data, pipe->id);
			if (d) {
				pipe->data = *d;
				d->bytes = NULL;
				d->packets = NULL;
			}
		}
		f->data = pipe;
		pipe->refs++;
		if (!pipe->ends[writes(f)])
			pipe->ends[writes(f)] = f;
	}
	return 0;
}

/* What a pipe of somebody else's holds is theirs to say, even if it was for a task of the tree. */
static void warn_of_contents(struct run *run, struct checkpoint *cp)
{
	struct file **f;

	vec_for_each (&cp->files, f) {
		const struct pipe *pipe = (*f)->data;

		if ((*f)->msg->type == FD_TYPES__PIPE && (*f)->outside && pipe && pipe->data.len &&
		    pipe->ends[0] == *f)
			log_warn(&run->log,
				 "pipe:[%u]: %u bytes that were in it are not put into what takes "
				 "its place",
				 pipe->id, pipe->data.len);
	}
}

static int load_pipes(struct run *run, struct checkpoint *cp)
{
	struct pipe_data_list data = {0};
	struct by_id *v = calloc(cp->files.n + 1, sizeof(*v));
	size_t i, n = 0;
	int ret;

	if (!v)
		return fail(&run->err, -ENOMEM, "pipes");
	for (i = 0; i < cp->files.n; i++)
		if (cp->files.at[i]->msg->type == FD_TYPES__PIPE)
			v[n++] = (struct by_id){cp->files.at[i]->msg->pipe->pipe_id,
						cp->files.at[i]};
	qsort(v, n, sizeof(*v), compare);
	ret = pipe_data_load(run, IMG_PIPES_DATA, &data);
	if (!ret)
		ret = link_pipes(run, v, n, &data);
	pipe_data_free(&data);
	free(v);
	inherit_match(run, cp, FD_TYPES__PIPE);
	warn_of_contents(run, cp);
	return ret;
}

/* Both ends at once; the one that nobody has is closed again. */
static void make_pipe(struct plan *p, struct plan_slot *slot, struct pipe *pipe, struct file *f,
		      struct operand *ret_fd)
{
	uint32_t flags = f->msg->pipe->flags & (O_NONBLOCK | O_DIRECT);
	struct file *other = pipe->ends[!writes(f)];
	int end[2];

	end[0] = plan_fd_take(p, slot);
	end[1] = plan_fd_take(p, slot);
	plan_call(p, slot, "pipe %ld", pipe->id, __NR_pipe2, plan_data(p, NULL, 2 * sizeof(int)),
		  imm(flags | plan_cloexec(slot)));
	pipe_data_plan(p, slot, &pipe->data,
		       pipe->ends[1] && pipe->ends[1]->msg->pipe->flags & O_DIRECT, imm(end[1]));
	if (other)
		plan_file_opened(p, slot, other, end[!writes(f)]);
	else
		plan_close(p, slot, imm(end[!writes(f)]));
	*ret_fd = imm(end[writes(f)]);
	if (other) {
		uint32_t theirs = other->msg->pipe->flags & (O_NONBLOCK | O_DIRECT);

		if (theirs != flags)
			plan_call(p, slot, "flags of the other end", theirs, __NR_fcntl,
				  imm(end[!writes(f)]), imm(F_SETFL), imm(theirs));
		plan_fown(p, slot, imm(end[!writes(f)]), other->msg->pipe->fown);
		plan_status_flags(p, slot, imm(end[!writes(f)]), other->msg->pipe->flags);
	}
}

static int open_pipe(struct plan *p, struct plan_slot *slot, struct file *f, struct operand *ret_fd)
{
	struct pipe *pipe = f->data;
	bool own = true;

	if (f->outside) {
		int ret = inherit_plan(p, slot, f, f->msg->pipe->flags, INHERIT_SHARED, ret_fd,
				       &own);

		if (ret || !own)
			return ret;
	} else if (pipe->maker && f != pipe->ends[writes(f)]) {
		/* A further description of an end: by the link of one that is there. */
		int ret = plan_reopen(p, slot, pipe->ends[0] ? pipe->ends[0] : pipe->ends[1],
				      f->msg->pipe->flags, ret_fd);

		if (ret)
			return ret;
	} else {
		pipe->maker = slot;
		make_pipe(p, slot, pipe, f, ret_fd);
	}
	plan_fown(p, slot, *ret_fd, f->msg->pipe->fown);
	plan_status_flags(p, slot, *ret_fd, f->msg->pipe->flags);
	return 0;
}

static void forget_pipe(struct file *f)
{
	struct pipe *pipe = f->data;

	if (pipe && !--pipe->refs) {
		free(pipe->data.bytes);
		free(pipe->data.packets);
		free(pipe);
	}
	f->data = NULL;
}

const struct resource resource_pipe = {
	.name = "pipe",
	.type = FD_TYPES__PIPE,
	.match = match_pipe,
	.collect = collect_pipe,
	.save = save_pipes,
	.identity = identify_pipe,
	.describe = describe_pipe,
	.load = load_pipes,
	.open = open_pipe,
	.forget = forget_pipe,
};
