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
 * Message from registers. @xstate is what PTRACE_GETREGSET(NT_X86_XSTATE)
 * gave: the uncompacted XSAVE format, components at the offsets of CPUID 0xD.
 * A system call that was interrupted is rewound, so that it is made again.
 * NULL when there is no memory. Owned by the caller.
 */
ThreadInfoX86 *regs_to_message(const struct user_regs_struct *regs, const void *xstate,
			       size_t xstate_len);

/*
 * Registers from a message that is hostile input: lengths are checked, parts
 * that this CPU lacks are refused with -EOPNOTSUPP. @xstate_len: in: room,
 * out: bytes for PTRACE_SETREGSET.
 */
int regs_from_message(const ThreadInfoX86 *m, pid_t tid, struct user_regs_struct *regs,
		      void *xstate, size_t *xstate_len, struct error *err);

#endif
