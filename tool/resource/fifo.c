// SPDX-License-Identifier: GPL-2.0-only
/* Named pipes: a pipe, and the file that names it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>

#include "resource/collect.h"
#include "resource/kinds.h"
#include "resource/pipe.h"

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

const struct resource resource_fifo = {
	.name = "FIFO",
	.type = FD_TYPES__FIFO,
	.match = match_fifo,
	.collect = collect_fifo,
	.save = save_fifos,
	.describe = describe_fifo,
};
