// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptor tables.
 *
 * The kernel gives out the lowest free number, so the planner knows which
 * number each call will return: tables are filled in ascending order, gaps
 * that pay are closed with placeholders, and most descriptions land where they
 * belong. A description is opened by the first table that has it; tables that
 * come later take it with pidfd_getfd(2), once that table is complete.
 */
#include "restore/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resource/reg.h"
#include "resource/resource.h"

/* --- one table ---------------------------------------------------------- */

/* Descriptors 0 to @below that nothing has yet: placeholders, if that is cheaper than moving. */
static void fill_gap(struct plan *p, struct plan_slot *slot, int below, size_t n_left)
{
	int fd = plan_fd_next(p, slot), gap = 0, i;

	for (i = fd; i < below; i++)
		gap += fd_sim_at(p, slot->fds, i)->use == FREE;
	if ((size_t)gap > n_left)
		return;
	while ((fd = plan_fd_next(p, slot)) < below && !p->no_memory) {
		plan_call_expect(p, slot, "placeholder", fd, __NR_dup, fd, imm(p->service_fd));
		fd_sim_put(p, slot->fds, fd, PLACEHOLDER, NULL);
	}
}

/* A pidfd of @owner out of the way of the table; kept until the next owner or the table's end. */
static struct operand owner_pidfd(struct plan *p, struct plan_slot *slot, struct plan_slot *owner)
{
	struct fd_sim *sim = slot->fds;
	struct operand fd;
	int high;

	if (sim->pidfd_of == owner)
		return imm(sim->pidfd);
	if (sim->pidfd_of)
		plan_close(p, slot, imm(sim->pidfd));
	plan_await_table(p, slot, owner);
	fd = plan_open(p, slot, "pidfd of %ld", owner->tid, __NR_pidfd_open, imm(owner->tid),
		       imm(0));
	high = plan_fd_high(p, sim);
	plan_fd_move(p, slot, fd.value, high, true);
	sim->pidfd_of = owner;
	sim->pidfd = high;
	return imm(high);
}

/* Open @f here; the number where it is. */
static int open_here(struct plan *p, struct plan_slot *slot, struct file *f, int *ret_fd)
{
	struct operand fd = {0};
	int ret;

	if (!f->res || !f->res->open) {
		fail_text(&p->run->err, -EOPNOTSUPP,
			  "file id %u of type %d: this kind is not restored yet", f->id,
			  f->msg->type);
		return fail_hint(&p->run->err, "restore with criu, or close it before the dump");
	}
	ret = f->res->open(p, slot, f, &fd);
	if (ret)
		return ret;
	*ret_fd = fd.value;
	plan_file_opened(p, slot, f, fd.value);
	return 0;
}

/* The description where its description's own table has it, or a new one. */
static int obtain(struct plan *p, struct plan_slot *slot, struct file *f, int *ret_fd,
		  bool *ret_cloexec)
{
	struct file_state *st = f->plan;
	struct operand fd;

	if (!st->owner) {
		int ret = open_here(p, slot, f, ret_fd);

		*ret_cloexec = st->cloexec;
		return ret;
	}
	fd = owner_pidfd(p, slot, st->owner);
	fd = plan_open(p, slot, "take descriptor %ld of its owner", st->fd, __NR_pidfd_getfd, fd,
		       imm(st->fd), imm(0));
	st->n_takes++;
	fd_sim_put(p, slot->fds, fd.value, DESCRIPTION, f);
	*ret_fd = fd.value;
	*ret_cloexec = true;
	return 0;
}

/* Whatever lies on a number that the table wants for something else goes elsewhere. */
static void make_room(struct plan *p, struct plan_slot *slot, int fd)
{
	struct occupant *o = fd_sim_at(p, slot->fds, fd);

	if (o->use == FREE)
		return;
	if (o->use == PLACEHOLDER)
		plan_close(p, slot, imm(fd));
	else
		plan_fd_move(p, slot, fd, plan_fd_high(p, slot->fds), true);
}

/* Where @f lies in this table already, or -1. */
static int here(struct plan *p, struct plan_slot *slot, struct file *f)
{
	struct file_state *st = f->plan;

	if (st->table == slot && fd_sim_at(p, slot->fds, st->here)->file == f)
		return st->here;
	if (st->owner == slot && fd_sim_at(p, slot->fds, st->fd)->file == f)
		return st->fd;
	return -1;
}

