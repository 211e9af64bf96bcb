/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The probes of kernel/features.c. Each runs in a child of its own, tries the
 * interface, and returns 0 or a negative errno: -EPERM and -EACCES mean that it
 * could not find out. What it leaves behind goes with the child.
 */
#ifndef STASIS_KERNEL_PROBE_H
#define STASIS_KERNEL_PROBE_H

#include <errno.h>
#include <stdbool.h>
#include <sys/types.h>

#define FEATURE(id, ...) int probe_##id(void);
#include "kernel/feature_rows.h"
#undef FEATURE

/* The result of a system call as a probe's. */
static inline int probe_call(long r)
{
	return r < 0 ? -errno : 0;
}

/* Whether @path can be looked at. */
int probe_path(const char *path);

/* Whether the start of file @path has @what in it: 0, -EOPNOTSUPP, or an error of reading. */
int probe_text(const char *path, const char *what);
int probe_fdinfo(int fd, const char *what);

/*
 * A child that has done setup() (NULL: nothing; its error is returned) and waits
 * for signals; it dies with its parent.
 */
int probe_child(int (*setup)(void), pid_t *ret);
/* The same, seized and stopped by ptrace. */
int probe_tracee(int (*setup)(void), pid_t *ret);

/* Enter a user namespace with all capabilities if the caller is not root. */
int probe_be_root(void);

#endif
