/* SPDX-License-Identifier: GPL-2.0-only */
/* Where springboard_code.S finds its data, in bytes from its begin; springboard.c checks it. */
#ifndef STASIS_REMOTE_SPRINGBOARD_CODE_H
#define STASIS_REMOTE_SPRINGBOARD_CODE_H

/* struct saved */
#define S_R15	 0
#define S_R14	 8
#define S_R13	 16
#define S_R12	 24
#define S_RBP	 32
#define S_RBX	 40
#define S_R11	 48
#define S_R10	 56
#define S_R9	 64
#define S_R8	 72
#define S_RAX	 80
#define S_RCX	 88
#define S_RDX	 96
#define S_RSI	 104
#define S_RDI	 112
#define S_RIP	 120
#define S_RFLAGS 128
#define S_RSP	 136
#define S_MASK	 144
#define S_SIZE	 152

/* struct call */
#define C_NR   0
#define C_ARG0 8
#define C_ARG1 16
#define C_ARG2 24
#define C_SIZE 32

/* struct head */
#define H_STUB	      0
#define H_ARENA	      152
#define H_ARENA_LEN   160
#define H_TEXT	      168
#define H_TEXT_LEN    176
#define H_ALL_LEN     184
#define H_ENTRY	      192
#define H_SLOT	      200
#define H_MEMFD_FLAGS 208
#define H_ARMED	      212
#define H_NAME	      216
#define H_CALLER      224
#define H_CALLS	      376
#define H_DONE	      504
#define H_ALIVE	      512
#define H_TOOL	      520
#define H_SIZE	      528

#endif
