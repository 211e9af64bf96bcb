// SPDX-License-Identifier: GPL-2.0-only
/* Files that are opened by a path: regular ones, folders, devices without state. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "resource/collect.h"
#include "resource/kinds.h"

/* Devices that are the same again once they are opened again. */
static bool stateless_device(const struct stat *st)
{
	static const unsigned char minors[] = {3 /* null */, 5 /* zero */, 7 /* full */,
					       8 /* random */, 9 /* urandom */};

	return S_ISCHR(st->st_mode) && major(st->st_rdev) == 1 &&
	       memchr(minors, minor(st->st_rdev), sizeof(minors));
}

static bool match_reg(const struct fd_probe *p)
{
	/* By a path, O_PATH descriptors and mappings name any kind of file. */
	bool name_only = p->fd < 0 || (p->flags & O_PATH);

	if (p->link[0] != '/')
		return false;
	return S_ISREG(p->st.st_mode) || S_ISDIR(p->st.st_mode) || stateless_device(&p->st) ||
	       (name_only && (p->flags & O_PATH));
}

static int refuse_path(struct collect *c, const struct fd_probe *p, const char *why,
		       const char *hint)
{
	char name[600];

	fail_text(&c->run->err, -EOPNOTSUPP, "%s %s", probe_name(p, name, sizeof(name)), why);
	return fail_hint(&c->run->err, "%s", hint);
}

/* The path has to lead to this very file at restore. */
static int check_path(struct collect *c, const struct fd_probe *p)
{
	struct stat st;

	if (p->st.st_nlink == 0)
		return refuse_path(c, p, "is deleted, which is not supported yet",
				   "let the program close it before the dump");
	if (fstatat(AT_FDCWD, p->link, &st, AT_SYMLINK_NOFOLLOW) || st.st_ino != p->st.st_ino ||
	    st.st_dev != p->st.st_dev)
		return refuse_path(
			c, p, "cannot be reached by its path",
			"it was renamed, replaced or mounted over: undo that before the dump");
	return 0;
}

static int collect_reg(struct collect *c, const struct fd_probe *p, struct file *f)
{
	RegFileEntry *e;
	int ret = check_path(c, p);

	if (ret)
		return ret;
	e = malloc(sizeof(*e));
	if (!e)
		return fail(&c->run->err, -ENOMEM, "keep file %s", p->link);
	reg_file_entry__init(e);
	f->msg->reg = e;
	e->id = f->id;
	e->flags = p->flags;
	e->pos = p->pos;
	e->fown = collect_fown(p);
	e->name = strdup(p->link);
	if (!e->fown || !e->name)
		return fail(&c->run->err, -ENOMEM, "keep file %s", p->link);
	e->has_mode = true;
	e->mode = p->st.st_mode;
	if (S_ISREG(p->st.st_mode)) {
		e->has_size = true;
		e->size = p->st.st_size;
	}
	return 0;
}

static int describe_reg(const struct file *f, char *buf, size_t size)
{
	const RegFileEntry *e = f->msg->reg;

	return snprintf(buf, size, "%s at %lu", e->name, e->pos);
}

const struct resource resource_reg = {
	.name = "file",
	.type = FD_TYPES__REG,
	.match = match_reg,
	.collect = collect_reg,
	.describe = describe_reg,
};
