// SPDX-License-Identifier: GPL-2.0-only
/*
 * Terminals of a shell job: the slave of a pty whose master is not in the tree.
 * The job takes the caller's terminal at restore (--shell-job).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <termios.h>

#include "image/image.h"
#include "resource/collect.h"
#include "resource/kinds.h"

#define UNIX98_SLAVE_FIRST 136
#define UNIX98_SLAVE_LAST  143

/* The kernel's structure; the C library's is longer. */
struct kernel_termios {
	uint32_t c_iflag, c_oflag, c_cflag, c_lflag;
	uint8_t c_line, c_cc[19];
};

static bool match_tty(const struct fd_probe *p)
{
	unsigned int m = major(p->st.st_rdev);

	if (!S_ISCHR(p->st.st_mode) || p->fd < 0 || (p->flags & O_PATH))
		return false;
	return (m >= UNIX98_SLAVE_FIRST && m <= UNIX98_SLAVE_LAST) || m == 4 || m == 5;
}

static TermiosEntry *termios_of(int fd, unsigned long request)
{
	TermiosEntry *e = malloc(sizeof(*e));
	struct kernel_termios t = {};

	if (!e)
		return NULL;
	termios_entry__init(e);
	ioctl(fd, request, &t);
	e->c_iflag = t.c_iflag;
	e->c_oflag = t.c_oflag;
	e->c_cflag = t.c_cflag;
	e->c_lflag = t.c_lflag;
	e->c_line = t.c_line;
	/* In the image the characters are packed, four in a word, and 19 words long. */
	e->c_cc = calloc(19, sizeof(*e->c_cc));
	if (!e->c_cc) {
		free(e);
		return NULL;
	}
	e->n_c_cc = 19;
	memcpy(e->c_cc, t.c_cc, sizeof(t.c_cc));
	return e;
}

static WinsizeEntry *winsize_of(int fd)
{
	WinsizeEntry *e = malloc(sizeof(*e));
	struct winsize w = {};

	if (!e)
		return NULL;
	winsize_entry__init(e);
	ioctl(fd, TIOCGWINSZ, &w);
	e->ws_row = w.ws_row;
	e->ws_col = w.ws_col;
	e->ws_xpixel = w.ws_xpixel;
	e->ws_ypixel = w.ws_ypixel;
	return e;
}

static int fill_info(struct collect *c, const struct fd_probe *p, TtyInfoEntry *e, uint32_t id)
{
	bool pty = major(p->st.st_rdev) >= UNIX98_SLAVE_FIRST;
	int exclusive = 0, session = 0, group = 0;

	e->id = id;
	e->type = pty ? TTY_TYPE__PTY : major(p->st.st_rdev) == 5 ? TTY_TYPE__CTTY : TTY_TYPE__VT;
	ioctl(p->local, TIOCGEXCL, &exclusive);
	e->exclusive = exclusive;
	/* Answered to members of its session only; elsewhere 0. */
	if (!ioctl(p->local, TIOCGSID, &session))
		e->sid = session;
	if (!ioctl(p->local, TIOCGPGRP, &group))
		e->pgrp = group;
	e->rdev = p->st.st_rdev;
	e->has_dev = e->has_uid = e->has_gid = true;
	e->dev = p->st.st_dev;
	e->uid = p->st.st_uid;
	e->gid = p->st.st_gid;
	e->termios = termios_of(p->local, TCGETS);
	e->termios_locked = termios_of(p->local, TIOCGLCKTRMIOS);
	e->winsize = winsize_of(p->local);
	if (pty) {
		e->pty = malloc(sizeof(*e->pty));
		if (e->pty) {
			tty_pty_entry__init(e->pty);
			e->pty->index = id;
		}
	}
	if (!e->termios || !e->termios_locked || !e->winsize || (pty && !e->pty))
		return fail(&c->run->err, -ENOMEM, "keep terminal %s", p->link);
	return 0;
}

static int collect_tty(struct collect *c, const struct fd_probe *p, struct file *f)
{
	TtyFileEntry *e;
	TtyInfoEntry *info;
	struct file *named;
	struct inode *s;
	bool is_new;
	int ret;

	if (!c->run->opt.shell_job)
		return refuse_probe(
			c, p, "a terminal",
			"for a job of a shell use --shell-job, here and at restore; or start "
			"the program with its input and output in files");
	e = malloc(sizeof(*e));
	if (!e)
		return fail(&c->run->err, -ENOMEM, "keep terminal %s", p->link);
	tty_file_entry__init(e);
	f->msg->tty = e;
	e->id = f->id;
	e->flags = p->flags;
	e->fown = collect_fown(p);
	e->tty_info_id = minor(p->st.st_rdev) + 256 * (major(p->st.st_rdev) - UNIX98_SLAVE_FIRST);
	if (!e->fown)
		return fail(&c->run->err, -ENOMEM, "keep terminal %s", p->link);
	ret = collect_second(c, &resource_reg, p, &named);
	if (ret)
		return ret;
	e->has_regf_id = true;
	e->regf_id = named->id;
	s = collect_inode(c, p, IMG_COUNT, &is_new);
	if (!s)
		return fail(&c->run->err, -ENOMEM, "keep terminal %s", p->link);
	if (!is_new)
		return 0;
	info = malloc(sizeof(*info));
	if (!info)
		return fail(&c->run->err, -ENOMEM, "keep terminal %s", p->link);
	tty_info_entry__init(info);
	s->message = &info->base;
	return fill_info(c, p, info, e->tty_info_id);
}

static int save_ttys(struct collect *c)
{
	return collect_save_inodes(c, IMG_TTY_INFO, &tty_info_entry__descriptor);
}

static int describe_tty(const struct file *f, char *buf, size_t size)
{
	return snprintf(buf, size, "terminal %u", f->msg->tty->tty_info_id);
}

const struct resource resource_tty = {
	.name = "terminal",
	.type = FD_TYPES__TTY,
	.match = match_tty,
	.collect = collect_tty,
	.save = save_ttys,
	.describe = describe_tty,
};
