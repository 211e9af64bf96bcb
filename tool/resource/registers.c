// SPDX-License-Identifier: GPL-2.0-only
/* General and extended registers, by ptrace(2). */
#include <asm/ldt.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "remote/ptrace.h"
#include "resource/attribute.h"
#include "resource/attributes.h"
#include "resource/regs.h"

/* Segments of the thread's own (set_thread_area(2)); 64-bit programs have none as a rule. */
#define TLS_FIRST 12
#define TLS_COUNT 3

#ifndef PTRACE_GET_THREAD_AREA
#define PTRACE_GET_THREAD_AREA 25
#endif

static UserDescT *tls_entry(pid_t tid, int number)
{
	UserDescT *e = malloc(sizeof(*e));
	struct user_desc d = {.entry_number = number, .read_exec_only = 1, .seg_not_present = 1};

	if (!e)
		return NULL;
	/* Unanswered by kernels without 32-bit emulation: an empty one then. */
	ptrace(PTRACE_GET_THREAD_AREA, tid, (void *)(long)number, &d);
	user_desc_t__init(e);
	e->entry_number = number;
	e->base_addr = d.base_addr;
	e->limit = d.limit;
	e->seg_32bit = d.seg_32bit;
	e->contents_h = d.contents & 2;
	e->contents_l = d.contents & 1;
	e->read_exec_only = d.read_exec_only;
	e->limit_in_pages = d.limit_in_pages;
	e->seg_not_present = d.seg_not_present;
	e->usable = d.useable;
	return e;
}

static int look_tls(pid_t tid, ThreadInfoX86 *m)
{
	int i;

	m->tls = calloc(TLS_COUNT, sizeof(*m->tls));
	for (i = 0; m->tls && i < TLS_COUNT; i++) {
		m->tls[i] = tls_entry(tid, TLS_FIRST + i);
		if (!m->tls[i])
			return -ENOMEM;
		m->n_tls++;
	}
	return m->tls ? 0 : -ENOMEM;
}

static int look_registers(struct ask *a)
{
	uint8_t xstate[XSTATE_MAX] __attribute__((aligned(64)));
	struct iovec iov = {xstate, sizeof(xstate)};
	CoreEntry *core = a->thread->core;

	if (ptrace(PTRACE_GETREGSET, a->thread->tid, (void *)NT_X86_XSTATE, &iov) < 0)
		return -errno;
	core->thread_info = regs_to_message(a->xsave, &a->tracee->regs, xstate, iov.iov_len);
	return core->thread_info ? look_tls(a->thread->tid, core->thread_info) : -ENOMEM;
}

const struct attribute attribute_registers = {
	.name = "registers",
	.look = look_registers,
};
