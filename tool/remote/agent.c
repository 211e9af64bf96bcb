// SPDX-License-Identifier: GPL-2.0-only
#include "remote/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define PAGE 4096UL

/* Where things lie in the arena of one task. */
#define ARENA_SIZE (1024 * 1024UL)
#define SLOT_AT	   128UL
#define PROGRAM_AT PAGE
#define MAX_OPS	   1024U
_Static_assert(AGENT_WINDOW_AT + AGENT_WINDOW <= ARENA_SIZE, "window");
#define DATA_AT (PROGRAM_AT + MAX_OPS * sizeof(struct stub_op))

static uint64_t text_len(void)
{
	return (stub_text_end - stub_text + PAGE - 1) & ~(PAGE - 1);
}

uint64_t agent_span(void)
{
	return ARENA_SIZE + text_len();
}

static struct stub_arena *arena(const struct agent *a)
{
	return (struct stub_arena *)a->base;
}

/* Take the task's memfd over, size it, map it here and write the stub into it. */
static int fill(struct agent *a, int pidfd, int remote_fd)
{
	_cleanup_close_ int fd = syscall(SYS_pidfd_getfd, pidfd, remote_fd, 0);
	size_t len = stub_text_end - stub_text;
	void *p;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, ARENA_SIZE + text_len()))
		return -errno;
	if (pwrite(fd, stub_text, len, ARENA_SIZE) != (ssize_t)len)
		return -EIO;
	p = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	a->base = p;
	return 0;
}

int agent_start(struct agent *a, struct springboard *sb, struct tracee *thread, pid_t pid,
		int pidfd, uint64_t hole, struct error *err)
{
	struct springboard_enter e = {
		.arena = hole,
		.arena_len = ARENA_SIZE,
		.text_len = text_len(),
		.entry = hole + ARENA_SIZE,
		.slot = hole + SLOT_AT,
	};
	int fd = -1, ret;

	memset(a, 0, sizeof(*a));
	a->pid = pid;
	a->thread = thread;
	a->sb = sb;
	a->addr = hole;
	a->size = ARENA_SIZE + text_len();
	ret = springboard_enter(sb, thread, &e, &fd);
	if (ret) {
		tracee_put_back(thread);
		fail(err, ret, "task %d: create a memfd in it", pid);
		return ret == -EMFILE ? fail_hint(err, "the task has no descriptor free: raise its "
						       "limit with prlimit(1)")
				      : ret;
	}
	ret = fill(a, pidfd, fd);
	if (ret) {
		springboard_abandon(sb, thread);
		tracee_put_back(thread);
		return fail(err, ret, "task %d: fill the stub's arena", pid);
	}
	arena(a)->magic = STUB_MAGIC;
	arena(a)->on_death = STUB_LEAVE;
	arena(a)->leave = springboard_leave_address(sb);
	arena(a)->size = ARENA_SIZE;
	a->slot = (struct stub_slot *)(a->base + SLOT_AT);
	ret = alive_hold(&a->alive, &arena(a)->alive);
	if (ret)
		return fail(err, ret, "set a robust list");
	return 0;
}

void agent_program(struct agent *a, struct program *ret)
{
	*ret = (struct program){
		.base = a->base,
		.start = PROGRAM_AT,
		.room = MAX_OPS,
		.data = DATA_AT,
		.data_end = AGENT_WINDOW_AT,
	};
}

/*
 * Sleep a while until the futex is no longer @seen. Any ptrace event of @t meanwhile is
 * unexpected: death (-ESRCH), or a stop that we have to lift.
 */
static int await_change(struct tracee *t, uint32_t *word, uint32_t seen)
{
	struct timespec slice = {.tv_nsec = 200 * 1000 * 1000};
	siginfo_t si = {};
	int status;

	syscall(SYS_futex, word, FUTEX_WAIT, seen, &slice, NULL, 0);
	if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != seen)
		return 0;
	if (waitid(P_PID, t->tid, &si, WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL) ||
	    !si.si_pid)
		return 0;
	if (si.si_code != CLD_TRAPPED && si.si_code != CLD_STOPPED)
		return -ESRCH;
	waitpid(t->tid, &status, __WALL);
	return tracee_continue(t);
}

