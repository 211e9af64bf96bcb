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

/* struct head */
#define H_STUB	      0
#define H_CALLER      152
#define H_ARENA	      304
#define H_ARENA_LEN   312
#define H_TEXT	      320
#define H_TEXT_LEN    328
#define H_ALL_LEN     336
#define H_ENTRY	      344
#define H_SLOT	      352
#define H_MEMFD_FLAGS 360
#define H_ARMED	      364
#define H_NAME	      368
#define H_SIZE	      376

#endif
