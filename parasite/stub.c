// SPDX-License-Identifier: GPL-2.0-only
/*
 * The stub: an interpreter of programs, running inside a task (remote/stub.h).
 *
 * Freestanding and position independent; no data of its own, general registers
 * only (whatever the task has in its extended registers stays as it is), and no
 * stack beyond that of its slot.
 */
#include <asm/unistd.h>
#include <linux/futex.h>
#include <stddef.h>

#include "remote/stub.h"

#define MAX_ERRNO 4095
#define ERR_INTR  4
#define ERR_IO	  5
#define ERR_AGAIN 11
#define ERR_INVAL 22

/* %rbx is the slot, %rbp the arena; see "Entry" in stub.h. */
#define STACK_TOP "1056"
_Static_assert(offsetof(struct stub_slot, stack) + STUB_STACK == 1056, "STACK_TOP");

__asm__(".section .text.entry, \"ax\"\n"
	".globl stub_entry\n"
	"stub_entry:\n"
	"	cld\n"
	"	leaq " STACK_TOP "(%rbx), %rsp\n"
	"	movq %rbp, %rdi\n"
	"	movq %rbx, %rsi\n"
	"	call stub_main\n"
	"	ud2\n"
	".text\n");

static long call(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	register uint64_t r10 __asm__("r10") = d;
	register uint64_t r8 __asm__("r8") = e;
	register uint64_t r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

/*
 * The child must not touch the stack, which may be the very memory that the
 * parent stands on, before it has its own: it goes to the entry at once.
 */
static long clone_into(uint64_t args, uint64_t size, uint64_t slot, struct stub_arena *arena)
{
	long ret;

	__asm__ volatile("syscall\n"
			 "	testq %%rax, %%rax\n"
			 "	jnz 1f\n"
			 "	movq %[slot], %%rbx\n"
			 "	movq %[arena], %%rbp\n"
			 "	jmp stub_entry\n"
			 "1:\n"
			 : "=a"(ret)
			 : "0"((long)__NR_clone3), "D"(args),
			   "S"(size), [slot] "r"(slot), [arena] "r"(arena)
			 : "rcx", "r11", "memory");
	return ret;
}

static uint32_t load(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void wake(uint32_t *p)
{
	call(__NR_futex, (uint64_t)p, FUTEX_WAKE, 0x7fffffff, 0, 0, 0);
}

/* The tool is gone. */
static _Noreturn void orphaned(struct stub_arena *arena)
{
	uint64_t leave = arena->leave;

	/* The kernel woke one waiter only. */
	wake(&arena->alive);
	if (load(&arena->on_death) == STUB_EXIT || !leave)
		for (;;)
			call(__NR_exit_group, 1, 0, 0, 0, 0, 0);
	__atomic_sub_fetch(&arena->users, 1, __ATOMIC_RELEASE);
	__asm__ volatile("jmp *%0" : : "r"(leave) : "memory");
	__builtin_unreachable();
}

static void check_alive(struct stub_arena *arena)
{
	if (load(&arena->alive) & FUTEX_OWNER_DIED)
		orphaned(arena);
}

/* Sleep while *word is @seen; may return early. */
static void sleep_on(struct stub_arena *arena, uint32_t *word, uint32_t seen)
{
	uint32_t alive = load(&arena->alive);
	struct futex_waitv w[2];

	if (alive & FUTEX_OWNER_DIED)
		orphaned(arena);
	w[0].val = seen;
	w[0].uaddr = (uint64_t)word;
	w[0].flags = FUTEX_32;
	w[0].__reserved = 0;
	w[1].val = alive;
	w[1].uaddr = (uint64_t)&arena->alive;
	w[1].flags = FUTEX_32;
	w[1].__reserved = 0;
	call(__NR_futex_waitv, (uint64_t)w, 2, 0, 0, 0, 0);
}

static uint64_t operand(struct stub_arena *arena, const struct stub_op *op, int i)
{
	uint8_t *base = (uint8_t *)arena;
	uint64_t v = op->arg[i];

	switch (op->kinds >> (4 * i) & 15) {
	case STUB_ARENA:
		return (uint64_t)(base + v);
	case STUB_RESULT:
		return ((struct stub_op *)(base + v))->ret;
	case STUB_LOAD64:
		return *(uint64_t *)(base + v);
	case STUB_LOAD32:
		return (int64_t) * (int32_t *)(base + v);
	default:
		return v;
	}
}

static void copy(uint64_t dst, uint64_t src, uint64_t len)
{
	__asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(len) : : "memory");
}

/* Sleep until the tool has changed `go`, which was @seen. */
static void wait_go(struct stub_arena *arena, struct stub_slot *slot, uint32_t seen)
{
	while (load(&slot->go) == seen)
		sleep_on(arena, &slot->go, seen);
}

static void park(struct stub_arena *arena, struct stub_slot *slot, uint32_t seen)
{
	uint32_t n;

	__atomic_store_n(&slot->state, STUB_PARKED, __ATOMIC_RELEASE);
	n = __atomic_add_fetch(&arena->parked, 1, __ATOMIC_ACQ_REL);
	if (n >= load(&arena->goal)) {
		wake(&arena->parked);
		wake(&slot->state);
	}
	wait_go(arena, slot, seen);
}

static long special(struct stub_arena *arena, uint16_t nr, const uint64_t a[6])
{
	uint32_t *word = (uint32_t *)a[0];
	uint32_t seen;

	switch (nr) {
	case STUB_COPY:
		copy(a[0], a[1], a[2]);
		return 0;
	case STUB_CLONE:
		return clone_into(a[0], a[1], a[2], arena);
	case STUB_WAIT:
		while ((int32_t)((seen = load(word)) - (uint32_t)a[1]) < 0)
			sleep_on(arena, word, seen);
		return 0;
	case STUB_WAKE:
		seen = __atomic_add_fetch(word, (uint32_t)a[1], __ATOMIC_ACQ_REL);
		if ((int32_t)(seen - (uint32_t)a[2]) >= 0)
			wake(word);
		return 0;
	case STUB_STORE:
		*(uint64_t *)a[0] = a[1];
		return 0;
	default:
		return -ERR_INVAL;
	}
}

static int is_error(int64_t ret)
{
	return ret < 0 && ret >= -MAX_ERRNO;
}

/* Execute one op; 0, or -1 when the program cannot go on. */
static int run_op(struct stub_arena *arena, struct stub_op *op)
{
	uint64_t a[6];
	int i;

	for (i = 0; i < 6; i++)
		a[i] = operand(arena, op, i);
	do {
		check_alive(arena);
		op->ret = op->nr >= STUB_COPY ? special(arena, op->nr, a)
					      : call(op->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	} while ((op->flags & STUB_RETRY) && (op->ret == -ERR_INTR || op->ret == -ERR_AGAIN));
	if ((op->flags & STUB_EXPECT) && op->ret != op->expect)
		return -1;
	return is_error(op->ret) && !(op->flags & (STUB_MAY_FAIL | STUB_EXPECT)) ? -1 : 0;
}

static void fail(struct stub_arena *arena, struct stub_slot *slot, uint32_t i)
{
	slot->failed_op = i;
	__atomic_store_n(&slot->state, STUB_FAILED, __ATOMIC_RELEASE);
	__atomic_add_fetch(&arena->failed, 1, __ATOMIC_ACQ_REL);
	wake(&arena->failed);
	wake(&slot->state);
}

/* One program, up to its end, its failure or its STUB_PARK. @go is what `go` was at its start. */
static void run(struct stub_arena *arena, struct stub_slot *slot, uint32_t go)
{
	struct stub_op *ops = (struct stub_op *)((uint8_t *)arena + slot->program);
	uint32_t i;

	for (i = 0; i < slot->n_ops; i++) {
		struct stub_op *op = &ops[i];

		if (op->flags & STUB_SKIP)
			continue;
		if (op->nr == STUB_PARK)
			break;
		if (op->nr == STUB_JUMP_IF_NEG) {
			if ((int64_t)operand(arena, op, 0) < 0)
				i += op->arg[1];
			continue;
		}
		if (run_op(arena, op)) {
			fail(arena, slot, i);
			wait_go(arena, slot, go);
			return;
		}
	}
	park(arena, slot, go);
}

_Noreturn __attribute__((used)) void stub_main(struct stub_arena *arena, struct stub_slot *slot);

void stub_main(struct stub_arena *arena, struct stub_slot *slot)
{
	__atomic_add_fetch(&arena->users, 1, __ATOMIC_ACQ_REL);
	for (;;) {
		uint32_t go = load(&slot->go);

		__atomic_store_n(&slot->state, STUB_RUNNING, __ATOMIC_RELEASE);
		run(arena, slot, go);
	}
}
