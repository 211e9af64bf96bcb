// SPDX-License-Identifier: GPL-2.0-only
#include "resource/ctty.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "lib/outside.h"
#include "plan/fds.h"
#include "resource/attribute.h"
#include "resource/attributes.h"
#include "resource/inherit.h"
#include "resource/tty.h"

/* What takes the place of the terminal that controlled the session of @t; NULL: none does. */
static const struct file *terminal_of(const struct plan *p, const struct task *t)
{
	struct file **f;

	if (t->msg->sid != t->msg->pid)
		return NULL;
	vec_for_each (&p->cp->files, f) {
		const TtyInfoEntry *e = tty_info(*f);

		if (e && e->sid == t->msg->sid && (*f)->outside && isatty((*f)->outside->fd))
			return *f;
	}
	return NULL;
}

/* The caller's session would lose it. */
static bool is_callers(const struct file *f)
{
	return tcgetsid(f->outside->fd) >= 0;
}

int ctty_plan(struct plan *p, struct plan_slot *slot, const struct task *t)
{
	const struct file *f = terminal_of(p, t);
	struct operand fd;
	bool own;
	int ret;

	if (!f)
		return 0;
	if (is_callers(f)) {
		log_warn(&p->run->log,
			 "%s controlled session %d, but descriptor %d is the terminal of your own "
			 "session: the restored one gets none",
			 f->outside->name, t->msg->sid, f->outside->fd);
		return 0;
	}
	ret = inherit_plan(p, slot, f, O_RDWR, INHERIT_SHARED, &fd, &own);
	if (ret)
		return ret;
	/* 1: from whatever session has it. */
	plan_call(p, slot, "terminal of session %ld", t->msg->sid, __NR_ioctl, fd, imm(TIOCSCTTY),
		  imm(1));
	plan_close(p, slot, fd);
	return 0;
}

/* --- the foreground ------------------------------------------------------ */

/* Any task of the group. */
static struct plan_slot *member_of(const struct plan *p, uint32_t pgrp)
{
	struct plan_slot **s;

	vec_for_each (&p->slots, s)
		if ((*s)->kind == SLOT_TASK && (*s)->parks && (*s)->task->msg->pgid == pgrp)
			return *s;
	return NULL;
}

/* A session's terminal starts with the leader's group in the foreground. */
static int plan_foreground(struct plan *p, struct plan_slot *slot, const struct thread *th)
{
	const struct file *f = terminal_of(p, th->task);
	uint32_t pgrp = f ? tty_info(f)->pgrp : 0;
	struct operand fd, word;
	struct plan_slot *member;
	bool own;
	int ret;

	if (!pgrp || pgrp == th->task->msg->pid || is_callers(f))
		return 0;
	member = member_of(p, pgrp);
	if (!member)
		return 0;
	slot->phase = PHASE_TASK;
	if (member != slot) {
		word = plan_word(p);
		member->phase = PHASE_FILES;
		plan_signal(p, member, word, 1);
		plan_await(p, slot, word, 1, "wait for group %ld", pgrp);
	}
	ret = inherit_plan(p, slot, f, O_RDWR, INHERIT_SHARED, &fd, &own);
	if (ret)
		return ret;
	plan_call(p, slot, "group %ld in the foreground", pgrp, __NR_ioctl, fd, imm(TIOCSPGRP),
		  plan_data(p, &pgrp, sizeof(pgrp)));
	plan_close(p, slot, fd);
	return 0;
}

const struct attribute attribute_ctty = {
	.name = "foreground of the terminal",
	.per_process = true,
	.plan = plan_foreground,
};
