/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tool and the stub agree on (parasite/stub.c is the other side).
 *
 * The stub is a small interpreter that runs inside a task. It executes
 * programs: arrays of struct stub_op in an arena, a shared memfd mapping that
 * lies at the same address in every task that uses it, and that the tool has
 * mapped as well. Every task or thread that runs the stub has one slot.
 *
 * All offsets are from the start of the arena. Word-sized fields that both
 * sides change are accessed atomically; they are futexes (shared, not private).
 */
#ifndef STASIS_REMOTE_STUB_H
#define STASIS_REMOTE_STUB_H

#include <stdint.h>

/* Operand kinds, four bits per operand in stub_op.kinds (operand 0 lowest). */
enum stub_kind {
	STUB_IMM = 0,	 /* the value itself */
	STUB_ARENA = 1,	 /* address of arena offset `value` */
	STUB_RESULT = 2, /* the result of the op at arena offset `value` (any slot's) */
	STUB_LOAD64 = 3, /* the u64 at arena offset `value` */
	STUB_LOAD32 = 4, /* the s32 at arena offset `value`, sign-extended */
};

#define STUB_KIND(n, kind) ((uint32_t)(kind) << (4 * (n)))

/* stub_op.nr: a system call number, or one of these. */
enum stub_special {
	STUB_COPY = 0x8000, /* memcpy(dst, src, len): the only op that touches memory of the task */
	STUB_CLONE, /* clone3(arg[0], arg[1]); the child goes on in the slot at address arg[2] */
	STUB_WAIT,  /* wait until the u32 at address arg[0] is >= arg[1] */
	/*
	 * Add arg[1] to the u32 at address arg[0]; wake all its waiters when the
	 * sum has reached arg[2]. (A barrier of n tasks wakes once, not n times.)
	 */
	STUB_WAKE,
	STUB_STORE,	  /* *(u64 *)arg[0] = arg[1] */
	STUB_PARK,	  /* slot state PARKED, wake the tool, wait for the next program */
	STUB_JUMP_IF_NEG, /* if arg[0] (signed) < 0: skip arg[1] ops */
};

/* stub_op.flags */
enum stub_flag {
	STUB_MAY_FAIL = 1, /* a negative result does not end the program */
	STUB_EXPECT = 2,   /* the result must equal `expect`, else the program fails with -EIO */
	STUB_RETRY = 4,	   /* repeat while the result is -EINTR or -EAGAIN */
	STUB_SKIP = 8,	   /* not executed (a cancelled step keeps its place) */
};

struct stub_op {
	uint16_t nr;
	uint16_t flags;
	uint32_t kinds;
	uint64_t arg[6];
	int64_t ret;
	int64_t expect;
};

enum stub_state {
	STUB_NEW = 0,	  /* the slot has no task yet */
	STUB_RUNNING = 1, /* executing its program */
	STUB_PARKED = 2,  /* the program is done, the task waits for `go` to change */
	STUB_FAILED = 3,  /* an op failed: see failed_op; waits for `go` as when parked */
};

#define STUB_STACK 1024

struct stub_slot {
	uint32_t state; /* futex: the tool waits for PARKED or FAILED */
	uint32_t go;	/* futex: the task waits for a new value, then runs `program` */
	uint32_t n_ops;
	uint32_t failed_op; /* index, when FAILED */
	uint64_t program;   /* arena offset of the ops */
	uint64_t reserved;
	uint8_t stack[STUB_STACK] __attribute__((aligned(16)));
};

/*
 * `alive` is a robust futex that the tool owns for as long as it lives: when
 * the tool dies, for whatever reason, the kernel sets FUTEX_OWNER_DIED in it
 * and wakes a waiter. What the stub does then is `on_death`.
 */
enum stub_on_death {
	STUB_LEAVE = 0, /* dump: return the task to its old state (jump to `leave`) */
	STUB_EXIT = 1,	/* restore: exit_group, nothing is left behind */
};

struct stub_arena {
	uint32_t magic;
	uint32_t alive;
	uint32_t on_death;
	uint32_t failed;  /* futex: number of slots that failed; the tool waits here */
	uint32_t parked;  /* futex: counts up whenever a slot becomes PARKED */
	uint32_t users;	  /* threads that entered the stub and did not leave it */
	uint32_t goal;	  /* parking slots wake the tool once `parked` has reached this */
	uint32_t batches; /* futex: counts what threads outside of the stub have done */
	uint64_t leave;	  /* dump: absolute address to jump to on leaving */
	uint64_t size;	  /* bytes of the whole arena */
};

#define STUB_MAGIC 0x53544153u

/* The stub as embedded in the tool: position independent, to be mapped read-execute. */
extern const uint8_t stub_text[], stub_text_end[];

/*
 * Entry: the instruction at the start of the stub's text, with the address of
 * the slot in %rbx and the address of the arena in %rbp. The stub loads its
 * own stack; no register needs to hold anything else.
 */

#endif
