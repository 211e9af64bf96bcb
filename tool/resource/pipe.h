/* SPDX-License-Identifier: GPL-2.0-only */
/* What pipes and FIFOs share. */
#ifndef STASIS_RESOURCE_PIPE_H
#define STASIS_RESOURCE_PIPE_H

#include "image/image.h"
#include "resource/resource.h"

/*
 * Write the contents of every pipe that descriptions of @type have, each once,
 * to @image (pipe_data_entry and bytes). tee(2) leaves them in place.
 */
int pipe_save_all(struct collect *c, enum image_id image, FdTypes type,
		  uint32_t (*id_of)(const struct file *f));

/* The same for one pipe, of which @f is an end. */
int pipe_save_contents(struct collect *c, struct image_writer *w, const struct file *f,
		       uint32_t pipe_id);

#endif
