/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The springboard's code: see springboard.h. It is copied, with its data in front, into the
 * padding behind a task's vDSO. It runs on a thread whose stack and memory are not its own to
 * write: data is only read, relative to rip.
 */
#include <asm/mman.h>
#include <asm/unistd.h>

#include "remote/springboard_code.h"

/* Whose headers are for C only. */
#define MAP_SHARED     0x01
#define FUTEX_WAIT     0
#define FUTEX_WAKE     1
#define FUTEX_WAKE_OP  5
#define FUTEX_ADD_ONE  0x10001000 /* FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 0) */
#define ALL_WAITERS    0x7fffffff

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
	.globl	sb_begin, sb_code, sb_enter, sb_batch, sb_leave, sb_end
	.hidden	sb_begin, sb_code, sb_enter, sb_batch, sb_leave, sb_end
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

/*
 * Any other thread: a few calls in one go, their results in registers that the kernel keeps, where
 * the tool finds them. What they fill lies in the arena, which may be gone at any time: the kernel
 * writes there (also the count of what is done), never this code. Then it waits for the tool, which
 * takes it from here by ptrace, or for the tool's death.
 */
.macro CALL number, result
	movq	DATA(H_CALLS + \number * C_SIZE + C_NR), %rax
	movq	DATA(H_CALLS + \number * C_SIZE + C_ARG0), %rdi
	movq	DATA(H_CALLS + \number * C_SIZE + C_ARG1), %rsi
	movq	DATA(H_CALLS + \number * C_SIZE + C_ARG2), %rdx
	xorl	%r10d, %r10d
	xorl	%r8d, %r8d
	xorl	%r9d, %r9d
	syscall
	movq	%rax, \result
.endm

sb_batch:
	CALL	0, %r12
	CALL	1, %r13
	CALL	2, %r14
	CALL	3, %r15

	movq	DATA(H_DONE), %rdi
	movl	$FUTEX_WAKE_OP, %esi
	movl	$1, %edx
	xorl	%r10d, %r10d
	movq	%rdi, %r8
	movl	$FUTEX_ADD_ONE, %r9d
	movl	$__NR_futex, %eax
	syscall

await_tool:
	movq	DATA(H_ALIVE), %rdi
	movl	$FUTEX_WAIT, %esi
	movl	DATA(H_TOOL), %edx
	xorl	%r10d, %r10d
	movl	$__NR_futex, %eax
	syscall
	testl	%eax, %eax
	jz	await_tool

	/* It is dead, and the kernel has woken one waiter only. */
	movq	DATA(H_ALIVE), %rdi
	movl	$FUTEX_WAKE, %esi
	movl	$ALL_WAITERS, %edx
	movl	$__NR_futex, %eax
	syscall
	PUT_BACK H_CALLER
sb_end:

	.section .note.GNU-stack, "", @progbits
