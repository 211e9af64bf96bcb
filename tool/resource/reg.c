// SPDX-License-Identifier: GPL-2.0-only
/* Files that are opened by a path: regular ones, folders, devices without state. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/outside.h"
#include "plan/fds.h"
#include "resource/collect.h"
#include "resource/ghost.h"
#include "resource/inherit.h"
#include "resource/kinds.h"
#include "resource/reg.h"
#include "resource/validate.h"

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
	if (p->external)
		return !S_ISFIFO(p->st.st_mode);
	return S_ISREG(p->st.st_mode) || S_ISDIR(p->st.st_mode) || stateless_device(&p->st) ||
	       (name_only && (p->flags & O_PATH));
}

/* The kernel marks names of files that are gone. */
static char *name_of(const struct fd_probe *p)
{
	static const char mark[] = " (deleted)";
	size_t len = strlen(p->link), tail = sizeof(mark) - 1;

	if (len > tail && !strcmp(p->link + len - tail, mark))
		len -= tail;
	return strndup(p->link, len);
}

static int collect_reg(struct collect *c, const struct fd_probe *p, struct file *f)
{
	const bool there = !p->external && probe_path_leads_there(p);
	RegFileEntry *e;

	e = malloc(sizeof(*e));
	if (!e)
		return fail(&c->run->err, -ENOMEM, "keep file %s", p->link);
	reg_file_entry__init(e);
	f->msg->reg = e;
	e->id = f->id;
	e->flags = p->flags;
	e->pos = p->pos;
	e->fown = collect_fown(p);
	e->name = p->external ? strdup(p->external) : there ? strdup(p->link) : name_of(p);
	if (!e->fown || !e->name)
		return fail(&c->run->err, -ENOMEM, "keep file %s", p->link);
	e->has_mode = true;
	e->mode = p->st.st_mode;
	if (p->external) {
		/* What is in it is not our business, so nothing is there to be compared. */
		e->has_ext = e->ext = true;
		return 0;
	}
	if (S_ISREG(p->st.st_mode)) {
		e->has_size = true;
		e->size = p->st.st_size;
	}
	return there ? validation_record(c, p, f) : ghost_collect(c, p, f);
}

static int save_reg(struct collect *c)
{
	int ret = validation_save(c);

	return ret ? ret : ghost_save(c);
}

static int describe_reg(const struct file *f, char *buf, size_t size)
{
	const RegFileEntry *e = f->msg->reg;

	return snprintf(buf, size, "%s at %lu", e->name, e->pos);
}

/* --- restore --- */

static int identify_reg(const struct file *f, char *buf, size_t size)
{
	const RegFileEntry *e = f->msg->reg;

	return snprintf(buf, size, "%s", e->name + (!e->ext && e->name[0] == '/'));
}

static int load_reg(struct run *run, struct checkpoint *cp)
{
	int ret = ghosts_load(run, cp);

	inherit_match(run, cp, FD_TYPES__REG);
	return ret ? ret : validation_start(run, cp);
}

/* Flags that describe the opening, not the description. */
#define ONCE_FLAGS (O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC)

/* Under /proc things come and go with the tasks: they are there when they are opened. */
static bool is_proc(const char *name)
{
	return !strncmp(name, "/proc/", 6);
}

/* A file that is not what it was would be restored into something else without a word. */
static int check_now(struct plan *p, const struct file *f)
{
	const RegFileEntry *e = f->msg->reg;
	struct stat st;

	/* Only O_PATH has the link itself. */
	if (fstatat(AT_FDCWD, e->name, &st,
		    (e->flags & (O_PATH | O_NOFOLLOW)) == (O_PATH | O_NOFOLLOW)
			    ? AT_SYMLINK_NOFOLLOW
			    : 0)) {
		fail(&p->run->err, -errno, "file %s", e->name);
		return fail_hint(&p->run->err, "bring it back to its place, then restore again");
	}
	if (e->has_mode && (e->mode ^ st.st_mode) & S_IFMT) {
		return fail_text(&p->run->err, -EBADF,
				 "file %s: it is of another type than it was (mode %o, was %o)",
				 e->name, st.st_mode, e->mode);
	}
	if (e->has_mode && !p->run->opt.skip_file_rwx_check && e->mode != st.st_mode) {
		fail_text(&p->run->err, -EACCES, "file %s: its mode is %o, it was %o", e->name,
			  st.st_mode & 07777, e->mode & 07777);
		return fail_hint(&p->run->err, "change it back, or use --skip-file-rwx-check");
	}
	return validation_check(p->run, f, &st);
}

