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

#ifndef __NR_pidfd_getfd
#define __NR_pidfd_getfd 438
#endif

/* --- the simulated table ------------------------------------------------ */

void fd_sim_free(struct fd_sim *sim)
{
	if (!sim)
		return;
	vec_free(&sim->at);
	free(sim);
}

static struct occupant *occupant(struct plan *p, struct fd_sim *sim, int fd)
{
	while (sim->at.n <= (size_t)fd)
		if (!vec_add(&sim->at)) {
			p->no_memory = true;
			return &sim->nobody;
		}
	return &sim->at.at[fd];
}

static void occupy(struct plan *p, struct fd_sim *sim, int fd, enum occupancy use, struct file *f)
{
	struct occupant *o = occupant(p, sim, fd);

	o->use = use;
	o->file = f;
	o->settled = false;
}

static int plan_fd_next(struct plan *p, struct plan_slot *slot)
{
	struct fd_sim *sim = slot->fds;

	while (occupant(p, sim, sim->lowest)->use != FREE && !p->no_memory)
		sim->lowest++;
	return sim->lowest;
}

int plan_fd_take(struct plan *p, struct plan_slot *slot)
{
	int fd = plan_fd_next(p, slot);

	occupy(p, slot->fds, fd, TEMPORARY, NULL);
	return fd;
}

static void vacate(struct plan *p, struct fd_sim *sim, int fd)
{
	occupy(p, sim, fd, FREE, NULL);
	if (fd < sim->lowest)
		sim->lowest = fd;
}

/* --- calls that other files make ---------------------------------------- */

struct operand plan_open_call(struct plan *p, struct plan_slot *slot, const char *why,
			      uint64_t subject, int nr, int n, const struct operand *args)
{
	int fd;

	if (!slot->fds)
		return plan_step(p, slot, why, subject, nr, 0, 0, n, args);
	fd = plan_fd_take(p, slot);
	plan_step(p, slot, why, subject, nr, STUB_EXPECT, fd, n, args);
	return imm(fd);
}

void plan_close(struct plan *p, struct plan_slot *slot, struct operand fd)
{
	plan_call(p, slot, "close", 0, __NR_close, fd);
	if (slot->fds && fd.kind == OPERAND_IMM)
		vacate(p, slot->fds, fd.value);
}

int plan_cloexec(struct plan_slot *slot)
{
	return !slot->fds || slot->fds->cloexec ? O_CLOEXEC : 0;
}

void plan_file_opened(struct plan *p, struct plan_slot *slot, struct file *f, int fd)
{
	struct file_state *st = f->plan;

	occupy(p, slot->fds, fd, DESCRIPTION, f);
	st->owner = slot;
	st->fd = fd;
	st->cloexec = slot->fds->cloexec;
}

static void set_owner(struct plan *p, struct plan_slot *slot, struct operand fd,
		      const FownEntry *fown)
{
	struct f_owner_ex {
		int type;
		int pid;
	} owner = {fown->pid_type, fown->pid};

	plan_call(p, slot, "owner of the descriptor", fown->pid, __NR_fcntl, fd, imm(F_SETOWN_EX),
		  plan_data(p, &owner, sizeof(owner)));
}

void plan_fown(struct plan *p, struct plan_slot *slot, struct operand fd, const FownEntry *fown)
{
	if (fown->signum)
		plan_call(p, slot, "signal of the descriptor", fown->signum, __NR_fcntl, fd,
			  imm(F_SETSIG), imm(fown->signum));
	if (fown->pid)
		set_owner(p, slot, fd, fown);
}

void plan_status_flags(struct plan *p, struct plan_slot *slot, struct operand fd, uint32_t flags)
{
	if (flags & O_ASYNC)
		plan_call(p, slot, "status flags %ld", flags, __NR_fcntl, fd, imm(F_SETFL),
			  imm(flags & (O_APPEND | O_ASYNC | O_DIRECT | O_NOATIME | O_NONBLOCK)));
}

/* --- one table ---------------------------------------------------------- */

/* A number above all tables, for what must not be in their way. */
static int high_number(struct plan *p, struct fd_sim *sim)
{
	int fd = p->service_fd + p->chain.dirs.n;

	while (occupant(p, sim, fd)->use != FREE && !p->no_memory)
		fd++;
	return fd;
}

static void move_fd(struct plan *p, struct plan_slot *slot, int from, int to, bool cloexec)
{
	struct occupant *o = occupant(p, slot->fds, from);
	struct file *f = o->file;

	plan_call_expect(p, slot, "to number %ld", to, __NR_dup3, to, imm(from), imm(to),
			 imm(cloexec ? O_CLOEXEC : 0));
	occupy(p, slot->fds, to, o->use, f);
	plan_close(p, slot, imm(from));
	if (f && ((struct file_state *)f->plan)->owner == slot)
		((struct file_state *)f->plan)->fd = to;
}

struct operand plan_put_aside(struct plan *p, struct plan_slot *slot, struct operand fd)
{
	int high;

	if (!slot->fds)
		return fd;
	high = high_number(p, slot->fds);
	move_fd(p, slot, fd.value, high, true);
	return imm(high);
}

/* Descriptors 0 to @below that nothing has yet: placeholders, if that is cheaper than moving. */
static void fill_gap(struct plan *p, struct plan_slot *slot, int below, size_t n_left)
{
	int fd = plan_fd_next(p, slot), gap = 0, i;

	for (i = fd; i < below; i++)
		gap += occupant(p, slot->fds, i)->use == FREE;
	if ((size_t)gap > n_left)
		return;
	while ((fd = plan_fd_next(p, slot)) < below && !p->no_memory) {
		plan_call_expect(p, slot, "placeholder", fd, __NR_dup, fd, imm(p->service_fd));
		occupy(p, slot->fds, fd, PLACEHOLDER, NULL);
	}
}

