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
#include <unistd.h>

#include "image/image.h"
#include "kernel/proc.h"
#include "lib/outside.h"
#include "lib/run.h"
#include "plan/fds.h"
#include "resource/collect.h"
#include "resource/inherit.h"
#include "resource/kinds.h"
#include "resource/tty.h"

#define UNIX98_SLAVE_FIRST 136
#define UNIX98_SLAVE_LAST  143
#define CTTY		   makedev(5, 0)
#define CONSOLE		   makedev(5, 1)
#define PTMX		   makedev(5, 2)

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

/* Whose session and foreground group are this terminal's, if those of the task that has it are. */
static void ask_holder(const struct fd_probe *p, TtyInfoEntry *e)
{
	struct proc_stat stat;
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/stat", p->pid);
	if (proc_stat(AT_FDCWD, path, &stat) || stat.tty_nr != p->st.st_rdev)
		return;
	e->sid = stat.session;
	e->pgrp = stat.foreground > 0 ? stat.foreground : 0;
}

static TtyType type_of(const struct fd_probe *p, bool external)
{
	if (external)
		return TTY_TYPE__EXT_TTY;
	if (major(p->st.st_rdev) >= UNIX98_SLAVE_FIRST)
		return TTY_TYPE__PTY;
	if (p->st.st_rdev == CTTY)
		return TTY_TYPE__CTTY;
	return p->st.st_rdev == CONSOLE ? TTY_TYPE__CONSOLE : TTY_TYPE__VT;
}