/* What was external has no path. */
static int no_substitute(struct plan *p, const struct file *f)
{
	fail_text(&p->run->err, -ENOENT, "%s was external at the dump, and nothing takes its place",
		  f->msg->reg->name);
	return fail_hint(&p->run->err, "open a file as descriptor N, and --inherit-fd 'fd[N]:%s'",
			 f->msg->reg->name);
}

struct reg *reg_of(struct checkpoint *cp, struct file *f)
{
	if (!f->data)
		f->data = pool_alloc(&cp->pool, sizeof(struct reg));
	return f->data;
}

int reg_ready(struct plan *p, struct file *f)
{
	struct reg *r = reg_of(p->cp, f);

	if (f->msg->reg->ext)
		return no_substitute(p, f);
	if (f->msg->reg->name[0] != '/') {
		fail_text(&p->run->err, -EOPNOTSUPP, "file id %u: its path '%s' is not absolute",
			  f->id, f->msg->reg->name);
		return fail_hint(&p->run->err, "restore with criu");
	}
	if (!r)
		return fail(&p->run->err, -ENOMEM, "file id %u", f->id);
	if (r->checked || r->ghost || is_proc(f->msg->reg->name))
		return 0;
	r->checked = true;
	return vec_push(&p->unchecked, f) ? fail(&p->run->err, -ENOMEM, "file id %u", f->id) : 0;
}

int reg_check_all(struct plan *p)
{
	struct file **f;
	int ret;

	vec_for_each (&p->unchecked, f) {
		ret = check_now(p, *f);
		if (ret)
			return ret;
	}
	return 0;
}

/* A path is in the plan's data once. */
static struct operand path_of(struct plan *p, struct file *f)
{
	struct reg *r = f->data;

	if (!r->has_path)
		r->path = plan_string(p, r->ghost ? ghost_path(r->ghost, f->msg->reg->name,
							       f->msg->reg->flags & O_NOFOLLOW)
						  : f->msg->reg->name);
	r->has_path = true;
	return r->path;
}

int open_path(struct plan *p, struct plan_slot *slot, struct file *f, uint32_t flags,
	      struct operand *ret_fd)
{
	bool own;
	int ret;

	if (f->outside)
		return inherit_plan(p, slot, f, flags, INHERIT_OWN, ret_fd, &own);
	ret = reg_ready(p, f);
	if (ret)
		return ret;
	*ret_fd = plan_open(p, slot, "open file id %ld", f->id, __NR_openat, imm(AT_FDCWD),
			    path_of(p, f),
			    imm((flags & ~ONCE_FLAGS) | O_NOCTTY | plan_cloexec(slot)));
	return 0;
}

static bool has_position(const struct file *f)
{
	return !f->outside || S_ISREG(f->outside->mode) || S_ISDIR(f->outside->mode);
}

static int open_reg(struct plan *p, struct plan_slot *slot, struct file *f, struct operand *ret_fd)
{
	const RegFileEntry *e = f->msg->reg;
	bool own = true;
	int ret;

	if (f->outside)
		ret = inherit_plan(p, slot, f, e->flags, e->ext ? INHERIT_OWN : INHERIT_SHARED,
				   ret_fd, &own);
	else
		ret = open_path(p, slot, f, e->flags, ret_fd);
	if (ret || !own)
		return ret;
	if (e->pos && !(e->flags & O_PATH) && has_position(f))
		plan_call_expect(p, slot, "position %ld", e->pos, __NR_lseek, e->pos, *ret_fd,
				 imm(e->pos), imm(SEEK_SET));
	if (!(e->flags & O_PATH)) {
		plan_fown(p, slot, *ret_fd, e->fown);
		plan_status_flags(p, slot, *ret_fd, e->flags);
	}
	return 0;
}

static void forget_reg(struct file *f)
{
	struct reg *r = f->data;

	if (r)
		ghost_put(r->ghost);
	f->data = NULL;
}

const struct resource resource_reg = {
	.name = "file",
	.type = FD_TYPES__REG,
	.match = match_reg,
	.collect = collect_reg,
	.save = save_reg,
	.identity = identify_reg,
	.describe = describe_reg,
	.load = load_reg,
	.open = open_reg,
	.forget = forget_reg,
};