/* Somebody else's descriptor table must be complete before we take from it. */
static void await_table(struct plan *p, struct plan_slot *slot, const struct plan_slot *owner)
{
	struct plan_task *pt = plan_task(owner->task);

	if (!pt->has_table_ready) {
		pt->table_ready = plan_word(p);
		pt->has_table_ready = true;
	}
	plan_await(p, slot, pt->table_ready, 1, "wait for the descriptors of %ld", owner->tid);
}

/* A pidfd of @owner out of the way of the table; kept until the next owner or the table's end. */
static struct operand owner_pidfd(struct plan *p, struct plan_slot *slot,
				  const struct plan_slot *owner)
{
	struct fd_sim *sim = slot->fds;
	struct operand fd;
	int high;

	if (sim->pidfd_of == owner)
		return imm(sim->pidfd);
	if (sim->pidfd_of)
		plan_close(p, slot, imm(sim->pidfd));
	await_table(p, slot, owner);
	fd = plan_open(p, slot, "pidfd of %ld", owner->tid, __NR_pidfd_open, imm(owner->tid),
		       imm(0));
	high = high_number(p, sim);
	move_fd(p, slot, fd.value, high, true);
	sim->pidfd_of = owner;
	sim->pidfd = high;
	return imm(high);
}

int plan_reopen(struct plan *p, struct plan_slot *slot, struct file *f, uint32_t flags,
		struct operand *ret_fd)
{
	struct file_state *st = f->plan;
	char path[64];

	if (!st->owner)
		return fail_text(&p->run->err, -EINVAL, "file id %u is not open yet", f->id);
	if (st->owner != slot) {
		await_table(p, slot, st->owner);
		st->n_takes++;
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", st->owner->tid, st->fd);
	} else {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", st->fd);
	}
	*ret_fd = plan_open(p, slot, "another description of file id %ld", f->id, __NR_openat,
			    imm(AT_FDCWD), plan_string(p, path),
			    imm((flags & ~(O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC)) | O_NOCTTY |
				plan_cloexec(slot)));
	return 0;
}

struct operand plan_take(struct plan *p, struct plan_slot *slot, const struct plan_slot *owner,
			 struct operand fd, const char *why, uint64_t subject)
{
	struct operand pidfd, ret;

	pidfd = plan_open(p, slot, "pidfd of %ld", owner->tid, __NR_pidfd_open, imm(owner->tid),
			  imm(0));
	ret = plan_open(p, slot, why, subject, __NR_pidfd_getfd, pidfd, fd, imm(0));
	plan_close(p, slot, pidfd);
	return ret;
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
	occupy(p, slot->fds, fd.value, DESCRIPTION, f);
	*ret_fd = fd.value;
	*ret_cloexec = true;
	return 0;
}

/* Whatever lies on a number that the table wants for something else goes elsewhere. */
static void make_room(struct plan *p, struct plan_slot *slot, int fd)
{
	struct occupant *o = occupant(p, slot->fds, fd);

	if (o->use == FREE)
		return;
	if (o->use == PLACEHOLDER)
		plan_close(p, slot, imm(fd));
	else
		move_fd(p, slot, fd, high_number(p, slot->fds), true);
}

/* Where @f lies in this table already, or -1. */
static int here(struct plan *p, struct plan_slot *slot, struct file *f)
{
	struct file_state *st = f->plan;

	if (st->table == slot && occupant(p, slot->fds, st->here)->file == f)
		return st->here;
	if (st->owner == slot && occupant(p, slot->fds, st->fd)->file == f)
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
				move_fd(p, slot, fd, want, cloexec);
			}
		} else if (st->table == slot) {
			plan_call_expect(p, slot, "descriptor %ld", want, __NR_dup3, want, imm(fd),
					 imm(want), imm(cloexec ? O_CLOEXEC : 0));
			occupy(p, slot->fds, want, DESCRIPTION, e->file);
		} else {
			move_fd(p, slot, fd, want, cloexec);
		}
	}
	occupant(p, slot->fds, want)->settled = true;
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
		occupy(p, slot->fds, p->service_fd + level, SERVICE, NULL);
	for (i = 0; i < table->fds.n && !ret; i++)
		ret = place(p, slot, &table->fds.at[i], table->fds.n - i);
	if (!ret)
		ret = plan_hidden_files(p, slot, t);
	tidy(p, slot);
	fd_sim_free(slot->fds);
	slot->fds = NULL;
	return ret ? ret : plan_ok(p);
}

int plan_borrow(struct plan *p, struct plan_slot *slot, struct file *f, uint32_t flags,
		struct operand *ret_fd)
{
	struct file_state *st = f->plan;

	if (f->msg->type == FD_TYPES__REG)
		return open_path(p, slot, f, flags, ret_fd);
	if (!st->owner)
		return fail_text(&p->run->err, -EOPNOTSUPP,
				 "file id %u of type %d: a mapping of this kind is not restored",
				 f->id, f->msg->type);
	/* A mapping of a memfd names any description of it; its own access mode counts. */
	if (f->msg->type == FD_TYPES__MEMFD)
		return plan_reopen(p, slot, f, flags, ret_fd);
	if (st->owner == slot) {
		*ret_fd = plan_call(p, slot, "descriptor %ld", st->fd, __NR_dup, imm(st->fd));
		return 0;
	}
	await_table(p, slot, st->owner);
	st->n_takes++;
	*ret_fd = plan_take(p, slot, st->owner, imm(st->fd), "take descriptor %ld of its owner",
			    st->fd);
	return 0;
}
