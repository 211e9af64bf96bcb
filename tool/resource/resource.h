/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kinds of kernel objects: one file and one table row each.
 *
 * struct resource describes a kind of open file description. struct attribute
 * (attribute.h) describes state of a task or thread that is no descriptor.
 */
#ifndef STASIS_RESOURCE_RESOURCE_H
#define STASIS_RESOURCE_RESOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "image/image.h"
#include "model/model.h"
#include "plan/operand.h"

struct collect; /* resource/collect.h */
struct run;
struct plan;
struct plan_slot;

/* What is known of a descriptor at dump before its kind is. */
struct fd_probe {
	pid_t pid;	    /* whose descriptor this is, for messages */
	int fd;		    /* its number there; -1: a mapping, cwd, root or exe */
	uint64_t addr, end; /* of a mapping, when that is what it was found by */
	int local;	    /* our own copy (pidfd_getfd or open), owned by the caller */
	struct stat st;	    /* of local */
	uint64_t fstype;    /* f_type of statfs(2), 0 when it has none */
	char link[4096];    /* what /proc/PID/fd/N points to */
	const char *fdinfo; /* text of /proc/PID/fdinfo/N for kinds without a path, else "" */
	uint32_t flags;	    /* open flags without O_CLOEXEC */
	uint64_t pos;
	const char *external; /* its name, if --external has it, else NULL */
	/* Whether the link is a path that leads to this very file. */
	enum { PATH_UNASKED, PATH_LEADS_THERE, PATH_LEADS_ELSEWHERE } path;
};

struct resource {
	const char *name; /* for messages: "pipe" */
	FdTypes type;	  /* file_entry.type */
	/* Is it this kind? Rows are asked in table order; the first that says yes has it. */
	bool (*match)(const struct fd_probe *p);
	/*
	 * Fill f->msg with the kind's message. Refuse here, before anything was
	 * changed, what cannot be restored. Called once per description.
	 */
	int (*collect)(struct collect *c, const struct fd_probe *p, struct file *f);
	/* Write further images (contents of pipes, inodes of memfds); once per dump, may be NULL.
	 */
	int (*save)(struct collect *c);
	/* Restore: read further images, link files; once per restore, may be NULL. */
	int (*load)(struct run *run, struct checkpoint *cp);
	/*
	 * Emit the steps that open the description in @slot. *ret_fd is the
	 * descriptor's number there. A kind that makes several descriptions at
	 * once (both ends of a pipe) says so of the others with plan_file_opened().
	 */
	int (*open)(struct plan *p, struct plan_slot *slot, struct file *f, struct operand *ret_fd);
	/*
	 * Emit what must wait until every task has its memory (seals); @fd is in
	 * @slot. Returns whether it emitted anything. May be NULL.
	 */
	int (*settle)(struct plan *p, struct plan_slot *slot, struct file *f, struct operand fd);
	/* What --inherit-fd calls it, as snprintf(3); -1: it has no such name. May be NULL. */
	int (*identity)(const struct file *f, char *buf, size_t size);
	/* One line for people: "pipe:[77] 12 bytes". */
	int (*describe)(const struct file *f, char *buf, size_t size);
	void (*forget)(struct file *f);
};

extern const struct resource *const resources[]; /* NULL-terminated, in match order */

const struct resource *resource_by_type(FdTypes type);

/* @f is of this kind. */
void file_is(struct file *f, const struct resource *kind);

/*
 * Restore: find the kind of each file of a loaded checkpoint, or refuse it;
 * then let the kinds read images of their own.
 */
int resources_load(struct run *run, struct checkpoint *cp);

#endif
