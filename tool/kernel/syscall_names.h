/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STASIS_KERNEL_SYSCALL_NAMES_H
#define STASIS_KERNEL_SYSCALL_NAMES_H

/* The name of a system call of x86-64, NULL for those that neither dump nor restore makes. */
const char *syscall_name(unsigned int nr);

#endif
