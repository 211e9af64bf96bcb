// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"

struct checkpoint *checkpoint_new(void)
{
	return calloc(1, sizeof(struct checkpoint));
}

static void free_message(void *msg)
{
	if (msg)
		protobuf_c_message_free_unpacked(msg, NULL);
}

static void free_file(const struct checkpoint *cp, struct file *f)
{
	if (f->forget)
		f->forget(f);
	if (cp->pooled)
		return;
	free_message(f->msg);
	free(f);
}

/* Most of the 62 actions of a task are this one; it is kept once. */
static const SaEntry default_action = {
	.base = {&sa_entry__descriptor, 0, NULL},
	.has_compat_sigaction = true,
};

static bool is_default(const SaEntry *e)
{
	return !e->sigaction && !e->flags && !e->restorer && !e->mask && !e->has_mask_extended &&
	       e->has_compat_sigaction && !e->compat_sigaction && !e->base.n_unknown_fields;
}

void core_share(CoreEntry *core)
{
	size_t i;

	for (i = 0; core->tc && i < core->tc->n_sigactions; i++) {
		SaEntry **e = &core->tc->sigactions[i];

		if (!is_default(*e))
			continue;
		free_message(*e);
		*e = (SaEntry *)&default_action;
	}
}

static void free_core(CoreEntry *core)
{
	size_t i;

	for (i = 0; core && core->tc && i < core->tc->n_sigactions; i++)
		if (core->tc->sigactions[i] == &default_action)
			core->tc->sigactions[i] = NULL;
	free_message(core);
}

void task_forget(struct task *t)
{
	struct thread *th;

	vec_for_each (&t->threads, th)
		free_core(th->core);
	vec_free(&t->threads);
	free_message(t->fs);
	t->fs = NULL;
}

static void free_task(struct task *t)
{
	task_forget(t);
	vec_free(&t->children);
	free_message(t->msg);
	free(t);
}

void fdtable_forget(struct fdtable *table)
{
	struct fd *fd;

	vec_for_each (&table->fds, fd)
		if (!table->pooled)
			free_message(fd->msg);
	vec_free(&table->fds);
}

static void free_fdtable(struct fdtable *table)
{
	fdtable_forget(table);
	free(table);
}

void mm_forget(struct mm *mm)
{
	vec_free(&mm->vmas);
	free_message(mm->msg);
	mm->msg = NULL;
}

static void free_mm(struct mm *mm)
{
	mm_forget(mm);
	free(mm);
}

void checkpoint_forget_mappings(struct checkpoint *cp)
{
	struct mm **mm;

	vec_for_each (&cp->mms, mm)
		mm_forget(*mm);
}

void checkpoint_free(struct checkpoint *cp)
{
	struct sysv_segment *segment;
	struct file_lock *lock;
	struct fdtable **table;
	struct task **t;
	struct file **f;
	struct mm **mm;

	if (!cp)
		return;
	vec_for_each (&cp->files, f)
		free_file(cp, *f);
	vec_for_each (&cp->tasks, t)
		free_task(*t);
	vec_for_each (&cp->fdtables, table)
		free_fdtable(*table);
	vec_for_each (&cp->mms, mm)
		free_mm(*mm);
	vec_free(&cp->files);
	vec_free(&cp->tasks);
	vec_free(&cp->by_pid);
	vec_free(&cp->fdtables);
	vec_free(&cp->mms);
	vec_for_each (&cp->sysv, segment)
		free_message(segment->msg);
	vec_free(&cp->sysv);
	vec_free(&cp->ghosts);
	vec_for_each (&cp->locks, lock)
		free_message(lock->msg);
	vec_free(&cp->locks);
	free_message(cp->inventory);
	free_message(cp->seccomp);
	pool_free(&cp->pool);
	free(cp);
}

