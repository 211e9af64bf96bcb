// SPDX-License-Identifier: GPL-2.0-only
#include "resource/xattr.h"

#include <errno.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "lib/cleanup.h"

static int add(GhostFileEntry *e, const char *path, const char *name, char *value)
{
	ssize_t n = getxattr(path, name, value, XATTR_SIZE_MAX);
	GhostFileXattr **list, *x;

	if (n < 0)
		return errno == ENODATA ? 0 : -errno;
	list = reallocarray(e->xattrs, e->n_xattrs + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	e->xattrs = list;
	x = malloc(sizeof(*x));
	if (!x)
		return -ENOMEM;
	ghost_file_xattr__init(x);
	list[e->n_xattrs++] = x;
	x->name = strdup(name);
	x->value.data = malloc(n + 1);
	if (!x->name || !x->value.data)
		return -ENOMEM;
	memcpy(x->value.data, value, n);
	x->value.len = n;
	return 0;
}

int xattrs_read(int fd, GhostFileEntry *e)
{
	_cleanup_free_ char *names = NULL, *value = NULL;
	char path[40], *name;
	int ret = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = listxattr(path, NULL, 0);
	if (n <= 0)
		return n && errno != EOPNOTSUPP ? -errno : 0;
	names = malloc(XATTR_LIST_MAX);
	value = malloc(XATTR_SIZE_MAX);
	if (!names || !value)
		return -ENOMEM;
	n = listxattr(path, names, XATTR_LIST_MAX);
	if (n < 0)
		return -errno;
	for (name = names; !ret && name < names + n; name += strlen(name) + 1)
		ret = add(e, path, name, value);
	return ret;
}

void xattrs_free(GhostFileEntry *e)
{
	size_t i;

	for (i = 0; i < e->n_xattrs; i++) {
		free(e->xattrs[i]->name);
		free(e->xattrs[i]->value.data);
		free(e->xattrs[i]);
	}
	free(e->xattrs);
	e->xattrs = NULL;
	e->n_xattrs = 0;
}

int xattrs_write(const char *path, const GhostFileEntry *e, const char **name)
{
	size_t i;

	for (i = 0; i < e->n_xattrs; i++) {
		const GhostFileXattr *x = e->xattrs[i];

		*name = x->name;
		if (setxattr(path, x->name, x->value.data, x->value.len, 0))
			return -errno;
	}
	return 0;
}
