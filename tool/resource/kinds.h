/* SPDX-License-Identifier: GPL-2.0-only */
/* The rows of resources[]. */
#ifndef STASIS_RESOURCE_KINDS_H
#define STASIS_RESOURCE_KINDS_H

#include "resource/resource.h"

extern const struct resource resource_reg, resource_pipe, resource_fifo, resource_eventfd,
	resource_memfd, resource_secretmem, resource_signalfd, resource_timerfd, resource_tty;

#endif
