// SPDX-License-Identifier: GPL-2.0-only
/* Credentials of a thread: ids, groups, capabilities, securebits, no_new_privs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "kernel/proc.h"
#include "remote/program.h"
#include "resource/attribute.h"
#include "resource/attributes.h"

/* Capability sets are two words, the lower first. */
static int caps(uint64_t set, size_t *n, uint32_t **words)
{
	uint32_t *w = malloc(2 * sizeof(*w));

	if (!w)
		return -ENOMEM;
	w[0] = set;
	w[1] = set >> 32;
	*n = 2;
	*words = w;
	return 0;
}

static int fill(CredsEntry *e, const struct proc_status *s)
{
	e->uid = s->uid[0];
	e->euid = s->uid[1];
	e->suid = s->uid[2];
	e->fsuid = s->uid[3];
	e->gid = s->gid[0];
	e->egid = s->gid[1];
	e->sgid = s->gid[2];
	e->fsgid = s->gid[3];
	e->has_no_new_privs = s->no_new_privs;
	e->no_new_privs = s->no_new_privs;
	if (caps(s->cap_inh, &e->n_cap_inh, &e->cap_inh) ||
	    caps(s->cap_prm, &e->n_cap_prm, &e->cap_prm) ||
	    caps(s->cap_eff, &e->n_cap_eff, &e->cap_eff) ||
	    caps(s->cap_bnd, &e->n_cap_bnd, &e->cap_bnd) ||
	    caps(s->cap_amb, &e->n_cap_amb, &e->cap_amb))
		return -ENOMEM;
	if (!s->groups.n)
		return 0;
	e->groups = malloc(s->groups.n * sizeof(*e->groups));
	if (!e->groups)
		return -ENOMEM;
	memcpy(e->groups, s->groups.at, s->groups.n * sizeof(*e->groups));
	e->n_groups = s->groups.n;
	return 0;
}

static int look_creds(struct ask *a)
{
	const struct proc_status *s = a->status;
	struct proc_status own = {};
	CredsEntry *e;
	char path[48];
	int ret = 0;

	if (!s) {
		snprintf(path, sizeof(path), "task/%d/status", a->thread->tid);
		ret = proc_status(a->procfd, path, &own);
		s = &own;
	}
	if (ret)
		return ret;
	a->seccomp = s->seccomp;
	e = malloc(sizeof(*e));
	if (e) {
		creds_entry__init(e);
		a->thread->core->thread_core->creds = e;
		ret = fill(e, s);
	} else {
		ret = -ENOMEM;
	}
	proc_status_free(&own);
	return ret;
}

static int ask_creds(struct ask *a)
{
	a->mine = program_call(a->prog, SYS_prctl, 0, arg_imm(PR_GET_SECUREBITS));
	return a->mine ? 0 : -ENOSPC;
}

static int answer_creds(struct ask *a)
{
	const struct stub_op *op = a->mine;

	a->thread->core->thread_core->creds->secbits = op->ret;
	return 0;
}

const struct attribute attribute_creds = {
	.name = "credentials",
	.look = look_creds,
	.ask = ask_creds,
	.answer = answer_creds,
};
