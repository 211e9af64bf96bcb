/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STASIS_KERNEL_BPF_ATTACH_H
#define STASIS_KERNEL_BPF_ATTACH_H

#include <bpf/bpf.h>

/*
 * Attach a program that does nothing to kernel function, tracepoint or iterator @name, and let
 * it go. 0, or a negative errno: -ENOENT if the kernel has no such thing, -EPERM if the caller
 * may not, which a security policy can say to root too.
 */
int bpf_try_attach(const char *name, enum bpf_attach_type type);

/*
 * An event to attach a program to for the tracepoint @name of a system call (sys_exit_setsid):
 * its descriptor, or a negative errno.
 */
int bpf_syscall_event(const char *name);

#endif
