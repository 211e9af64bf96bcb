// SPDX-License-Identifier: GPL-2.0-only
#include "remote/springboard.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"

/* What it takes to put a thread back; the code below loads it by offset. */
struct saved {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t rip, rflags, rsp;
	uint64_t mask;
};

/* The data in front of the code. */
struct head {
	struct saved stub;   /* of the thread that sits in the stub */
	struct saved caller; /* of the thread that makes single calls */
	uint64_t arena, arena_len, text, text_len, all_len, entry, slot;
	uint32_t memfd_flags;
	uint32_t armed; /* the arena is filled: go into the stub */
	char name[8];
};

extern const char sb_begin[], sb_code[], sb_enter[], sb_call[], sb_leave[], sb_end[];

#define STR_(x) #x
#define STR(x)	STR_(x)

/* Offsets that the assembly uses; checked below. */
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

_Static_assert(sizeof(struct saved) == 152, "saved");
_Static_assert(offsetof(struct head, caller) == H_CALLER, "caller");
_Static_assert(offsetof(struct head, arena) == H_ARENA, "arena");
_Static_assert(offsetof(struct head, all_len) == H_ALL_LEN, "all_len");
_Static_assert(offsetof(struct head, slot) == H_SLOT, "slot");
_Static_assert(offsetof(struct head, armed) == H_ARMED, "armed");
_Static_assert(sizeof(struct head) == H_SIZE, "head");

/*
 * PUT_BACK loads a struct saved by rip-relative reads only: it writes no
 * memory and needs no stack. popfq reads the flags out of the structure.
 */
__asm__(".pushsection .rodata\n"
	".balign 16\n"
	".globl sb_begin, sb_code, sb_enter, sb_call, sb_leave, sb_end\n"
	".hidden sb_begin, sb_code, sb_enter, sb_call, sb_leave, sb_end\n"
	".macro PUT_BACK at\n"
	"	movl $14, %eax\n" /* rt_sigprocmask(SIG_SETMASK, &mask, NULL, 8) */
	"	movl $2, %edi\n"
	"	leaq sb_begin+\\at+144(%rip), %rsi\n"
	"	xorl %edx, %edx\n"
	"	movl $8, %r10d\n"
	"	syscall\n"
	"	movq sb_begin+\\at+0(%rip), %r15\n"
	"	movq sb_begin+\\at+8(%rip), %r14\n"
	"	movq sb_begin+\\at+16(%rip), %r13\n"
	"	movq sb_begin+\\at+24(%rip), %r12\n"
	"	movq sb_begin+\\at+32(%rip), %rbp\n"
	"	movq sb_begin+\\at+40(%rip), %rbx\n"
	"	movq sb_begin+\\at+48(%rip), %r11\n"
	"	movq sb_begin+\\at+56(%rip), %r10\n"
	"	movq sb_begin+\\at+64(%rip), %r9\n"
	"	movq sb_begin+\\at+72(%rip), %r8\n"
	"	movq sb_begin+\\at+80(%rip), %rax\n"
	"	movq sb_begin+\\at+88(%rip), %rcx\n"
	"	movq sb_begin+\\at+96(%rip), %rdx\n"
	"	movq sb_begin+\\at+104(%rip), %rsi\n"
	"	movq sb_begin+\\at+112(%rip), %rdi\n"
	"	leaq sb_begin+\\at+128(%rip), %rsp\n"
	"	popfq\n"
	"	movq sb_begin+\\at+136(%rip), %rsp\n"
	"	jmp *sb_begin+\\at+120(%rip)\n"
	".endm\n"

	"sb_begin:\n"
	"	.skip " STR(
		H_SIZE) "\n"
			"sb_code:\n"
			"sb_enter:\n"
			"	leaq sb_begin+" STR(
				H_NAME) "(%rip), %rdi\n"
					"	movl sb_begin+" STR(H_MEMFD_FLAGS) "(%rip), %esi\n"
									       "	movl $319, %eax\n" /* memfd_create
													*/
									       "	syscall\n"
									       "	testl %eax, %eax\n"
									       "	js 3f\n"
									       "	movl %eax, %r12d\n"
									       "	cmpl $0, sb_begin+" STR(
										       H_ARMED) "(%rip)\n"
												"	je 2f\n"
												"	movq sb_begin+" STR(H_ARENA) "(%rip), %rdi\n"
																"	movq sb_begin+" STR(H_ARENA_LEN) "(%rip), %rsi\n"
																				       "	movl $3, %edx\n" /* PROT_READ | PROT_WRITE */
																				       "	movl $0x100001, %r10d\n" /* MAP_SHARED | MAP_FIXED_NOREPLACE */
																				       "	movl %r12d, %r8d\n"
																				       "	xorl %r9d, %r9d\n"
																				       "	movl $9, %eax\n" /* mmap */
																				       "	syscall\n"
																				       "	cmpq sb_begin+" STR(H_ARENA) "(%rip), %rax\n"
																									  "	jne 2f\n"
																									  "	movq sb_begin+" STR(H_TEXT) "(%rip), %rdi\n"
																													"	movq sb_begin+" STR(H_TEXT_LEN) "(%rip), %rsi\n"
																																	  "	movl $5, %edx\n" /* PROT_READ | PROT_EXEC */
																																	  "	movl $0x100001, %r10d\n"
																																	  "	movl %r12d, %r8d\n"
																																	  "	movq sb_begin+" STR(
																																		  H_ARENA_LEN) "(%rip), %r9\n"
																																			       "	movl $9, %eax\n"
																																			       "	syscall\n"
																																			       "	movq %rax, %r13\n"
																																			       "	movl %r12d, %edi\n"
																																			       "	movl $3, %eax\n" /* close */
																																			       "	syscall\n"
																																			       "	cmpq sb_begin+" STR(H_TEXT) "(%rip), %r13\n"
																																								 "	jne sb_leave\n"
																																								 "	movq sb_begin+" STR(H_SLOT) "(%rip), %rbx\n"
																																												   "	movq sb_begin+" STR(
																																													   H_ARENA) "(%rip), %rbp\n"
																																														    "	jmp *sb_begin+" STR(
																																															    H_ENTRY) "(%rip)\n"
																																																     "2:	movl %r12d, %edi\n"
																																																     "	movl $3, %eax\n" /* close */
																																																     "	syscall\n"
																																																     "	jmp 3f\n"
																																																     "sb_leave:\n"
																																																     "	movq sb_begin+" STR(H_ARENA) "(%rip), %rdi\n"
																																																				      "	movq sb_begin+" STR(H_ALL_LEN) "(%rip), %rsi\n"
																																																									"	movl $11, %eax\n" /* munmap */
																																																									"	syscall\n"
																																																									"3:	PUT_BACK " STR(
																																																										H_STUB) "\n"
																																																											"sb_call:\n"
																																																											"	syscall\n"
																																																											"	PUT_BACK " STR(
																																																												H_CALLER) "\n"
																																																													  "sb_end:\n"
																																																													  ".popsection\n");