/* Wait for the program's end; the task may die of a SIGKILL meanwhile. */
static int wait_slot(struct agent *a, uint32_t *ret_state)
{
	uint32_t state;
	int ret = 0;

	for (;;) {
		state = __atomic_load_n(&a->slot->state, __ATOMIC_ACQUIRE);
		if (ret || state == STUB_PARKED || state == STUB_FAILED)
			break;
		ret = await_change(a->thread, &a->slot->state, state);
	}
	*ret_state = state;
	return ret;
}

int agent_run(struct agent *a, const struct program *p, struct error *err)
{
	const struct stub_op *op;
	uint32_t state;
	int ret;

	a->slot->program = p->start;
	a->slot->n_ops = p->n;
	__atomic_store_n(&a->slot->state, STUB_NEW, __ATOMIC_RELEASE);
	if (!a->inside) {
		a->inside = true;
		ret = springboard_go(a->sb, a->thread);
		if (ret)
			return fail(err, ret, "task %d: enter the stub", a->pid);
	} else {
		__atomic_add_fetch(&a->slot->go, 1, __ATOMIC_ACQ_REL);
		syscall(SYS_futex, &a->slot->go, FUTEX_WAKE, 1, NULL, NULL, 0);
	}
	ret = wait_slot(a, &state);
	if (ret)
		return fail(err, ret, "task %d: it was killed during the dump", a->pid);
	if (state == STUB_FAILED) {
		op = (const struct stub_op *)(a->base + p->start) + a->slot->failed_op;
		return fail(err, op->ret < 0 ? (int)op->ret : -EIO,
			    "task %d: system call %u in it (op %u)", a->pid, op->nr,
			    a->slot->failed_op);
	}
	return 0;
}

static uint64_t operand(const struct agent *a, const struct stub_op *op, int i)
{
	uint64_t v = op->arg[i];

	return (op->kinds >> (4 * i) & 15) == STUB_ARENA ? a->addr + v : v;
}

/* The next calls of a program, as many as fit a batch, with their results. */
static int run_batch(struct agent *a, struct tracee *t, struct stub_op *op, int n)
{
	struct springboard_signs signs = {
		.done = a->addr + offsetof(struct stub_arena, batches),
		.alive = a->addr + offsetof(struct stub_arena, alive),
		.tool = arena(a)->alive,
	};
	uint32_t *done = &arena(a)->batches, seen = *done;
	struct springboard_call calls[SPRINGBOARD_CALLS] = {};
	int64_t results[SPRINGBOARD_CALLS];
	int i, k, ret;

	for (i = 0; i < n; i++) {
		calls[i].nr = op[i].nr;
		for (k = 0; k < SPRINGBOARD_ARGS; k++)
			calls[i].arg[k] = operand(a, &op[i], k);
	}
	ret = springboard_batch(a->sb, t, calls, n, &signs);
	while (!ret && __atomic_load_n(done, __ATOMIC_ACQUIRE) == seen)
		ret = await_change(t, done, seen);
	if (!ret)
		ret = springboard_results(t, results);
	for (i = 0; !ret && i < n; i++)
		op[i].ret = results[i];
	return ret;
}

int agent_run_outside(struct agent *a, struct tracee *t, const struct program *p, struct error *err)
{
	struct stub_op *op = (struct stub_op *)(a->base + p->start);
	uint32_t i, n;
	int ret = 0;

	for (i = 0; !ret && i < p->n; i += n) {
		n = p->n - i < SPRINGBOARD_CALLS ? p->n - i : SPRINGBOARD_CALLS;
		ret = run_batch(a, t, op + i, n);
	}
	if (!ret && p->n)
		ret = tracee_reset(t);
	return ret ? fail(err, ret, "task %d: make system calls in thread %d", a->pid, t->tid) : 0;
}

int agent_stop(struct agent *a, struct error *err)
{
	int ret = 0;

	if (!a->base)
		return 0;
	if (a->inside) {
		/* Sitting in futex_waitv; from a stop there it can be sent anywhere. */
		ret = tracee_interrupt(a->thread);
		if (!ret)
			ret = springboard_unmap(a->sb, a->thread);
	}
	/* Not entered: the memfd has to be closed, which the way out does. */
	if (!ret && !a->inside)
		ret = springboard_abandon(a->sb, a->thread);
	if (!ret)
		ret = tracee_put_back(a->thread);
	alive_release(&a->alive);
	munmap(a->base, ARENA_SIZE);
	a->base = NULL;
	a->inside = false;
	if (ret && ret != -ESRCH)
		return fail(err, ret, "task %d: take the stub out", a->pid);
	return 0;
}
