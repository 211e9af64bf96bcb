// SPDX-License-Identifier: GPL-2.0-only
/* The signals themselves are pending in the tasks: see sigpending.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan/fds.h"
#include "resource/collect.h"
#include "resource/kinds.h"

static bool match_signalfd(const struct fd_probe *p)
{
	return !strcmp(p->link, "anon_inode:[signalfd]");
}

static int collect_signalfd(struct collect *c, const struct fd_probe *p, struct file *f)
{
	SignalfdEntry *e = malloc(sizeof(*e));

	if (!e)
		return fail(&c->run->err, -ENOMEM, "keep a signalfd");
	signalfd_entry__init(e);
	f->msg->sgfd = e;
	e->id = f->id;
	e->flags = p->flags;
	e->sigmask = probe_number(p, "sigmask", 16);
	e->fown = collect_fown(p);
	return e->fown ? 0 : fail(&c->run->err, -ENOMEM, "keep a signalfd");
}

static int describe_signalfd(const struct file *f, char *buf, size_t size)
{
	return snprintf(buf, size, "signalfd %#lx", f->msg->sgfd->sigmask);
}

static int open_signalfd(struct plan *p, struct plan_slot *slot, struct file *f,
			 struct operand *ret_fd)
{
	const SignalfdEntry *e = f->msg->sgfd;

	*ret_fd = plan_open(p, slot, "signalfd, file id %ld", f->id, __NR_signalfd4, imm(-1),
			    plan_data(p, &e->sigmask, sizeof(e->sigmask)), imm(sizeof(e->sigmask)),
			    imm((e->flags & O_NONBLOCK) | plan_cloexec(slot)));
	plan_fown(p, slot, *ret_fd, e->fown);
	return 0;
}

const struct resource resource_signalfd = {
	.name = "signalfd",
	.type = FD_TYPES__SIGNALFD,
	.match = match_signalfd,
	.collect = collect_signalfd,
	.describe = describe_signalfd,
	.open = open_signalfd,
};
