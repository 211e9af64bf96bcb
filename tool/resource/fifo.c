// SPDX-License-Identifier: GPL-2.0-only
/* Named pipes: a pipe, and the file that names it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/run.h"
#include "plan/fds.h"
#include "resource/collect.h"
#include "resource/inherit.h"
#include "resource/kinds.h"
#include "resource/pipe.h"
#include "resource/reg.h"

static bool match_fifo(const struct fd_probe *p)
{
	return S_ISFIFO(p->st.st_mode) && p->fstype != PIPEFS_MAGIC && p->fd >= 0 &&
	       !(p->flags & O_PATH);
}

static int collect_fifo(struct collect *c, const struct fd_probe *p, struct file *f)
{
	FifoEntry *e = malloc(sizeof(*e));
	struct file *named;
	int ret;

	if (!e)
		return fail(&c->run->err, -ENOMEM, "keep FIFO %s", p->link);
	fifo_entry__init(e);
	f->msg->fifo = e;
	e->id = f->id;
	e->pipe_id = p->st.st_ino;
	ret = collect_second(c, &resource_reg, p, &named);
	if (ret)
		return ret;
	e->has_regf_id = true;
	e->regf_id = named->id;
	return 0;
}

static uint32_t fifo_pipe_id(const struct file *f)
{
	return f->msg->fifo->pipe_id;
}

static int save_fifos(struct collect *c)
{
	return pipe_save_all(c, IMG_FIFO_DATA, FD_TYPES__FIFO, fifo_pipe_id);
}

static int describe_fifo(const struct file *f, char *buf, size_t size)
{
	return snprintf(buf, size, "FIFO [%u], named by file %u", f->msg->fifo->pipe_id,
			f->msg->fifo->regf_id);
}

/* --- restore --- */

/* file->data */
struct fifo {
	struct file *path; /* the file entry with name, flags and owner */
	bool fills;	   /* the first description of this FIFO fills it */
	struct pipe_data data;
};

static int load_fifo(struct run *run, struct checkpoint *cp)
{
	struct pipe_data_list data = {0};
	int ret = pipe_data_load(run, IMG_FIFO_DATA, &data);
	size_t i;

	for (i = 0; i < cp->files.n && !ret; i++) {
		struct file *f = cp->files.at[i];
		struct fifo *fifo;
		struct pipe_data *d;

		if (f->msg->type != FD_TYPES__FIFO)
			continue;
		fifo = calloc(1, sizeof(*fifo));
		if (!fifo) {
			ret = fail(&run->err, -ENOMEM, "fifo");
			break;
		}
		f->data = fifo;
		fifo->path = checkpoint_file(cp, f->msg->fifo->has_regf_id ? f->msg->fifo->regf_id
									   : f->id);
		if (!fifo->path || !fifo->path->msg->reg) {
			ret = fail_text(&run->err, -EBADMSG,
					"image files.img: fifo file id %u has no path", f->id);
			break;
		}
		d = pipe_data_find(&data, f->msg->fifo->pipe_id);
		if (d && d->bytes) {
			fifo->data = *d;
			fifo->fills = true;
			d->bytes = NULL;
			d->packets = NULL;
		}
	}
	pipe_data_free(&data);
	return ret;
}

static int open_fifo(struct plan *p, struct plan_slot *slot, struct file *f, struct operand *ret_fd)
{
	struct fifo *fifo = f->data;
	uint32_t flags = fifo->path->msg->reg->flags;
	struct operand both;
	bool own = false;
	int ret;

	if (fifo->path->outside) {
		ret = inherit_plan(p, slot, fifo->path, flags, INHERIT_SHARED, ret_fd, &own);
		if (!ret && own)
			plan_fown(p, slot, *ret_fd, fifo->path->msg->reg->fown);
		if (fifo->fills && fifo->data.len && (flags & O_ACCMODE) != O_WRONLY)
			log_warn(
				&p->run->log,
				"FIFO %s: %u bytes that were in it are not put into what takes its "
				"place",
				fifo->path->msg->reg->name, fifo->data.len);
		return ret;
	}
	/* With both ends open nothing blocks, neither this open nor the write. */
	ret = open_path(p, slot, fifo->path, O_RDWR | O_NONBLOCK, &both);
	if (ret)
		return ret;
	both = plan_put_aside(p, slot, both);
	ret = open_path(p, slot, fifo->path, flags, ret_fd);
	if (ret)
		return ret;
	if (fifo->fills)
		pipe_data_plan(p, slot, &fifo->data, false, both);
	plan_close(p, slot, both);
	plan_fown(p, slot, *ret_fd, fifo->path->msg->reg->fown);
	plan_status_flags(p, slot, *ret_fd, flags);
	return 0;
}

static void forget_fifo(struct file *f)
{
	struct fifo *fifo = f->data;

	if (fifo) {
		free(fifo->data.bytes);
		free(fifo->data.packets);
	}
	free(fifo);
	f->data = NULL;
}

const struct resource resource_fifo = {
	.name = "FIFO",
	.type = FD_TYPES__FIFO,
	.match = match_fifo,
	.collect = collect_fifo,
	.save = save_fifos,
	.describe = describe_fifo,
	.load = load_fifo,
	.open = open_fifo,
	.forget = forget_fifo,
};
