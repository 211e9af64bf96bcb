// SPDX-License-Identifier: GPL-2.0-only
/* General and extended registers, by ptrace(2). */
#include <elf.h>
#include <errno.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "remote/ptrace.h"
#include "resource/attribute.h"
#include "resource/attributes.h"
#include "resource/regs.h"

static int look_registers(struct ask *a)
{
	uint8_t xstate[XSTATE_MAX] __attribute__((aligned(64)));
	struct iovec iov = {xstate, sizeof(xstate)};
	CoreEntry *core = a->thread->core;

	if (ptrace(PTRACE_GETREGSET, a->thread->tid, (void *)NT_X86_XSTATE, &iov) < 0)
		return -errno;
	core->thread_info = regs_to_message(&a->tracee->regs, xstate, iov.iov_len);
	return core->thread_info ? 0 : -ENOMEM;
}

const struct attribute attribute_registers = {
	.name = "registers",
	.look = look_registers,
};
