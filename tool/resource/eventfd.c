// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "plan/fds.h"
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

/* --- restore --- */

static int open_eventfd(struct plan *p, struct plan_slot *slot, struct file *f,
			struct operand *ret_fd)
{
	const EventfdFileEntry *e = f->msg->efd;
	uint64_t flags = e->flags & (O_NONBLOCK | EFD_SEMAPHORE);
	struct operand fd;

	fd = plan_open(p, slot, "eventfd, file id %ld", f->id, __NR_eventfd2, imm(0),
		       imm(flags | plan_cloexec(slot)));
	if (e->counter)
		plan_call_expect(p, slot, "counter %ld", e->counter, __NR_write, sizeof(e->counter),
				 fd, plan_data(p, &e->counter, sizeof(e->counter)),
				 imm(sizeof(e->counter)));
	plan_fown(p, slot, fd, e->fown);
	*ret_fd = fd;
	return 0;
}

const struct resource resource_eventfd = {
	.name = "eventfd",
	.type = FD_TYPES__EVENTFD,
	.match = match_eventfd,
	.collect = collect_eventfd,
	.describe = describe_eventfd,
	.open = open_eventfd,
};
