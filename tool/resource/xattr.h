/* SPDX-License-Identifier: GPL-2.0-only */
/* Extended attributes of deleted files. */
#ifndef STASIS_RESOURCE_XATTR_H
#define STASIS_RESOURCE_XATTR_H

#include "proto/stasis.pb-c.h"

/* Those of the file that @fd names (O_PATH will do), into @e: 0 or a negative errno. */
int xattrs_read(int fd, GhostFileEntry *e);
void xattrs_free(GhostFileEntry *e);
/* Set them on the file that @path leads to; *@name is the one that failed. */
int xattrs_write(const char *path, const GhostFileEntry *e, const char **name);

#endif
