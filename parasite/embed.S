/* SPDX-License-Identifier: GPL-2.0-only */
	.section .rodata
	.balign 16
	.globl stub_text, stub_text_end
stub_text:
	.incbin STUB_BIN
stub_text_end:
	.section .note.GNU-stack, "", @progbits
