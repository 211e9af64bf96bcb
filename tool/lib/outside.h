/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What lies outside of a checkpoint, by the names that CRIU gives it on the command line and
 * in images: --external at dump, --inherit-fd at restore.
 */
#ifndef STASIS_LIB_OUTSIDE_H
#define STASIS_LIB_OUTSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/vec.h"

struct options;

struct outside {
	char *name; /* "pipe:[77]", "tty[8801:1b]", "file[1f:83]", "/memfd:a", "var/log/x" */
	int fd;	    /* --inherit-fd: ours that takes its place, else -1 */
	bool used;  /* something in the tree or in the checkpoint has this name */
	unsigned int flags; /* of fd: F_GETFL, */
	unsigned int mode;  /* its st_mode, */
	bool on_pipefs;	    /* and whether it is a pipe without a name, */
	bool on_pts;	    /* or the slave of a pty */
};

struct outsides {
	VEC(struct outside) list;
};

/* Is everything that was said of a form that is known? Else -EINVAL or -EOPNOTSUPP, which says. */
int outside_check(const struct options *opt, struct error *err);

/*
 * The values of --external, or (@inherit) of --inherit-fd, whose descriptors must be open: to
 * be called before anything is opened that might get such a number. NULL and 0 when there are none.
 */
int outside_open(const struct options *opt, bool inherit, struct error *err, struct outsides **ret);
void outside_free(struct outsides *o);

/* The first of that name, which counts as used from now on; or NULL. @o may be NULL. */
struct outside *outside_find(struct outsides *o, const char *name);
/* Is any of the names of this kind, that is: does one start with @start? */
bool outside_has(const struct outsides *o, const char *start);

/* Names of a file on a mount, and of a terminal. */
#define OUTSIDE_NAME_MAX 64
void outside_file_name(char buf[OUTSIDE_NAME_MAX], uint64_t mnt_id, uint64_t ino);
void outside_tty_name(char buf[OUTSIDE_NAME_MAX], uint64_t rdev, uint64_t dev);

#endif
