// SPDX-License-Identifier: GPL-2.0-only
/* Descriptor tables as they will be, and the calls that open, move and take descriptors. */
#include "plan/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

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

struct occupant *fd_sim_at(struct plan *p, struct fd_sim *sim, int fd)
{
	while (sim->at.n <= (size_t)fd)
		if (!vec_add(&sim->at)) {
			p->no_memory = true;
			return &sim->nobody;
		}
	return &sim->at.at[fd];
}

void fd_sim_put(struct plan *p, struct fd_sim *sim, int fd, enum occupancy use, struct file *f)
{
	struct occupant *o = fd_sim_at(p, sim, fd);

	o->use = use;
	o->file = f;
	o->settled = false;
}

int plan_fd_next(struct plan *p, struct plan_slot *slot)
{
	struct fd_sim *sim = slot->fds;

	while (fd_sim_at(p, sim, sim->lowest)->use != FREE && !p->no_memory)
		sim->lowest++;
	return sim->lowest;
}

int plan_fd_take(struct plan *p, struct plan_slot *slot)
{
	int fd = plan_fd_next(p, slot);

	fd_sim_put(p, slot->fds, fd, TEMPORARY, NULL);
	return fd;
}

static void vacate(struct plan *p, struct fd_sim *sim, int fd)
{
	fd_sim_put(p, sim, fd, FREE, NULL);
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

	fd_sim_put(p, slot->fds, fd, DESCRIPTION, f);
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

/* A number above all tables, for what must not be in their way. */
int plan_fd_high(struct plan *p, struct fd_sim *sim)
{
	int fd = p->service_fd + p->chain.dirs.n;

	while (fd_sim_at(p, sim, fd)->use != FREE && !p->no_memory)
		fd++;
	return fd;
}

void plan_fd_move(struct plan *p, struct plan_slot *slot, int from, int to, bool cloexec)
{
	struct occupant *o = fd_sim_at(p, slot->fds, from);
	struct file *f = o->file;

	plan_call_expect(p, slot, "to number %ld", to, __NR_dup3, to, imm(from), imm(to),
			 imm(cloexec ? O_CLOEXEC : 0));
	fd_sim_put(p, slot->fds, to, o->use, f);
	plan_close(p, slot, imm(from));
	if (f && ((struct file_state *)f->plan)->owner == slot)
		((struct file_state *)f->plan)->fd = to;
}

struct operand plan_put_aside(struct plan *p, struct plan_slot *slot, struct operand fd)
{
	int high;

	if (!slot->fds)
		return fd;
	high = plan_fd_high(p, slot->fds);
	plan_fd_move(p, slot, fd.value, high, true);
	return imm(high);
}

void plan_await_table(struct plan *p, struct plan_slot *slot, struct plan_slot *owner)
{
	if (!owner->has_table_ready) {
		owner->table_ready = plan_word(p);
		owner->has_table_ready = true;
	}
	plan_await(p, slot, owner->table_ready, 1, "wait for the descriptors of %ld", owner->tid);
}

int plan_reopen(struct plan *p, struct plan_slot *slot, struct file *f, uint32_t flags,
		struct operand *ret_fd)
{
	struct file_state *st = f->plan;
	char path[64];

	if (!st->owner)
		return fail_text(&p->run->err, -EINVAL, "file id %u is not open yet", f->id);
	if (st->owner != slot) {
		plan_await_table(p, slot, st->owner);
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