#ifndef MFD_EXEC
#define MFD_EXEC 0x10
#endif

static size_t sb_size(void)
{
	return sb_end - sb_begin;
}

static uint64_t sb_address(const struct springboard *sb, const char *label)
{
	return sb->at + (label - sb_begin);
}

static int sb_write(const struct springboard *sb, size_t offset, const void *data, size_t len)
{
	ssize_t n = pwrite(sb->mem, data, len, sb->at + offset);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

/*
 * The registers with which the task goes on if nobody else sets them. From an
 * interrupted system call that is what the kernel does where no handler runs.
 */
static void save(struct saved *s, const struct tracee *t)
{
	const struct user_regs_struct *r = &t->regs;

	*s = (struct saved){
		.r15 = r->r15,
		.r14 = r->r14,
		.r13 = r->r13,
		.r12 = r->r12,
		.rbp = r->rbp,
		.rbx = r->rbx,
		.r11 = r->r11,
		.r10 = r->r10,
		.r9 = r->r9,
		.r8 = r->r8,
		.rax = r->rax,
		.rcx = r->rcx,
		.rdx = r->rdx,
		.rsi = r->rsi,
		.rdi = r->rdi,
		.rip = r->rip,
		.rflags = r->eflags,
		.rsp = r->rsp,
		.mask = t->sigmask,
	};
	if ((long)r->orig_rax < 0)
		return;
	switch (-(long)r->rax) {
	case 512: /* ERESTARTSYS */
	case 513: /* ERESTARTNOINTR */
	case 514: /* ERESTARTNOHAND */
		s->rax = r->orig_rax;
		s->rip -= 2;
		break;
	case 516: /* ERESTART_RESTARTBLOCK */
		s->rax = SYS_restart_syscall;
		s->rip -= 2;
		break;
	}
}

/* End of what the vDSO's segments cover, from its own program headers. */
static int image_end(int mem, uint64_t start, uint64_t len, uint64_t *ret)
{
	Elf64_Ehdr eh;
	Elf64_Phdr ph;
	uint64_t end = 0;
	int i;

	if (pread(mem, &eh, sizeof(eh), start) != sizeof(eh))
		return -EIO;
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG) || eh.e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh.e_phentsize != sizeof(ph) || eh.e_phnum > 16)
		return -ENOEXEC;
	for (i = 0; i < eh.e_phnum; i++) {
		if (pread(mem, &ph, sizeof(ph), start + eh.e_phoff + i * sizeof(ph)) != sizeof(ph))
			return -EIO;
		if (ph.p_type == PT_LOAD && ph.p_offset + ph.p_filesz > end)
			end = ph.p_offset + ph.p_filesz;
	}
	if (!end || end > len)
		return -ENOEXEC;
	*ret = end;
	return 0;
}

