// SPDX-License-Identifier: GPL-2.0-only
#include "resource/inherit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/outside.h"
#include "lib/run.h"
#include "plan/fds.h"
#include "resource/resource.h"

static bool identity(const struct file *f, char *buf, size_t size)
{
	int n = f->res && f->res->identity ? f->res->identity(f, buf, size) : -1;

	return n > 0 && (size_t)n < size;
}

void inherit_match(struct run *run, struct checkpoint *cp, FdTypes type)
{
	char name[PATH_MAX];
	struct file **f;

	if (!run->outsides)
		return;
	vec_for_each (&cp->files, f)
		if ((*f)->msg->type == type && identity(*f, name, sizeof(name)))
			(*f)->outside = outside_find(run->outsides, name);
}

/* Names of the same kind start with the same; a path is nothing that others are like. */
static size_t kind_length(const char *name)
{
	size_t len = strcspn(name, "[");

	if (!strncmp(name, "/memfd:", 7))
		return 7;
	return name[len] ? len + 1 : 0;
}

/* Others of that kind that could have been meant. */
static void list_others(const struct checkpoint *cp, const struct outside *o, char *buf,
			size_t size)
{
	size_t kind = kind_length(o->name), n = 0;
	char name[PATH_MAX];
	struct file **f;

	buf[0] = 0;
	if (!kind)
		return;
	vec_for_each (&cp->files, f) {
		if (!identity(*f, name, sizeof(name)) || strncmp(name, o->name, kind) ||
		    strstr(buf, name))
			continue;
		/* With what stands before and, if it is the last that fits, behind it. */
		if (n + strlen(name) + 16 > size) {
			strcpy(buf + n, ", ...");
			return;
		}
		n += sprintf(buf + n, "%s%s", n ? ", " : "; it has ", name);
	}
	if (!n)
		snprintf(buf, size, ", nor anything of that kind");
}

void inherit_report(struct run *run, struct checkpoint *cp)
{
	char others[400];
	struct file **f;
	size_t i;

	if (!run->outsides)
		return;
	vec_for_each (&cp->files, f)
		if ((*f)->outside)
			log_info(&run->log, "file id %u is %s: descriptor %d takes its place",
				 (*f)->id, (*f)->outside->name, (*f)->outside->fd);
	for (i = 0; i < run->outsides->list.n; i++) {
		const struct outside *o = &run->outsides->list.at[i];

		if (o->used)
			continue;
		list_others(cp, o, others, sizeof(others));
		log_warn(&run->log,
			 "--inherit-fd fd[%d]:%s is not used: the checkpoint has no %s%s", o->fd,
			 o->name, o->name, others);
	}
}

/* --- steps --------------------------------------------------------------- */

static bool can_reopen(const struct outside *o, enum inherit_mode mode)
{
	if (o->on_pipefs || o->on_pts)
		return true;
	/* Opening others again may block, or make something new. */
	return mode == INHERIT_OWN && (S_ISREG(o->mode) || S_ISDIR(o->mode) || S_ISBLK(o->mode) ||
				       (S_ISCHR(o->mode) && !isatty(o->fd)));
}

static const char *open_for(uint32_t flags)
{
	static const char *const words[] = {"reading", "writing", "reading and writing",
					    "neither reading nor writing"};

	return words[flags & O_PATH ? 3 : flags & O_ACCMODE];
}

static int check_access(struct plan *p, const struct outside *o, uint32_t flags)
{
	uint32_t have = o->flags & O_ACCMODE;

	if (flags & O_PATH ||
	    (!(o->flags & O_PATH) && (have == O_RDWR || have == (flags & O_ACCMODE))))
		return 0;
	fail_text(&p->run->err, -EBADF,
		  "--inherit-fd fd[%d]:%s: descriptor %d is open for %s, in the checkpoint it is "
		  "open for %s",
		  o->fd, o->name, o->fd, open_for(o->flags), open_for(flags));
	return fail_hint(&p->run->err, "open it for both (a shell's %d<>FILE) and restore again",
			 o->fd);
}

/* Through the tool's link in /proc, as ghosts are opened. */
static int reopen(struct plan *p, struct plan_slot *slot, const struct outside *o, uint32_t flags,
		  struct operand *ret_fd)
{
	char self[16] = "", path[64];

	if (readlink("/proc/self", self, sizeof(self) - 1) <= 0)
		return fail(&p->run->err, -errno, "read the link /proc/self");
	snprintf(path, sizeof(path), "/proc/%s/fd/%d", self, o->fd);
	*ret_fd = plan_open(p, slot, "what descriptor %ld of stasis is", o->fd, __NR_openat,
			    imm(AT_FDCWD), plan_string(p, path),
			    imm((flags & ~(O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC | O_NOFOLLOW)) |
				O_NOCTTY | plan_cloexec(slot)));
	return 0;
}

static void take(struct plan *p, struct plan_slot *slot, const struct outside *o,
		 struct operand *ret_fd)
{
	struct operand pidfd;

	pidfd = plan_open(p, slot, "pidfd of stasis", 0, __NR_pidfd_open, imm(getpid()), imm(0));
	*ret_fd = plan_open(p, slot, "take descriptor %ld of stasis", o->fd, __NR_pidfd_getfd,
			    pidfd, imm(o->fd), imm(0));
	plan_close(p, slot, pidfd);
	if (!plan_cloexec(slot))
		plan_call(p, slot, "close-on-exec", 0, __NR_fcntl, *ret_fd, imm(F_SETFD), imm(0));
}

int inherit_plan(struct plan *p, struct plan_slot *slot, const struct file *f, uint32_t flags,
		 enum inherit_mode mode, struct operand *ret_fd, bool *own)
{
	const struct outside *o = f->outside;
	int ret;

	*own = can_reopen(o, mode);
	if (*own)
		return reopen(p, slot, o, flags, ret_fd);
	ret = check_access(p, o, flags);
	if (!ret)
		take(p, slot, o, ret_fd);
	return ret;
}