/* Index of the first file whose id is not below @id. */
static size_t file_place(const struct checkpoint *cp, uint32_t id)
{
	size_t low = 0, high = cp->files.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (cp->files.at[mid]->id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static size_t task_place(const struct checkpoint *cp, pid_t pid)
{
	size_t low = 0, high = cp->by_pid.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (task_pid(cp->by_pid.at[mid]) < pid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct file *checkpoint_file(const struct checkpoint *cp, uint32_t id)
{
	/* Mostly there are no gaps. */
	size_t at = cp->files.n ? id - cp->files.at[0]->id : 0;

	if (at >= cp->files.n || cp->files.at[at]->id != id)
		at = file_place(cp, id);
	return at < cp->files.n && cp->files.at[at]->id == id ? cp->files.at[at] : NULL;
}

struct task *checkpoint_task(const struct checkpoint *cp, pid_t pid)
{
	size_t at = task_place(cp, pid);
	struct task **t;

	if (at < cp->by_pid.n && task_pid(cp->by_pid.at[at]) == pid)
		return cp->by_pid.at[at];
	if (cp->by_pid.n == cp->tasks.n)
		return NULL;
	/* Tasks were put into the array by hand. */
	vec_for_each (&cp->tasks, t)
		if (task_pid(*t) == pid)
			return *t;
	return NULL;
}

int checkpoint_add_file(struct checkpoint *cp, struct file *f)
{
	size_t at = cp->files.n;

	f->id = f->msg->id;
	/* Nearly always ascending: no search, nothing to move. */
	if (at && cp->files.at[at - 1]->id >= f->id)
		at = file_place(cp, f->id);
	if (at < cp->files.n && cp->files.at[at]->id == f->id)
		return -EEXIST;
	if (vec_reserve(&cp->files, 1))
		return -ENOMEM;
	memmove(&cp->files.at[at + 1], &cp->files.at[at],
		(cp->files.n - at) * sizeof(cp->files.at[0]));
	cp->files.at[at] = f;
	cp->files.n++;
	return 0;
}

int checkpoint_add_task(struct checkpoint *cp, struct task *t)
{
	size_t at = task_place(cp, task_pid(t));

	if (at < cp->by_pid.n && task_pid(cp->by_pid.at[at]) == task_pid(t))
		return -EEXIST;
	if (vec_reserve(&cp->by_pid, 1) || vec_reserve(&cp->tasks, 1))
		return -ENOMEM;
	memmove(&cp->by_pid.at[at + 1], &cp->by_pid.at[at],
		(cp->by_pid.n - at) * sizeof(cp->by_pid.at[0]));
	cp->by_pid.at[at] = t;
	cp->by_pid.n++;
	cp->tasks.at[cp->tasks.n++] = t;
	return 0;
}

/* Where each type of file_entry keeps the kind's own message. */
#define FILE_TYPES(X)      \
	X(REG, reg)        \
	X(PIPE, pipe)      \
	X(FIFO, fifo)      \
	X(INETSK, isk)     \
	X(UNIXSK, usk)     \
	X(EVENTFD, efd)    \
	X(EVENTPOLL, epfd) \
	X(INOTIFY, ify)    \
	X(SIGNALFD, sgfd)  \
	X(PACKETSK, psk)   \
	X(TTY, tty)        \
	X(FANOTIFY, ffy)   \
	X(NETLINKSK, nlsk) \
	X(NS, nsf)         \
	X(TUNF, tunf)      \
	X(EXT, ext)        \
	X(TIMERFD, tfd)    \
	X(MEMFD, memfd)    \
	X(BPFMAP, bpf)     \
	X(PIDFD, pidfd)    \
	X(MEMFD_SECRET, secret)

const ProtobufCMessage *file_entry_message(const FileEntry *e, uint32_t *id)
{
	switch (e->type) {
#define X(_type, _field)                             \
	case FD_TYPES__##_type:                      \
		*id = e->_field ? e->_field->id : 0; \
		return e->_field ? &e->_field->base : NULL;
		FILE_TYPES(X)
#undef X
	default:
		return NULL;
	}
}

const char *file_type_name(FdTypes type, char buf[16])
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(&fd_types__descriptor,
									   type);

	if (v)
		return v->name;
	snprintf(buf, 16, "#%d", (int)type);
	return buf;
}
