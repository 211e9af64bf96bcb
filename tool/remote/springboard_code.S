/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The springboard's code: see springboard.h. It is copied, with its data in front, into the
 * padding behind a task's vDSO. It runs on a thread whose stack and memory are not its own to
 * write: data is only read, relative to rip.
 */
#include <asm/mman.h>
#include <asm/unistd.h>

#include "remote/springboard_code.h"

#define MAP_SHARED 0x01 /* <linux/mman.h> is for C only */

#define DATA(at) sb_begin + at(%rip)

/* Mask and registers of the thread as they were, and on where it was. popfq reads out of the data. */
.macro PUT_BACK saved
	movl	$__NR_rt_sigprocmask, %eax
	movl	$2, %edi			/* SIG_SETMASK */
	leaq	DATA(\saved + S_MASK), %rsi
	xorl	%edx, %edx
	movl	$8, %r10d
	syscall
	movq	DATA(\saved + S_R15), %r15
	movq	DATA(\saved + S_R14), %r14
	movq	DATA(\saved + S_R13), %r13
	movq	DATA(\saved + S_R12), %r12
	movq	DATA(\saved + S_RBP), %rbp
	movq	DATA(\saved + S_RBX), %rbx
	movq	DATA(\saved + S_R11), %r11
	movq	DATA(\saved + S_R10), %r10
	movq	DATA(\saved + S_R9), %r9
	movq	DATA(\saved + S_R8), %r8
	movq	DATA(\saved + S_RAX), %rax
	movq	DATA(\saved + S_RCX), %rcx
	movq	DATA(\saved + S_RDX), %rdx
	movq	DATA(\saved + S_RSI), %rsi
	movq	DATA(\saved + S_RDI), %rdi
	leaq	DATA(\saved + S_RFLAGS), %rsp
	popfq
	movq	DATA(\saved + S_RSP), %rsp
	jmp	*DATA(\saved + S_RIP)
.endm

	.section .rodata
	.balign	16
	.globl	sb_begin, sb_code, sb_enter, sb_call, sb_leave, sb_end
	.hidden	sb_begin, sb_code, sb_enter, sb_call, sb_leave, sb_end
sb_begin:
	.skip	H_SIZE
sb_code:

/* The leader: make the arena; if the tool has filled it by then, map it and enter the stub. */
sb_enter:
	leaq	DATA(H_NAME), %rdi
	movl	DATA(H_MEMFD_FLAGS), %esi
	movl	$__NR_memfd_create, %eax
	syscall
	testl	%eax, %eax
	js	back
	movl	%eax, %r12d
	cmpl	$0, DATA(H_ARMED)
	je	close_and_back

	movq	DATA(H_ARENA), %rdi
	movq	DATA(H_ARENA_LEN), %rsi
	movl	$(PROT_READ | PROT_WRITE), %edx
	movl	$(MAP_SHARED | MAP_FIXED_NOREPLACE), %r10d
	movl	%r12d, %r8d
	xorl	%r9d, %r9d
	movl	$__NR_mmap, %eax
	syscall
	cmpq	DATA(H_ARENA), %rax
	jne	close_and_back

	movq	DATA(H_TEXT), %rdi
	movq	DATA(H_TEXT_LEN), %rsi
	movl	$(PROT_READ | PROT_EXEC), %edx
	movl	$(MAP_SHARED | MAP_FIXED_NOREPLACE), %r10d
	movl	%r12d, %r8d
	movq	DATA(H_ARENA_LEN), %r9
	movl	$__NR_mmap, %eax
	syscall
	movq	%rax, %r13
	movl	%r12d, %edi
	movl	$__NR_close, %eax
	syscall
	cmpq	DATA(H_TEXT), %r13
	jne	sb_leave
	movq	DATA(H_SLOT), %rbx
	movq	DATA(H_ARENA), %rbp
	jmp	*DATA(H_ENTRY)

close_and_back:
	movl	%r12d, %edi
	movl	$__NR_close, %eax
	syscall
	jmp	back

/* The stub's way out, also when the tool is dead. */
sb_leave:
	movq	DATA(H_ARENA), %rdi
	movq	DATA(H_ALL_LEN), %rsi
	movl	$__NR_munmap, %eax
	syscall
back:
	PUT_BACK H_STUB

/* Any other thread: one call, whose number and arguments the tool has put into the registers. */
sb_call:
	syscall
	PUT_BACK H_CALLER
sb_end:

	.section .note.GNU-stack, "", @progbits
