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
#include "remote/springboard_code.h"

/* What it takes to put a thread back; the code below loads it by offset. */
struct saved {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t rip, rflags, rsp;
	uint64_t mask;
};

struct call {
	uint64_t nr, arg[SPRINGBOARD_ARGS];
};

/* For a thread that makes calls without being in the stub. */
struct batch {
	struct saved caller;
	struct call calls[SPRINGBOARD_CALLS];
	uint64_t done;	/* address of a word in the arena that counts batches */
	uint64_t alive; /* the same of the tool's robust futex */
	uint32_t tool;	/* and what that holds while the tool lives */
	uint32_t pad;
};

/* The data in front of the code. */
struct head {
	struct saved stub; /* of the thread that sits in the stub */
	uint64_t arena, arena_len, text, text_len, all_len, entry, slot;
	uint32_t memfd_flags;
	uint32_t armed; /* the arena is filled: go into the stub */
	char name[8];
	struct batch batch;
};

extern const char sb_begin[], sb_code[], sb_enter[], sb_batch[], sb_leave[], sb_end[];

/* What the assembly believes. */
#define CHECK_SAVED(field, at) _Static_assert(offsetof(struct saved, field) == (at), #field)
#define CHECK_HEAD(field, at)  _Static_assert(offsetof(struct head, field) == (at), #field)
CHECK_SAVED(r15, S_R15);
CHECK_SAVED(r14, S_R14);
CHECK_SAVED(r13, S_R13);
CHECK_SAVED(r12, S_R12);
CHECK_SAVED(rbp, S_RBP);
CHECK_SAVED(rbx, S_RBX);
CHECK_SAVED(r11, S_R11);
CHECK_SAVED(r10, S_R10);
CHECK_SAVED(r9, S_R9);
CHECK_SAVED(r8, S_R8);
CHECK_SAVED(rax, S_RAX);
CHECK_SAVED(rcx, S_RCX);
CHECK_SAVED(rdx, S_RDX);
CHECK_SAVED(rsi, S_RSI);
CHECK_SAVED(rdi, S_RDI);
CHECK_SAVED(rip, S_RIP);
CHECK_SAVED(rflags, S_RFLAGS);
CHECK_SAVED(rsp, S_RSP);
CHECK_SAVED(mask, S_MASK);
_Static_assert(sizeof(struct saved) == S_SIZE, "saved");
CHECK_HEAD(stub, H_STUB);
CHECK_HEAD(arena, H_ARENA);
CHECK_HEAD(arena_len, H_ARENA_LEN);
CHECK_HEAD(text, H_TEXT);
CHECK_HEAD(text_len, H_TEXT_LEN);
CHECK_HEAD(all_len, H_ALL_LEN);
CHECK_HEAD(entry, H_ENTRY);
CHECK_HEAD(slot, H_SLOT);
CHECK_HEAD(memfd_flags, H_MEMFD_FLAGS);
CHECK_HEAD(armed, H_ARMED);
CHECK_HEAD(name, H_NAME);
CHECK_HEAD(batch.caller, H_CALLER);
CHECK_HEAD(batch.calls, H_CALLS);
CHECK_HEAD(batch.calls[0].nr, H_CALLS + C_NR);
CHECK_HEAD(batch.calls[0].arg[0], H_CALLS + C_ARG0);
CHECK_HEAD(batch.calls[0].arg[1], H_CALLS + C_ARG1);
CHECK_HEAD(batch.calls[0].arg[2], H_CALLS + C_ARG2);
CHECK_HEAD(batch.calls[1], H_CALLS + C_SIZE);
CHECK_HEAD(batch.done, H_DONE);
CHECK_HEAD(batch.alive, H_ALIVE);
CHECK_HEAD(batch.tool, H_TOOL);
_Static_assert(sizeof(struct head) == H_SIZE, "head");

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
int springboard_batch(struct springboard *sb, struct tracee *t,
		      const struct springboard_call *calls, int n,
		      const struct springboard_signs *signs)
{
	struct batch b = {.done = signs->done, .alive = signs->alive, .tool = signs->tool};
	struct user_regs_struct r = t->regs;
	int i, err;

	save(&b.caller, t);
	for (i = 0; i < SPRINGBOARD_CALLS; i++) {
		b.calls[i].nr = SYS_getpid; /* harmless */
		if (i >= n)
			continue;
		b.calls[i].nr = calls[i].nr;
		memcpy(b.calls[i].arg, calls[i].arg, sizeof(calls[i].arg));
	}
	err = sb_write(sb, offsetof(struct head, batch), &b, sizeof(b));
	r.rip = sb_address(sb, sb_batch);
	r.orig_rax = -1;
	if (!err)
		err = tracee_set_regs(t, &r);
	if (!err)
		err = tracee_set_sigmask(t, ALL_BLOCKED);
	return err ? err : tracee_continue(t);
}

int springboard_results(struct tracee *t, int64_t ret[SPRINGBOARD_CALLS])
{
	struct user_regs_struct r;
	int err = tracee_interrupt(t);

	if (!err)
		err = tracee_get_regs(t, &r);
	if (err)
		return err;
	ret[0] = r.r12;
	ret[1] = r.r13;
	ret[2] = r.r14;
	ret[3] = r.r15;
	return 0;
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
	h.batch.caller = h.stub;
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
