// SPDX-License-Identifier: GPL-2.0-only
#include <stddef.h>

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
