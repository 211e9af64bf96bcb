// SPDX-License-Identifier: GPL-2.0-only
/* Credentials of a thread: ids, groups, capabilities, securebits, no_new_privs. */
#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "kernel/proc.h"
#include "plan/inherited.h"
#include "plan/plan.h"
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

static uint64_t cap_set(size_t n, const uint32_t *words)
{
	return (n > 0 ? words[0] : 0) | (n > 1 ? (uint64_t)words[1] << 32 : 0);
}

static bool same_groups(const CredsEntry *e, const struct inherited *in)
{
	return e->n_groups == in->n_groups &&
	       (!e->n_groups || !memcmp(e->groups, in->groups, e->n_groups * sizeof(*e->groups)));
}

static bool same_ids(const CredsEntry *e, const struct inherited *in)
{
	const uint32_t uid[4] = {e->uid, e->euid, e->suid, e->fsuid};
	const uint32_t gid[4] = {e->gid, e->egid, e->sgid, e->fsgid};

	return !memcmp(uid, in->uid, sizeof(uid)) && !memcmp(gid, in->gid, sizeof(gid));
}

static bool same_caps(const CredsEntry *e, const struct inherited *in)
{
	return cap_set(e->n_cap_inh, e->cap_inh) == in->cap_inh &&
	       cap_set(e->n_cap_prm, e->cap_prm) == in->cap_prm &&
	       cap_set(e->n_cap_eff, e->cap_eff) == in->cap_eff &&
	       cap_set(e->n_cap_amb, e->cap_amb) == in->cap_amb;
}

/* While these bits are set, a change of user ids takes no capabilities away. */
#define KEEP_ALL ((1 << SECURE_NO_SETUID_FIXUP) | (1 << SECURE_KEEP_CAPS))

static void plan_ids(struct plan *p, struct plan_slot *slot, const CredsEntry *e)
{
	plan_call(p, slot, "keep capabilities for now", 0, __NR_prctl, imm(PR_SET_SECUREBITS),
		  imm(KEEP_ALL));
	plan_call(p, slot, "group ids", e->gid, __NR_setresgid, imm(e->gid), imm(e->egid),
		  imm(e->sgid));
	plan_call_flags(p, slot, "file system group %ld", e->fsgid, __NR_setfsgid, STUB_MAY_FAIL,
			imm(e->fsgid));
	plan_call(p, slot, "user ids", e->uid, __NR_setresuid, imm(e->uid), imm(e->euid),
		  imm(e->suid));
	plan_call_flags(p, slot, "file system user %ld", e->fsuid, __NR_setfsuid, STUB_MAY_FAIL,
			imm(e->fsuid));
}

static int plan_caps(struct plan *p, struct plan_slot *slot, const CredsEntry *e, bool ids)
{
	const struct inherited *in = p->inherited;
	uint64_t inh = cap_set(e->n_cap_inh, e->cap_inh), prm = cap_set(e->n_cap_prm, e->cap_prm);
	uint64_t eff = cap_set(e->n_cap_eff, e->cap_eff), bnd = cap_set(e->n_cap_bnd, e->cap_bnd);
	uint64_t amb = cap_set(e->n_cap_amb, e->cap_amb), lack = prm & ~in->cap_prm;
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
		{eff, prm, inh},
		{eff >> 32, prm >> 32, inh >> 32},
	};
	int cap;

	if (lack) {
		fail_text(&p->run->err, -EPERM,
			  "task %d: it has capabilities that the caller lacks (%#llx)", slot->tid,
			  (unsigned long long)lack);
		return fail_hint(&p->run->err, "restore with these capabilities");
	}
	for (cap = 0; cap < 64; cap++)
		if (in->cap_bnd & ~bnd & 1ull << cap)
			plan_call(p, slot, "bounding set without capability %ld", cap, __NR_prctl,
				  imm(PR_CAPBSET_DROP), imm(cap));
	if (in->cap_amb)
		plan_call(p, slot, "empty ambient set", 0, __NR_prctl, imm(PR_CAP_AMBIENT),
			  imm(PR_CAP_AMBIENT_CLEAR_ALL), imm(0), imm(0), imm(0));
	if (ids || e->secbits != in->securebits)
		plan_call(p, slot, "securebits", e->secbits, __NR_prctl, imm(PR_SET_SECUREBITS),
			  imm(e->secbits));
	if (ids || !same_caps(e, in))
		plan_call(p, slot, "capabilities", 0, __NR_capset,
			  plan_data(p, &head, sizeof(head)), plan_data(p, data, sizeof(data)));
	for (cap = 0; cap < 64; cap++)
		if (amb & 1ull << cap)
			plan_call(p, slot, "ambient capability %ld", cap, __NR_prctl,
				  imm(PR_CAP_AMBIENT), imm(PR_CAP_AMBIENT_RAISE), imm(cap), imm(0),
				  imm(0));
	return 0;
}

static int plan_creds(struct plan *p, struct plan_slot *slot, const struct thread *t)
{
	const CredsEntry *e = t->core->thread_core->creds;
	const struct inherited *in = p->inherited;
	uint32_t before = slot->n_steps;
	bool ids;
	int ret;

	if (!e)
		return 0;
	if (e->lsm_profile && strcmp(e->lsm_profile, "unconfined")) {
		fail_text(&p->run->err, -EOPNOTSUPP, "task %d: LSM profile %s", slot->tid,
			  e->lsm_profile);
		return fail_hint(&p->run->err, "restore it with criu");
	}
	slot->phase = PHASE_CREDS;
	ids = !same_ids(e, in);
	if (!same_groups(e, in))
		plan_call(p, slot, "supplementary groups", 0, __NR_setgroups, imm(e->n_groups),
			  plan_data(p, e->groups, e->n_groups * sizeof(*e->groups)));
	if (ids)
		plan_ids(p, slot, e);
	ret = plan_caps(p, slot, e, ids);
	if (e->has_no_new_privs && e->no_new_privs && !in->no_new_privs)
		plan_call(p, slot, "no new privileges", 0, __NR_prctl, imm(PR_SET_NO_NEW_PRIVS),
			  imm(1), imm(0), imm(0), imm(0));
	if (slot->n_steps != before)
		p->creds_change = true;
	return ret;
}

const struct attribute attribute_creds = {
	.name = "credentials",
	.look = look_creds,
	.ask = ask_creds,
	.answer = answer_creds,
	.plan = plan_creds,
};
