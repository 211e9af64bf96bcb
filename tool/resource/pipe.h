/* SPDX-License-Identifier: GPL-2.0-only */
/* What pipes and FIFOs share. */
#ifndef STASIS_RESOURCE_PIPE_H
#define STASIS_RESOURCE_PIPE_H

#include "image/image.h"
#include "lib/vec.h"
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

/* --- restore: what was in a pipe or FIFO --- */

struct pipe_data {
	uint32_t id;
	uint32_t size; /* of the pipe's buffer; 0: as new */
	uint32_t len;
	uint8_t *bytes;
	uint32_t *packets; /* lengths, in packet mode */
	size_t n_packets;
};

struct pipe_data_list {
	VEC(struct pipe_data) list;
};

/* Read IMG_PIPES_DATA or IMG_FIFO_DATA; a missing image is empty. */
int pipe_data_load(struct run *run, enum image_id image, struct pipe_data_list *l);
struct pipe_data *pipe_data_find(struct pipe_data_list *l, uint32_t id);
void pipe_data_free(struct pipe_data_list *l);
/* Steps that make the buffer as large as it was and fill it; @packets: a writing end is in packet
 * mode. */
void pipe_data_plan(struct plan *p, struct plan_slot *slot, const struct pipe_data *d, bool packets,
		    struct operand write_end);

#endif
