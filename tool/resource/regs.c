// SPDX-License-Identifier: GPL-2.0-only
#include "resource/regs.h"

#include <cpuid.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The legacy area of XSAVE (Intel SDM vol. 1, 10.5.1), then the header at 512. */
struct legacy {
	uint16_t cwd, swd, twd, fop;
	uint64_t rip, rdp;
	uint32_t mxcsr, mxcsr_mask;
	uint32_t st_space[32];
	uint32_t xmm_space[64];
	uint32_t reserved[24]; /* 416: the last 48 bytes are software's: xfeatures at 464 */
	uint64_t xstate_bv, xcomp_bv, reserved2[6];
};

#define HEADER_END 576
_Static_assert(sizeof(struct legacy) == HEADER_END, "XSAVE header");

/* Components that a message has a field for: bit, bytes, and the field's array. */
struct part {
	unsigned int bit;
	size_t len, elem;
	size_t n_offset, array_offset;
};

#define PART(b, bytes, type, field)                                             \
	{                                                                       \
		b, bytes, sizeof(type), offsetof(UserX86XsaveEntry, n_##field), \
			offsetof(UserX86XsaveEntry, field)                      \
	}

static const struct part parts[] = {
	PART(2, 256, uint32_t, ymmh_space),  PART(3, 64, uint64_t, bndreg_state),
	PART(4, 64, uint64_t, bndcsr_state), PART(5, 64, uint64_t, opmask_reg),
	PART(6, 512, uint64_t, zmm_upper),   PART(7, 1024, uint64_t, hi16_zmm),
	PART(9, 8, uint32_t, pkru),
};

#define N_PARTS (sizeof(parts) / sizeof(parts[0]))

void xsave_layout_ask(struct xsave_layout *ret)
{
	unsigned int eax = 0, ebx = 0, ecx = 0, edx = 0, bit;
	uint64_t has = 0;

	memset(ret, 0, sizeof(*ret));
	if (__get_cpuid_count(0xd, 0, &eax, &ebx, &ecx, &edx))
		has = eax | (uint64_t)edx << 32;
	ret->size = ecx > HEADER_END ? ecx : HEADER_END;
	/* The first two are in the legacy area. */
	for (bit = 2; bit < XSAVE_COMPONENTS; bit++) {
		if (!(has >> bit & 1) || !__get_cpuid_count(0xd, bit, &eax, &ebx, &ecx, &edx) ||
		    !eax || !ebx)
			continue;
		ret->at[bit].offset = ebx;
		ret->at[bit].len = eax;
	}
}

static const struct part *part_of(unsigned int bit)
{
	size_t i;

	for (i = 0; i < N_PARTS; i++) {
		if (parts[i].bit == bit)
			return &parts[i];
	}
	return NULL;
}

/* --- to the message ------------------------------------------------------ */

static int put_array(UserX86XsaveEntry *x, const struct part *p, const uint8_t *from)
{
	void *copy = calloc(1, p->len);

	if (!copy)
		return -ENOMEM;
	if (from)
		memcpy(copy, from, p->len);
	*(void **)((char *)x + p->array_offset) = copy;
	*(size_t *)((char *)x + p->n_offset) = p->len / p->elem;
	return 0;
}

static int put_other(UserX86XsaveEntry *x, unsigned int bit, const uint8_t *from, size_t len)
{
	UserX86XsavePart *m = malloc(sizeof(*m));
	void *grown = realloc(x->parts, (x->n_parts + 1) * sizeof(*x->parts));

	if (grown)
		x->parts = grown;
	if (m)
		user_x86_xsave_part__init(m);
	if (m && grown)
		m->state.data = malloc(len);
	if (!m || !grown || !m->state.data) {
		free(m);
		return -ENOMEM;
	}
	m->number = bit;
	m->state.len = len;
	memcpy(m->state.data, from, len);
	x->parts[x->n_parts++] = m;
	return 0;
}

static int put_xsave(const struct xsave_layout *layout, UserX86XsaveEntry *x, const uint8_t *area,
		     size_t area_len, uint64_t bv)
{
	size_t i, offset, len;
	unsigned int bit;
	int ret = 0;

	x->xstate_bv = bv;
	/* CRIU takes the arrays for granted where the CPU has the component. */
	for (i = 0; !ret && i < N_PARTS; i++) {
		const struct part *p = &parts[i];
		bool have;

		offset = layout->at[p->bit].offset;
		len = layout->at[p->bit].len;
		have = len >= p->len && offset + p->len <= area_len && (bv >> p->bit & 1);
		if (len || p->bit == 2)
			ret = put_array(x, p, have ? area + offset : NULL);
	}
	for (bit = 8; !ret && bit < XSAVE_COMPONENTS; bit++) {
		if (!(bv >> bit & 1) || part_of(bit))
			continue;
		offset = layout->at[bit].offset;
		len = layout->at[bit].len;
		if (len && offset + len <= area_len)
			ret = put_other(x, bit, area + offset, len);
	}
	return ret;
}

static uint32_t *copy_u32(const uint32_t *from, size_t n)
{
	uint32_t *p = malloc(n * sizeof(*p));

	return p ? memcpy(p, from, n * sizeof(*p)) : NULL;
}

static int put_fp(const struct xsave_layout *layout, UserX86FpregsEntry *f, const void *xstate,
		  size_t len)
{
	struct legacy a = {};

	memcpy(&a, xstate, len < sizeof(a) ? len : sizeof(a));
	f->cwd = a.cwd;
	f->swd = a.swd;
	f->twd = a.twd;
	f->fop = a.fop;
	f->rip = a.rip;
	f->rdp = a.rdp;
	f->mxcsr = a.mxcsr;
	f->mxcsr_mask = a.mxcsr_mask;
	f->st_space = copy_u32(a.st_space, 32);
	f->xmm_space = copy_u32(a.xmm_space, 64);
	if (!f->st_space || !f->xmm_space)
		return -ENOMEM;
	f->n_st_space = 32;
	f->n_xmm_space = 64;
	if (len < HEADER_END)
		return 0;
	f->xsave = malloc(sizeof(*f->xsave));
	if (!f->xsave)
		return -ENOMEM;
	user_x86_xsave_entry__init(f->xsave);
	return put_xsave(layout, f->xsave, xstate, len, a.xstate_bv);
}

static void put_gp(UserX86RegsEntry *g, const struct user_regs_struct *r)
{
	g->r15 = r->r15;
	g->r14 = r->r14;
	g->r13 = r->r13;
	g->r12 = r->r12;
	g->bp = r->rbp;
	g->bx = r->rbx;
	g->r11 = r->r11;
	g->r10 = r->r10;
	g->r9 = r->r9;
	g->r8 = r->r8;
	g->ax = r->rax;
	g->cx = r->rcx;
	g->dx = r->rdx;
	g->si = r->rsi;
	g->di = r->rdi;
	g->orig_ax = r->orig_rax;
	g->ip = r->rip;
	g->cs = r->cs;
	g->flags = r->eflags;
	g->sp = r->rsp;
	g->ss = r->ss;
	g->fs_base = r->fs_base;
	g->gs_base = r->gs_base;
	g->ds = r->ds;
	g->es = r->es;
	g->fs = r->fs;
	g->gs = r->gs;
	g->has_mode = true;
	g->mode = USER_X86_REGS_MODE__NATIVE;
}

/*
 * Do for the image what the kernel would do on the way back to user mode. The
 * restart block (relative timeouts) cannot be carried over: the call is made
 * again with the timeout that the program gave.
 */
static void rewind_syscall(UserX86RegsEntry *g)
{
	if ((int64_t)g->orig_ax < 0)
		return;
	switch (-(int64_t)g->ax) {
	case 512: /* ERESTARTSYS */
	case 513: /* ERESTARTNOINTR */
	case 514: /* ERESTARTNOHAND */
	case 516: /* ERESTART_RESTARTBLOCK */
		g->ax = g->orig_ax;
		g->ip -= 2;
		break;
	}
}

ThreadInfoX86 *regs_to_message(const struct xsave_layout *layout,
			       const struct user_regs_struct *regs, const void *xstate,
			       size_t xstate_len)
{
	ThreadInfoX86 *m = malloc(sizeof(*m));

	if (!m)
		return NULL;
	thread_info_x86__init(m);
	m->gpregs = malloc(sizeof(*m->gpregs));
	if (m->gpregs)
		user_x86_regs_entry__init(m->gpregs);
	m->fpregs = malloc(sizeof(*m->fpregs));
	if (m->fpregs)
		user_x86_fpregs_entry__init(m->fpregs);
	if (!m->gpregs || !m->fpregs || put_fp(layout, m->fpregs, xstate, xstate_len)) {
		thread_info_x86__free_unpacked(m, NULL);
		return NULL;
	}
	put_gp(m->gpregs, regs);
	rewind_syscall(m->gpregs);
	return m;
}

/* --- from the message ---------------------------------------------------- */

static void get_gp(const UserX86RegsEntry *g, struct user_regs_struct *r)
{
	memset(r, 0, sizeof(*r));
	r->r15 = g->r15;
	r->r14 = g->r14;
	r->r13 = g->r13;
	r->r12 = g->r12;
	r->rbp = g->bp;
	r->rbx = g->bx;
	r->r11 = g->r11;
	r->r10 = g->r10;
	r->r9 = g->r9;
	r->r8 = g->r8;
	r->rax = g->ax;
	r->rcx = g->cx;
	r->rdx = g->dx;
	r->rsi = g->si;
	r->rdi = g->di;
	r->orig_rax = -1; /* whatever had to be restarted is rewound already */
	r->rip = g->ip;
	r->cs = g->cs;
	r->eflags = g->flags;
	r->rsp = g->sp;
	r->ss = g->ss;
	r->fs_base = g->fs_base;
	r->gs_base = g->gs_base;
	r->ds = g->ds;
	r->es = g->es;
	r->fs = g->fs;
	r->gs = g->gs;
}

static int lacks(struct error *err, pid_t tid, unsigned int bit)
{
	fail_text(err, -EOPNOTSUPP,
		  "thread %d: this CPU lacks register state %u (CPUID 0xD) of the "
		  "checkpoint",
		  tid, bit);
	return fail_hint(err, "restore on a CPU with the features of the one it was dumped on");
}

/* Copy one component's bytes to where this CPU wants it. */
static int place(const struct xsave_layout *layout, uint8_t *area, size_t room, unsigned int bit,
		 const void *from, size_t len, pid_t tid, struct error *err)
{
	size_t offset = layout->at[bit].offset, have = layout->at[bit].len;

	if (!have)
		return lacks(err, tid, bit);
	if (len > have || offset + have > room)
		return fail_text(err, -EINVAL,
				 "thread %d: %zu bytes of register state %u, this CPU has "
				 "room for %zu",
				 tid, len, bit, have);
	memcpy(area + offset, from, len);
	return 0;
}

static int get_xsave(const struct xsave_layout *layout, const UserX86XsaveEntry *x, uint8_t *area,
		     size_t room, pid_t tid, struct error *err)
{
	uint64_t bv = 3; /* x87 and SSE are in the legacy area, always */
	size_t i;
	int ret;

	for (i = 0; i < N_PARTS; i++) {
		const struct part *p = &parts[i];
		size_t n = *(const size_t *)((const char *)x + p->n_offset);
		const void *from = *(void *const *)((const char *)x + p->array_offset);

		if (!(x->xstate_bv >> p->bit & 1))
			continue;
		if (n * p->elem != p->len)
			return fail_text(err, -EINVAL,
					 "thread %d: %zu bytes of register state %u, "
					 "expected %zu",
					 tid, n * p->elem, p->bit, p->len);
		ret = place(layout, area, room, p->bit, from, p->len, tid, err);
		if (ret)
			return ret;
		bv |= 1ULL << p->bit;
	}
	for (i = 0; i < x->n_parts; i++) {
		const UserX86XsavePart *o = x->parts[i];

		if (o->number < 2 || o->number > 62 || part_of(o->number))
			return fail_text(err, -EINVAL,
					 "thread %d: register state %u is out of place", tid,
					 o->number);
		ret = place(layout, area, room, o->number, o->state.data, o->state.len, tid, err);
		if (ret)
			return ret;
		bv |= 1ULL << o->number;
	}
	((struct legacy *)area)->xstate_bv = bv;
	return 0;
}

int regs_from_message(const struct xsave_layout *layout, const ThreadInfoX86 *m, pid_t tid,
		      struct user_regs_struct *regs, void *xstate, size_t *xstate_len,
		      struct error *err)
{
	const UserX86FpregsEntry *f = m->fpregs;
	struct legacy *a = xstate;
	size_t room = *xstate_len;
	int ret = 0;

	if (m->gpregs->has_mode && m->gpregs->mode != USER_X86_REGS_MODE__NATIVE) {
		fail_text(err, -EOPNOTSUPP, "thread %d runs 32-bit code", tid);
		return fail_hint(err, "32-bit tasks are not supported");
	}
	if (layout->size > room || f->n_st_space != 32 || f->n_xmm_space != 64)
		return fail_text(err, -EINVAL,
				 "thread %d: floating point registers of wrong length", tid);
	memset(xstate, 0, room);
	a->cwd = f->cwd;
	a->swd = f->swd;
	a->twd = f->twd;
	a->fop = f->fop;
	a->rip = f->rip;
	a->rdp = f->rdp;
	a->mxcsr = f->mxcsr;
	a->mxcsr_mask = f->mxcsr_mask;
	memcpy(a->st_space, f->st_space, sizeof(a->st_space));
	memcpy(a->xmm_space, f->xmm_space, sizeof(a->xmm_space));
	a->xstate_bv = 3;
	if (f->xsave)
		ret = get_xsave(layout, f->xsave, xstate, room, tid, err);
	if (ret)
		return ret;
	get_gp(m->gpregs, regs);
	*xstate_len = layout->size; /* PTRACE_SETREGSET takes the whole area only */
	return 0;
}
