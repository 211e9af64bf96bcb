// SPDX-License-Identifier: GPL-2.0-only
/*
 * Made by clone3(2) like a child of vfork(2), but with a stack of its own. It has no
 * thread-local storage of its own, so whoever waits touches none: not even errno.
 */
#include "restore/guard.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

#define STACK_BYTES (512 * 1024ul)

static inline long raw_call(long nr, long a, long b, long c, long d)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = 0;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return ret;
}

static uint32_t load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/* Sleep until one of the words is not what it was; may return early. */
static void sleep_on(uint32_t *a, uint32_t seen_a, uint32_t *b, uint32_t seen_b)
{
	struct futex_waitv w[2] = {
		{.val = seen_a, .uaddr = (uintptr_t)a, .flags = FUTEX_32},
		{.val = seen_b, .uaddr = (uintptr_t)b, .flags = FUTEX_32},
	};

	raw_call(SYS_futex_waitv, (long)w, 2, 0, 0);
}

/* The other one's turn. */
static void hand_over(struct guard *g)
{
	__atomic_add_fetch(&g->turn, 1, __ATOMIC_ACQ_REL);
	raw_call(SYS_futex, (long)&g->turn, FUTEX_WAKE, 1, 0);
}

bool guard_is_alone(const struct guard *g)
{
	return load(&g->owner) & FUTEX_OWNER_DIED;
}

/* False: there will be none, since we are gone. */
static bool await_turn(struct guard *g)
{
	for (;;) {
		uint32_t turn = load(&g->turn), owner = load(&g->owner);

		if (owner & FUTEX_OWNER_DIED)
			return false;
		if (turn & 1)
			return true;
		sleep_on(&g->turn, turn, &g->owner, owner);
	}
}

static _Noreturn void leave(void)
{
	for (;;)
		raw_call(SYS_exit_group, 0, 0, 0, 0);
}

static __attribute__((used)) void guard_main(struct guard *g)
{
	raw_call(SYS_prctl, PR_SET_NAME, (long)"stasis-guard", 0, 0);
	while (await_turn(g)) {
		if (!g->f)
			leave();
		g->ret = g->f(g->arg);
		hand_over(g);
	}
	g->undo(g->arg);
	leave();
}

/* The child returns from the call on its new stack, where there is nothing to return to. */
static long clone_guardian(const struct clone_args *args, struct guard *g)
{
	long ret;

	__asm__ volatile("syscall\n"
			 "	testq %%rax, %%rax\n"
			 "	jnz 1f\n"
			 "	xorl %%ebp, %%ebp\n"
			 "	movq %[guard], %%rdi\n"
			 "	call guard_main\n"
			 "	ud2\n"
			 "1:\n"
			 : "=a"(ret)
			 : "0"((long)SYS_clone3), "D"(args), "S"(sizeof(*args)), [guard] "r"(g)
			 : "rcx", "r11", "memory");
	return ret;
}

/* It is not meant by signals that the terminal sends to all of our group. */
static long clone_deaf(const struct clone_args *args, struct guard *g)
{
	sigset_t all, former;
	long ret;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &former);
	ret = clone_guardian(args, g);
	sigprocmask(SIG_SETMASK, &former, NULL);
	return ret;
}

int guard_start(struct guard *g, pid_t pid, void (*undo)(void *), void *arg)
{
	struct clone_args args = {
		.flags = CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_PARENT_SETTID |
			 CLONE_CHILD_CLEARTID,
		.parent_tid = (uintptr_t)&g->tid,
		.child_tid = (uintptr_t)&g->tid,
		.stack_size = STACK_BYTES,
		.set_tid = (uintptr_t)&pid,
		.set_tid_size = pid != 0,
	};
	long ret;

	*g = (struct guard){.undo = undo, .arg = arg};
	g->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
	if (g->stack == MAP_FAILED)
		return -errno;
	args.stack = (uintptr_t)g->stack;
	ret = alive_hold(&g->alive, &g->owner);
	if (!ret)
		ret = clone_deaf(&args, g);
	if (ret > 0) {
		g->pid = ret;
		return 0;
	}
	alive_release(&g->alive);
	munmap(g->stack, STACK_BYTES);
	return ret;
}

int guard_run(struct guard *g, int (*f)(void *))
{
	uint32_t turn, tid;

	g->f = f;
	hand_over(g);
	while ((turn = load(&g->turn)) & 1) {
		tid = load(&g->tid);
		if (!tid) {
			g->killed = true;
			return -ECHILD;
		}
		sleep_on(&g->turn, turn, &g->tid, tid);
	}
	return g->ret;
}

void guard_end(struct guard *g)
{
	if (!g->pid)
		return;
	if (!g->killed) {
		g->f = NULL;
		hand_over(g);
	}
	while (waitpid(g->pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	g->pid = 0;
	alive_release(&g->alive);
	munmap(g->stack, STACK_BYTES);
}
