/* SPDX-License-Identifier: GPL-2.0-only */
/* Registers between ptrace(2) and core images (thread_info_x86). */
#ifndef STASIS_RESOURCE_REGS_H
#define STASIS_RESOURCE_REGS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include "lib/error.h"
#include "proto/stasis.pb-c.h"

/* Upper bound of an XSAVE area here (AMX included). */
#define XSTATE_MAX 16384

/*
 * Where the CPU keeps the components of its uncompacted XSAVE area (CPUID 0xD). Asked once in
 * a run and passed on: a virtual machine leaves for its host at every CPUID, which takes
 * longer than all else that is done for a thread's registers.
 */
#define XSAVE_COMPONENTS 63
struct xsave_layout {
	uint32_t size; /* of the whole area */
	struct {
		uint32_t offset, len; /* 0: the CPU has none such */
	} at[XSAVE_COMPONENTS];
};

void xsave_layout_ask(struct xsave_layout *ret);

/*
 * Message from registers. @xstate is what PTRACE_GETREGSET(NT_X86_XSTATE)
 * gave: the uncompacted XSAVE format.
 * A system call that was interrupted is rewound, so that it is made again.
 * NULL when there is no memory. Owned by the caller.
 */
ThreadInfoX86 *regs_to_message(const struct xsave_layout *layout,
			       const struct user_regs_struct *regs, const void *xstate,
			       size_t xstate_len);

/*
 * Registers from a message that is hostile input: lengths are checked, parts
 * that this CPU lacks are refused with -EOPNOTSUPP. @xstate_len: in: room,
 * out: bytes for PTRACE_SETREGSET.
 */
int regs_from_message(const struct xsave_layout *layout, const ThreadInfoX86 *m, pid_t tid,
		      struct user_regs_struct *regs, void *xstate, size_t *xstate_len,
		      struct error *err);

#endif
