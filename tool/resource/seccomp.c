// SPDX-License-Identifier: GPL-2.0-only
/*
 * Seccomp modes and filters (PTRACE_SECCOMP_GET_FILTER, 4.4; metadata, 4.16).
 *
 * A thread's filters are a chain that forks share the beginning of. seccomp.img
 * holds every filter once, each with the number of the one set before it; a
 * thread names its last.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>

#include "kernel/proc.h"
#include "lib/cleanup.h"
#include "plan/plan.h"
#include "remote/ptrace.h"
#include "resource/attribute.h"
#include "resource/attributes.h"

/* struct seccomp_metadata of <linux/ptrace.h>, which <sys/ptrace.h> does not go with. */
struct metadata {
	uint64_t filter_off, flags;
};

#define MAX_INSNS 4096 /* BPF_MAXINSNS */
#define NO_FILTER UINT32_MAX

/* The number of a filter equal to this one; added if there is none. */
static int find_filter(SeccompEntry *all, uint32_t prev, uint32_t flags, const void *bytes,
		       size_t len, uint32_t *ret)
{
	SeccompFilter *f;
	void *grown;
	size_t i;

	for (i = 0; i < all->n_seccomp_filters; i++) {
		f = all->seccomp_filters[i];
		if (f->filter.len == len && !memcmp(f->filter.data, bytes, len) &&
		    f->flags == flags && (f->has_prev ? f->prev : NO_FILTER) == prev) {
			*ret = i;
			return 0;
		}
	}
	f = malloc(sizeof(*f));
	grown = realloc(all->seccomp_filters, (i + 1) * sizeof(*all->seccomp_filters));
	if (grown)
		all->seccomp_filters = grown;
	if (!f || !grown) {
		free(f);
		return -ENOMEM;
	}
	seccomp_filter__init(f);
	all->seccomp_filters[all->n_seccomp_filters++] = f;
	f->filter.data = malloc(len);
	if (!f->filter.data)
		return -ENOMEM;
	memcpy(f->filter.data, bytes, len);
	f->filter.len = len;
	f->has_prev = prev != NO_FILTER;
	f->prev = f->has_prev ? prev : 0;
	f->has_flags = true;
	f->flags = flags;
	*ret = i;
	return 0;
}

/* Filter @index of a thread, 0 being the last one set. -ENOENT behind the first. */
static int get_filter(pid_t tid, unsigned long index, struct sock_filter *insns, int *ret_len,
		      uint32_t *ret_flags)
{
	struct metadata meta = {.filter_off = index};
	long n = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, (void *)index, insns);

	if (n < 0)
		return -errno;
	if (ptrace(PTRACE_SECCOMP_GET_METADATA, tid, (void *)sizeof(meta), &meta) < 0)
		return -errno;
	*ret_len = n;
	*ret_flags = meta.flags;
	return 0;
}

static int look_filters(struct ask *a, SeccompEntry *all, ThreadCoreEntry *tc)
{
	_cleanup_free_ struct sock_filter *insns = malloc(MAX_INSNS * sizeof(*insns));
	uint32_t prev = NO_FILTER, flags;
	int n = 0, len, ret;

	if (!insns)
		return -ENOMEM;
	do {
		ret = get_filter(a->thread->tid, n, insns, &len, &flags);
	} while (!ret && ++n);
	if (ret != -ENOENT)
		return ret == -EACCES || ret == -EMEDIUMTYPE ? -EOPNOTSUPP : ret;
	while (n-- > 0) { /* from the first one set */
		ret = get_filter(a->thread->tid, n, insns, &len, &flags);
		if (!ret)
			ret = find_filter(all, prev, flags, insns, len * sizeof(*insns), &prev);
		if (ret)
			return ret;
	}
	tc->has_seccomp_filter = true;
	tc->seccomp_filter = prev;
	return 0;
}

static SeccompEntry *all_filters(struct checkpoint *cp)
{
	if (cp->seccomp)
		return cp->seccomp;
	cp->seccomp = malloc(sizeof(*cp->seccomp));
	if (cp->seccomp)
		seccomp_entry__init(cp->seccomp);
	return cp->seccomp;
}

