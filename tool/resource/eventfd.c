// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resource/collect.h"
#include "resource/kinds.h"

static bool match_eventfd(const struct fd_probe *p)
{
	return !strcmp(p->link, "anon_inode:[eventfd]");
}

static int collect_eventfd(struct collect *c, const struct fd_probe *p, struct file *f)
{
	EventfdFileEntry *e;

	e = malloc(sizeof(*e));
	if (!e)
		return fail(&c->run->err, -ENOMEM, "keep an eventfd");
	eventfd_file_entry__init(e);
	f->msg->efd = e;
	e->id = f->id;
	e->flags = p->flags;
	/* EFD_SEMAPHORE cannot be read from the flags; fdinfo has it since 6.5. */
	if (probe_number(p, "eventfd-semaphore", 10))
		e->flags |= 1;
	e->counter = probe_number(p, "eventfd-count", 16);
	e->fown = collect_fown(p);
	return e->fown ? 0 : fail(&c->run->err, -ENOMEM, "keep an eventfd");
}

static int describe_eventfd(const struct file *f, char *buf, size_t size)
{
	return snprintf(buf, size, "eventfd %lu%s", f->msg->efd->counter,
			f->msg->efd->flags & 1 ? " (semaphore)" : "");
}

const struct resource resource_eventfd = {
	.name = "eventfd",
	.type = FD_TYPES__EVENTFD,
	.match = match_eventfd,
	.collect = collect_eventfd,
	.describe = describe_eventfd,
};