static void fix_cloexec(struct plan *p, struct plan_slot *slot, int fd, bool is, bool want)
{
	if (is != want)
		plan_call(p, slot, "close-on-exec of descriptor %ld", fd, __NR_fcntl, imm(fd),
			  imm(F_SETFD), imm(want ? FD_CLOEXEC : 0));
}

static int place(struct plan *p, struct plan_slot *slot, const struct fd *e, size_t n_left)
{
	int want = e->msg->fd, fd = here(p, slot, e->file), ret;
	bool cloexec = e->msg->flags & FD_CLOEXEC, is_cloexec = true;
	struct file_state *st = e->file->plan;

	slot->fds->cloexec = cloexec;
	if (fd == want) {
		fix_cloexec(p, slot, fd, st->cloexec, cloexec);
	} else {
		make_room(p, slot, want);
		fd = here(p, slot, e->file);
		if (fd < 0) {
			fill_gap(p, slot, want, n_left);
			ret = obtain(p, slot, e->file, &fd, &is_cloexec);
			if (ret)
				return ret;
			if (fd == want) {
				fix_cloexec(p, slot, fd, is_cloexec, cloexec);
			} else {
				/* The other end of a pipe may lie there. */
				make_room(p, slot, want);
				plan_fd_move(p, slot, fd, want, cloexec);
			}
		} else if (st->table == slot) {
			plan_call_expect(p, slot, "descriptor %ld", want, __NR_dup3, want, imm(fd),
					 imm(want), imm(cloexec ? O_CLOEXEC : 0));
			fd_sim_put(p, slot->fds, want, DESCRIPTION, e->file);
		} else {
			plan_fd_move(p, slot, fd, want, cloexec);
		}
	}
	fd_sim_at(p, slot->fds, want)->settled = true;
	st->table = slot;
	st->here = want;
	if (st->owner == slot)
		st->fd = want;
	return 0;
}

/*
 * Descriptions that this task only maps, of kinds that no path leads to
 * (memfds): they are opened here, so that they can be taken from here.
 */
static int plan_hidden_files(struct plan *p, struct plan_slot *slot, struct task *t)
{
	struct vma *vma;
	int ret, fd;

	if (!t->mm || t->mm->owner != t)
		return 0;
	slot->fds->cloexec = true;
	vec_for_each (&t->mm->vmas, vma) {
		struct file *f = vma->file;

		if (!f || f->msg->type == FD_TYPES__REG || ((struct file_state *)f->plan)->owner)
			continue;
		ret = open_here(p, slot, f, &fd);
		if (ret)
			return ret;
	}
	return 0;
}

/* What is open and nobody asked for: the other end of a pipe, placeholders, the pidfd. */
static void tidy(struct plan *p, struct plan_slot *slot)
{
	struct fd_sim *sim = slot->fds;
	size_t fd, first;

	if (sim->pidfd_of)
		plan_close(p, slot, imm(sim->pidfd));
	for (fd = 0; fd < sim->at.n; fd++) {
		if (sim->at.at[fd].use != PLACEHOLDER)
			continue;
		for (first = fd; fd + 1 < sim->at.n && sim->at.at[fd + 1].use == PLACEHOLDER;)
			fd++;
		plan_call(p, slot, "placeholders from %ld on", first, __NR_close_range, imm(first),
			  imm(fd), imm(0));
	}
	for (fd = 0; fd < sim->at.n; fd++) {
		struct occupant *o = &sim->at.at[fd];
		struct file_state *st = o->file ? o->file->plan : NULL;

		if (o->use == DESCRIPTION && !o->settled && st->owner == slot) {
			/* Another table takes it from here. */
			st->fd = fd;
			if (vec_push(&p->leftovers, o->file))
				p->no_memory = true;
		}
	}
}

int plan_table(struct plan *p, struct task *t)
{
	struct plan_slot *slot = plan_task(t)->slot;
	struct fdtable *table = t->fdtable;
	size_t i, level;
	int ret = 0;

	slot->phase = PHASE_FILES;
	slot->fds = calloc(1, sizeof(*slot->fds));
	if (!slot->fds)
		return fail(&p->run->err, -ENOMEM, "restore plan");
	for (level = 0; level < p->chain.dirs.n; level++)
		fd_sim_put(p, slot->fds, p->service_fd + level, SERVICE, NULL);
	for (i = 0; i < table->fds.n && !ret; i++)
		ret = place(p, slot, &table->fds.at[i], table->fds.n - i);
	if (!ret)
		ret = plan_hidden_files(p, slot, t);
	tidy(p, slot);
	fd_sim_free(slot->fds);
	slot->fds = NULL;
	return ret ? ret : plan_ok(p);
}
