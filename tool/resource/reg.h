/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STASIS_RESOURCE_REG_H
#define STASIS_RESOURCE_REG_H

#include "resource/resource.h"

struct ghost;
struct checksum;

/* file->data of a file with a path: at restore, and at dump for its checksum. */
struct reg {
	bool checked;		   /* or will be, by reg_check_all() */
	struct ghost *ghost;	   /* it was deleted (ghost.h) */
	struct checksum *checksum; /* that is being computed (checksum.h) */
	bool has_path;
	struct operand path;
};

/* f->data, made on first use; it lives as long as the checkpoint. NULL: no memory. */
struct reg *reg_of(struct checkpoint *cp, struct file *f);

/* Fills f->data; the file is one for reg_check_all(). */
int reg_ready(struct plan *p, struct file *f);
/*
 * Do the paths of all files in the plan lead to what they led to? Takes as long
 * as opening them, so it is done while the tasks are being restored.
 */
int reg_check_all(struct plan *p);

/* Open by path with other flags than the description had (mappings, cwd, exe). */
int open_path(struct plan *p, struct plan_slot *slot, struct file *f, uint32_t flags,
	      struct operand *ret_fd);

#endif