static int look_seccomp(struct ask *a)
{
	ThreadCoreEntry *tc = a->thread->core->thread_core;
	SeccompEntry *all;

	if (a->seccomp == SECCOMP_MODE_DISABLED)
		return 0;
	tc->has_seccomp_mode = true;
	tc->seccomp_mode = a->seccomp == SECCOMP_MODE_STRICT ? SECCOMP_MODE__strict
							     : SECCOMP_MODE__filter;
	if (a->seccomp == SECCOMP_MODE_STRICT)
		return 0;
	all = all_filters(a->cp);
	return all ? look_filters(a, all, tc) : -ENOMEM;
}

/*
 * At restore, filters are set while the tool traces the thread with
 * PTRACE_O_SUSPEND_SECCOMP, so that they cannot stop the rest of it, and before
 * capabilities go, which setting them may need.
 */
static int bad_chain(struct plan *p, const struct thread *t, uint32_t index)
{
	fail_text(&p->run->err, -EBADMSG,
		  "image seccomp.img: filter %u of thread %d is missing or malformed", index,
		  t->tid);
	return fail_hint(&p->run->err, "the checkpoint is damaged; dump again");
}

static void set_filter(struct plan *p, struct plan_slot *slot, const SeccompFilter *f,
		       uint32_t index)
{
	struct sock_fprog prog = {.len = f->filter.len / sizeof(struct sock_filter)};
	struct operand data = plan_data(p, &prog, sizeof(prog));

	plan_pointer(p, data, offsetof(struct sock_fprog, filter),
		     plan_data(p, f->filter.data, f->filter.len));
	plan_call(p, slot, "seccomp filter %ld", index, __NR_seccomp, imm(SECCOMP_SET_MODE_FILTER),
		  imm(f->has_flags ? f->flags : 0), data);
}

/* The chain leads from the newest filter to the oldest, which is set first. */
static int plan_filters(struct plan *p, struct plan_slot *slot, const struct thread *t)
{
	uint32_t index = t->core->thread_core->seccomp_filter;
	VEC(uint32_t) chain = {0};
	const SeccompFilter *f;
	const SeccompEntry *all = p->cp->seccomp;
	size_t i;
	int ret = all ? 0 : bad_chain(p, t, index);

	while (!ret) {
		if (index >= all->n_seccomp_filters || chain.n > all->n_seccomp_filters) {
			ret = bad_chain(p, t, index);
			break;
		}
		f = all->seccomp_filters[index];
		if (!f->filter.len || f->filter.len % sizeof(struct sock_filter) ||
		    f->filter.len / sizeof(struct sock_filter) > MAX_INSNS)
			ret = bad_chain(p, t, index);
		else if (vec_push(&chain, index))
			ret = fail(&p->run->err, -ENOMEM, "restore plan");
		if (ret || !f->has_prev)
			break;
		index = f->prev;
	}
	for (i = chain.n; !ret && i-- > 0;)
		set_filter(p, slot, all->seccomp_filters[chain.at[i]], chain.at[i]);
	vec_free(&chain);
	return ret;
}

static int plan_seccomp(struct plan *p, struct plan_slot *slot, const struct thread *t)
{
	const ThreadCoreEntry *tc = t->core->thread_core;

	if (!tc->has_seccomp_mode || tc->seccomp_mode == SECCOMP_MODE__disabled)
		return 0;
	slot->phase = PHASE_FILTERS;
	if (tc->seccomp_mode == SECCOMP_MODE__filter)
		return plan_filters(p, slot, t);
	plan_call(p, slot, "strict seccomp", 0, __NR_prctl, imm(PR_SET_SECCOMP),
		  imm(SECCOMP_MODE_STRICT), imm(0));
	return 0;
}

const struct attribute attribute_seccomp = {
	.name = "seccomp filters",
	.look = look_seccomp,
	.plan = plan_seccomp,
};