int springboard_place(struct springboard *sb, pid_t pid, uint64_t vdso_start, uint64_t vdso_end,
		      struct error *err)
{
	_cleanup_free_ void *before = NULL;
	_cleanup_close_ int mem = -1;
	uint64_t used;
	char path[40];
	int ret;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDWR | O_CLOEXEC);
	if (mem < 0)
		return fail(err, -errno, "task %d: open %s", pid, path);
	ret = image_end(mem, vdso_start, vdso_end - vdso_start, &used);
	if (ret)
		return fail(err, ret, "task %d: read the vDSO at %#lx", pid, vdso_start);
	if (vdso_end - vdso_start - used < sb_size() + 16) {
		fail_text(err, -ENOSPC,
			  "task %d: the vDSO has only %lu bytes of padding, %zu are needed", pid,
			  vdso_end - vdso_start - used, sb_size() + 16);
		return fail_hint(err, "boot the kernel with its usual 64-bit vDSO (no vdso=0)");
	}
	before = malloc(sb_size());
	if (!before)
		return fail(err, -ENOMEM, "task %d: save the vDSO's padding", pid);
	sb->at = (vdso_end - sb_size()) & ~15ULL;
	if (pread(mem, before, sb_size(), sb->at) != (ssize_t)sb_size())
		return fail(err, -EIO, "task %d: read the vDSO's padding", pid);
	sb->mem = take_fd(&mem);
	sb->before = take_ptr(before);
	ret = sb_write(sb, 0, sb_begin, sb_size());
	if (ret)
		return fail(err, ret, "task %d: write into the vDSO's padding", pid);
	return 0;
}

void springboard_remove(struct springboard *sb)
{
	if (sb->at && sb->before)
		sb_write(sb, 0, sb->before, sb_size());
	if (sb->at)
		close(sb->mem);
	free(sb->before);
	memset(sb, 0, sizeof(*sb));
}

/* The kernel leaves SIGKILL and SIGSTOP out by itself. */
#define ALL_BLOCKED (~0ULL)

/* First the registers, which lead back and reset the mask; then the mask. */
static int step_on(struct springboard *sb, struct tracee *t)
{
	struct user_regs_struct r = t->regs;
	struct saved s;
	int err;

	save(&s, t);
	err = sb_write(sb, offsetof(struct head, caller), &s, sizeof(s));
	r.rip = sb_address(sb, sb_call);
	r.rax = SYS_getpid; /* harmless, if it comes to that */
	r.orig_rax = -1;
	if (!err)
		err = tracee_set_regs(t, &r);
	if (!err)
		err = tracee_set_sigmask(t, ALL_BLOCKED);
	if (!err)
		t->away = true;
	return err;
}

int springboard_call(struct springboard *sb, struct tracee *t, long nr, const uint64_t args[6],
		     int64_t *ret)
{
	int err = 0;

	if (!t->away)
		err = step_on(sb, t);
	return err ? err : tracee_syscall(t, sb_address(sb, sb_call), nr, args, ret);
}

int springboard_enter(struct springboard *sb, struct tracee *t, const struct springboard_enter *e,
		      int *fd)
{
	struct user_regs_struct r = t->regs;
	struct head h = {
		.arena = e->arena,
		.arena_len = e->arena_len,
		.text = e->arena + e->arena_len,
		.text_len = e->text_len,
		.all_len = e->arena_len + e->text_len,
		.entry = e->entry,
		.slot = e->slot,
		.memfd_flags = MFD_EXEC | 1 /* MFD_CLOEXEC */,
		.name = "stasis",
	};
	int64_t got = 0;
	int err;

	save(&h.stub, t);
	h.caller = h.stub;
	err = sb_write(sb, 0, &h, sizeof(h));
	r.rip = sb_address(sb, sb_enter);
	r.orig_rax = -1;
	if (!err)
		err = tracee_set_regs(t, &r);
	if (!err)
		err = tracee_set_sigmask(t, ALL_BLOCKED);
	if (!err)
		err = tracee_run_call(t, &got);
	if (err)
		return err;
	if (got < 0)
		return got;
	*fd = got;
	return 0;
}

int springboard_go(struct springboard *sb, struct tracee *t)
{
	uint32_t armed = 1;
	int err;

	err = sb_write(sb, offsetof(struct head, armed), &armed, sizeof(armed));
	if (!err)
		err = tracee_continue(t);
	return err;
}

int springboard_abandon(struct springboard *sb, struct tracee *t)
{
	uint32_t armed = 0;
	int64_t got;
	int err;

	err = sb_write(sb, offsetof(struct head, armed), &armed, sizeof(armed));
	if (!err)
		err = tracee_run_call(t, &got);
	return err;
}

uint64_t springboard_leave_address(const struct springboard *sb)
{
	return sb_address(sb, sb_leave);
}

int springboard_unmap(struct springboard *sb, struct tracee *t)
{
	struct user_regs_struct r = t->regs;
	int64_t got;
	int err;

	r.rip = sb_address(sb, sb_leave);
	r.orig_rax = -1;
	err = tracee_set_regs(t, &r);
	if (!err)
		err = tracee_run_call(t, &got);
	if (!err && got < 0)
		err = got;
	return err;
}
