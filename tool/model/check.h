/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a loaded message must satisfy so that its users may rely on it: array
 * lengths, ranges, order. Images are hostile until they passed here.
 */
#ifndef STASIS_MODEL_CHECK_H
#define STASIS_MODEL_CHECK_H

#include "mem/vma.h"
#include "model/model.h"

/* The kernel's PID_MAX_LIMIT. */
#define CHECK_PID_MAX (4u << 20)

/* "image " + text, with the hint for images that contradict themselves; -EBADMSG. */
int bad_image(struct run *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

int check_file(struct run *run, const FileEntry *e);
int check_mm(struct run *run, pid_t pid, const MmEntry *e);
int check_core(struct run *run, const struct thread *th, bool leader);
/* Doubled ids, sessions and groups; after all tasks are loaded. */
int check_tree(struct run *run, const struct checkpoint *cp);

#endif
