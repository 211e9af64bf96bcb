// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stddef.h>

#include "lib/run.h"
#include "resource/inherit.h"
#include "resource/kinds.h"

const struct resource *const resources[] = {
	&resource_pipe,	     &resource_eventfd,
	&resource_signalfd,  &resource_timerfd,
	&resource_secretmem, &resource_memfd,
	&resource_tty,	     &resource_fifo,
	&resource_reg,	     NULL,
};

const struct resource *resource_by_type(FdTypes type)
{
	const struct resource *const *r;

	for (r = resources; *r; r++) {
		if ((*r)->type == type)
			return *r;
	}
	return NULL;
}

void file_is(struct file *f, const struct resource *kind)
{
	f->res = kind;
	f->forget = kind->forget;
}

static int find_kind(struct run *run, struct file *f)
{
	const struct resource *kind = resource_by_type(f->msg->type);
	char name[16];

	if (!kind) {
		fail_text(&run->err, -EOPNOTSUPP,
			  "image files.img: kind %s of file id %u is not supported",
			  file_type_name(f->msg->type, name), f->id);
		return fail_hint(&run->err, "restore with criu, or close it before the dump");
	}
	file_is(f, kind);
	return 0;
}

int resources_load(struct run *run, struct checkpoint *cp)
{
	const struct resource *const *r;
	struct file **f;
	int ret;

	vec_for_each (&cp->files, f) {
		ret = find_kind(run, *f);
		if (ret)
			return ret;
	}
	for (r = resources; *r; r++) {
		ret = (*r)->load ? (*r)->load(run, cp) : 0;
		if (ret)
			return ret;
	}
	inherit_report(run, cp);
	return 0;
}