static int fill_info(struct collect *c, const struct fd_probe *p, TtyInfoEntry *e, uint32_t id,
		     bool external)
{
	bool pty;
	int exclusive = 0, session = 0, group = 0;

	e->id = id;
	e->type = type_of(p, external);
	pty = e->type == TTY_TYPE__PTY;
	ioctl(p->local, TIOCGEXCL, &exclusive);
	e->exclusive = exclusive;
	/* Answered to members of its session only; elsewhere 0. */
	if (!ioctl(p->local, TIOCGSID, &session))
		e->sid = session;
	if (!ioctl(p->local, TIOCGPGRP, &group))
		e->pgrp = group;
	if (external)
		ask_holder(p, e);
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

static int refuse_terminal(struct collect *c, const struct fd_probe *p, const char *name)
{
	char hint[300];

	snprintf(hint, sizeof(hint),
		 "for a job of a shell use --shell-job, here and at restore; to give it another at "
		 "restore, --external '%s' here and --inherit-fd there; or start the program with "
		 "its input and output in files",
		 name);
	return refuse_probe(c, p, "a terminal", hint);
}

static int collect_tty(struct collect *c, const struct fd_probe *p, struct file *f)
{
	char name[OUTSIDE_NAME_MAX];
	TtyFileEntry *e;
	TtyInfoEntry *info;
	struct file *named;
	struct inode *s;
	bool is_new, external;
	int ret;

	outside_tty_name(name, p->st.st_rdev, p->st.st_dev);
	external = outside_find(c->run->outsides, name);
	if (!external && p->st.st_rdev == PTMX)
		return refuse_probe(c, p, "the master of a pseudo terminal",
				    "dump with criu, or only those who have its slave");
	if (!external && !c->run->opt.shell_job)
		return refuse_terminal(c, p, name);
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
	/* Nobody opens an external one by its name. */
	if (!external) {
		ret = collect_second(c, &resource_reg, p, &named);
		if (ret)
			return ret;
		e->has_regf_id = true;
		e->regf_id = named->id;
	}
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
	return fill_info(c, p, info, e->tty_info_id, external);
}

static int save_ttys(struct collect *c)
{
	return collect_save_inodes(c, IMG_TTY_INFO, &tty_info_entry__descriptor);
}

static int describe_tty(const struct file *f, char *buf, size_t size)
{
	return snprintf(buf, size, "terminal %u", f->msg->tty->tty_info_id);
}

/* --- restore --- */

/* file->data */
struct tty {
	TtyInfoEntry *info;
	bool owns_info;
	char path[64]; /* where it is opened now */
};

const TtyInfoEntry *tty_info(const struct file *f)
{
	const struct tty *t = f->msg->type == FD_TYPES__TTY ? f->data : NULL;

	return t ? t->info : NULL;
}

static int identify_tty(const struct file *f, char *buf, size_t size)
{
	const TtyInfoEntry *e = tty_info(f);

	if (!e || size < OUTSIDE_NAME_MAX)
		return -1;
	outside_tty_name(buf, e->rdev, e->dev);
	return strlen(buf);
}

/* The caller's terminal. */
static int own_terminal(char *buf, size_t size)
{
	int fd;

	for (fd = 0; fd < 3; fd++)
		if (isatty(fd))
			return -ttyname_r(fd, buf, size);
	return -ENOTTY;
}

static int find_terminal(struct run *run, const struct file *f)
{
	struct tty *t = f->data;
	char name[OUTSIDE_NAME_MAX];
	int ret;

	if (f->outside)
		return 0;
	if (t->info->type == TTY_TYPE__EXT_TTY) {
		identify_tty(f, name, sizeof(name));
		fail_text(&run->err, -ENOENT,
			  "%s was external at the dump, and nothing takes its place", name);
		return fail_hint(&run->err,
				 "open a terminal as descriptor N, and --inherit-fd 'fd[N]:%s'",
				 name);
	}
	if (t->info->type == TTY_TYPE__CTTY) {
		snprintf(t->path, sizeof(t->path), "/dev/tty");
		return 0;
	}
	if (!run->opt.shell_job) {
		fail_text(&run->err, -EOPNOTSUPP,
			  "a terminal (tty id %u) belongs to whoever started the program",
			  t->info->id);
		return fail_hint(&run->err,
				 "restore from a terminal with --shell-job to give it that one");
	}
	ret = own_terminal(t->path, sizeof(t->path));
	if (ret) {
		fail(&run->err, ret, "a terminal for the shell job");
		return fail_hint(&run->err, "run stasis restore from a terminal");
	}
	return 0;
}

static int load_infos(struct run *run, struct checkpoint *cp)
{
	struct image_reader *r;
	ProtobufCMessage *msg;
	size_t i;
	int ret = image_open(run->images_dirfd, IMG_TTY_INFO, 0, true, &run->err, &r);

	if (ret)
		return ret == -ENOENT && !run->err.code ? 0 : ret;
	while ((ret = image_read(r, &msg)) == 1) {
		TtyInfoEntry *e = (TtyInfoEntry *)msg;

		bool owned = false;

		for (i = 0; i < cp->files.n; i++) {
			struct file *f = cp->files.at[i];
			struct tty *t = f->data;

			if (f->msg->type != FD_TYPES__TTY || f->msg->tty->tty_info_id != e->id ||
			    t->info)
				continue;
			t->info = e;
			t->owns_info = !owned;
			owned = true;
		}
		if (!owned)
			protobuf_c_message_free_unpacked(msg, NULL);
	}
	image_reader_free(r);
	return ret;
}

static int load_tty(struct run *run, struct checkpoint *cp)
{
	size_t i;
	int ret;

	for (i = 0; i < cp->files.n; i++)
		if (cp->files.at[i]->msg->type == FD_TYPES__TTY) {
			cp->files.at[i]->data = calloc(1, sizeof(struct tty));
			if (!cp->files.at[i]->data)
				return fail(&run->err, -ENOMEM, "terminals");
		}
	ret = load_infos(run, cp);
	inherit_match(run, cp, FD_TYPES__TTY);
	for (i = 0; i < cp->files.n && !ret; i++) {
		struct tty *t = cp->files.at[i]->data;

		if (cp->files.at[i]->msg->type != FD_TYPES__TTY)
			continue;
		if (!t->info)
			ret = fail_text(&run->err, -EBADMSG,
					"image files.img: terminal %u is not in tty-info.img",
					cp->files.at[i]->msg->tty->tty_info_id);
		else
			ret = find_terminal(run, cp->files.at[i]);
	}
	return ret;
}

static void set_modes(struct plan *p, struct plan_slot *slot, const TermiosEntry *e,
		      struct operand fd)
{
	struct kernel_termios k = {
		.c_iflag = e->c_iflag,
		.c_oflag = e->c_oflag,
		.c_cflag = e->c_cflag,
		.c_lflag = e->c_lflag,
		.c_line = e->c_line,
	};
	size_t len = e->n_c_cc * sizeof(*e->c_cc);

	memcpy(k.c_cc, e->c_cc, len < sizeof(k.c_cc) ? len : sizeof(k.c_cc));
	plan_call(p, slot, "terminal modes", 0, __NR_ioctl, fd, imm(TCSETS),
		  plan_data(p, &k, sizeof(k)));
}

static int open_tty(struct plan *p, struct plan_slot *slot, struct file *f, struct operand *ret_fd)
{
	const TtyFileEntry *e = f->msg->tty;
	const struct tty *t = f->data;
	bool own;
	int ret;

	if (f->outside) {
		ret = inherit_plan(p, slot, f, e->flags, INHERIT_SHARED, ret_fd, &own);
		if (!ret && t->info->termios && isatty(f->outside->fd))
			set_modes(p, slot, t->info->termios, *ret_fd);
		if (!ret && own)
			plan_fown(p, slot, *ret_fd, e->fown);
		return ret;
	}
	*ret_fd = plan_open(p, slot, "terminal, file id %ld", f->id, __NR_openat, imm(AT_FDCWD),
			    plan_string(p, t->path),
			    imm((e->flags & ~(O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC)) | O_NOCTTY |
				plan_cloexec(slot)));
	if (t->info->termios && t->info->type != TTY_TYPE__CTTY)
		set_modes(p, slot, t->info->termios, *ret_fd);
	plan_fown(p, slot, *ret_fd, e->fown);
	plan_status_flags(p, slot, *ret_fd, e->flags);
	return 0;
}

static void forget_tty(struct file *f)
{
	struct tty *t = f->data;

	if (t && t->owns_info)
		tty_info_entry__free_unpacked(t->info, NULL);
	free(t);
	f->data = NULL;
}

const struct resource resource_tty = {
	.name = "terminal",
	.type = FD_TYPES__TTY,
	.match = match_tty,
	.collect = collect_tty,
	.save = save_ttys,
	.identity = identify_tty,
	.describe = describe_tty,
	.load = load_tty,
	.open = open_tty,
	.forget = forget_tty,
};
