// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run a plan: lay the arena out in a memfd, clone the seed, wait. As long as
 * the guardian (guard.h) holds the arena's `alive` word the tasks go on; when it
 * dies or gives up, every task that sits in the stub ends itself.
 */
#include "restore/execute.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "lib/scripts.h"
#include "resource/reg.h"

#ifndef __NR_futex_waitv
#define __NR_futex_waitv 449
#endif
#ifndef __NR_rseq
#define __NR_rseq 334
#endif

#define RSEQ_FLAG_UNREGISTER 1
#define RSEQ_SIGNATURE	     0x53053053

/* How long to sleep before looking whether a task died without a word. */
#define LOOK_MS 100

/* --- the seed ----------------------------------------------------------- */

int execute_prepare(struct execution *x)
{
	struct plan *p = x->p;

	x->len = p->arena_len + p->text_len;
	x->memfd = memfd_create("stasis-restore", MFD_CLOEXEC);
	if (x->memfd < 0 || ftruncate(x->memfd, x->len))
		return fail(&x->run->err, -errno, "arena of %zu bytes", x->len);
	x->arena = mmap(NULL, x->len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, x->memfd,
			0);
	if (x->arena == MAP_FAILED) {
		x->arena = NULL;
		return fail(&x->run->err, -errno, "arena of %zu bytes", x->len);
	}
	plan_write(p, x->arena);
	return 0;
}

static long raw_mmap(uint64_t at, uint64_t len, int prot, int fd, uint64_t offset)
{
	return syscall(__NR_mmap, at, len, prot, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, offset);
}

/* What glibc registered for the thread that the seed is a copy of (rseq(2)). */
static void drop_rseq(void)
{
	extern const ptrdiff_t __rseq_offset __attribute__((weak));
	extern const unsigned int __rseq_size __attribute__((weak));
	uint8_t *area;
	unsigned int len;

	if (!&__rseq_offset || !&__rseq_size || !__rseq_size)
		return;
	area = (uint8_t *)__builtin_thread_pointer() + __rseq_offset;
	/* __rseq_size is what is in use of it; what was registered is at least 32. */
	for (len = 32; len <= 256; len += 4)
		if (!syscall(__NR_rseq, area, len, RSEQ_FLAG_UNREGISTER, RSEQ_SIGNATURE))
			return;
}

/* The folders at their service numbers, everything else closed. */
static int keep_service_fds(const struct plan *p)
{
	size_t i, n = p->chain.dirs.n;

	for (i = 0; i < n; i++) {
		/* dup2 of a number onto itself would keep close-on-exec as it is; harmless. */
		if (dup2(p->chain.dirs.at[i], p->service_fd + i) < 0)
			return -errno;
	}
	if (p->service_fd)
		syscall(__NR_close_range, 0, p->service_fd - 1, 0);
	syscall(__NR_close_range, p->service_fd + n, ~0u, 0);
	return 0;
}

/* In the child. Only raw system calls from here on; ends in the stub. */
static _Noreturn void become_seed(struct execution *x)
{
	struct plan *p = x->p;
	uint64_t slot = p->arena_at + p->slots.at[0]->arena, text = p->arena_at + p->arena_len;

	drop_rseq();
	if (raw_mmap(p->arena_at, p->arena_len, PROT_READ | PROT_WRITE, x->memfd, 0) !=
		    (long)p->arena_at ||
	    raw_mmap(text, p->text_len, PROT_READ | PROT_EXEC, x->memfd, p->arena_len) !=
		    (long)text ||
	    keep_service_fds(p))
		_exit(126);
	__asm__ volatile("movq %0, %%rbx\n"
			 "	movq %1, %%rbp\n"
			 "	jmp *%2\n"
			 :
			 : "r"(slot), "r"(p->arena_at), "a"(text)
			 : "memory");
	__builtin_unreachable();
}

static int clone_seed(struct execution *x)
{
	pid_t want = x->p->slots.at[0]->tid;
	struct clone_args args = {
		.exit_signal = SIGCHLD,
		.set_tid = (uintptr_t)&want,
		.set_tid_size = 1,
	};
	int tries = 0;
	long pid;

	if (x->run->opt.restore_sibling) {
		args.flags |= CLONE_PARENT;
		args.exit_signal = 0;
	}
	do {
		pid = syscall(__NR_clone3, &args, sizeof(args));
		if (!pid)
			become_seed(x);
	} while (pid < 0 && errno == EEXIST && pid_may_become_free(want, &tries));
	if (pid > 0) {
		x->root = pid;
		return 0;
	}
	fail(&x->run->err, -errno, "create task %d", want);
	if (errno == EEXIST)
		return fail_hint(&x->run->err,
				 "pid %d is in use: wait until that process is gone, or restore in "
				 "a pid namespace",
				 want);
	return fail_hint(&x->run->err, "setting pids needs CAP_CHECKPOINT_RESTORE");
}

/* --- waiting ------------------------------------------------------------ */

static const struct plan_slot *failed_slot(const struct execution *x)
{
	struct plan_slot **s;

	vec_for_each (&x->p->slots, s)
		if (execution_slot(x, *s)->state == STUB_FAILED)
			return *s;
	return NULL;
}

/* The first task that was begun and is no more, though its program has not ended. */
static const struct plan_slot *lost_slot(const struct execution *x)
{
	struct plan_slot **s;

	vec_for_each (&x->p->slots, s) {
		if (!(*s)->parks || !(*s)->tid)
			continue;
		if (execution_slot(x, *s)->state == STUB_RUNNING && kill((*s)->tid, 0) &&
		    errno == ESRCH)
			return *s;
	}
	return NULL;
}

static int check_progress(struct execution *x)
{
	const struct plan_slot *s = failed_slot(x);
	siginfo_t info = {0};

	if (s)
		return execute_explain(x, s);
	if (!x->run->opt.restore_sibling &&
	    !waitid(P_PID, x->root, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid)
		return fail_text(&x->run->err, -ECHILD,
				 "task %d died while it was restored (%s %d)", x->root,
				 info.si_code == CLD_EXITED ? "exit status" : "signal",
				 info.si_status);
	s = lost_slot(x);
	if (s)
		return fail_text(&x->run->err, -ECHILD, "task %d died while it was restored",
				 s->tid);
	return run_check_time(x->run, "restoring the tasks");
}

/* Sleep until the word is not @seen, a slot failed, or it is time to look. */
static void sleep_on(struct execution *x, uint32_t *word, uint32_t seen)
{
	struct stub_arena *head = execution_head(x);
	struct futex_waitv w[2] = {
		{.val = seen, .uaddr = (uintptr_t)word, .flags = FUTEX_32},
		{.val = 0, .uaddr = (uintptr_t)&head->failed, .flags = FUTEX_32},
	};
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LOOK_MS * 1000000l;
	if (until.tv_nsec >= 1000000000l) {
		until.tv_nsec -= 1000000000l;
		until.tv_sec++;
	}
	syscall(__NR_futex_waitv, w, 2, 0, &until, CLOCK_MONOTONIC);
}

int execute_wait(struct execution *x, uint32_t goal)
{
	struct stub_arena *head = execution_head(x);
	int ret;

	for (;;) {
		uint32_t seen = __atomic_load_n(&head->parked, __ATOMIC_ACQUIRE);

		if (seen >= goal)
			return 0;
		if (__atomic_load_n(&head->failed, __ATOMIC_ACQUIRE))
			return execute_explain(x, failed_slot(x));
		sleep_on(x, &head->parked, seen);
		if (__atomic_load_n(&head->parked, __ATOMIC_ACQUIRE) != seen)
			continue;
		ret = check_progress(x);
		if (ret)
			return ret;
	}
}

int execute_hold(struct execution *x)
{
	int ret = alive_hold(&x->alive, &execution_head(x)->alive);

	return ret ? fail(&x->run->err, ret, "robust futex") : 0;
}

int execute_start(struct execution *x)
{
	siginfo_t info;
	int ret;

	/* Whoever is left over after a failure falls to us. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	ret = await_pids(x);
	if (!ret)
		ret = clone_seed(x);
	if (!ret)
		ret = reg_check_all(x->p);
	/* While there is nothing else to do; the plan has what it needs of them. */
	checkpoint_forget_mappings(x->p->cp);
	if (!ret)
		ret = execute_wait(x, x->p->n_parking);
	/* Others that stop are waited for by their parents. */
	if (!ret && x->p->slots.at[0]->stops)
		while (waitid(P_PID, x->root, &info, WSTOPPED | WNOWAIT) && errno == EINTR)
			;
	return ret;
}

/* --- failure ------------------------------------------------------------ */

int execute_explain(struct execution *x, const struct plan_slot *slot)
{
	const struct stub_op *ops;
	const struct stub_slot *ss;
	const struct step *s;
	uint64_t at;
	char text[512];
	size_t i;

	if (!slot)
		return fail_text(&x->run->err, -EIO, "a task failed");
	ss = execution_slot(x, slot);
	at = ss->program + ss->failed_op * sizeof(struct stub_op);
	for (i = 0; i < x->p->steps.n && x->p->steps.at[i].op != at; i++)
		;
	if (i == x->p->steps.n)
		return fail_text(&x->run->err, -EIO, "task %d failed", slot->tid);
	s = &x->p->steps.at[i];
	ops = (const struct stub_op *)(x->arena + at);
	print_step(x->p, s, text, sizeof(text));
	if (ops->ret < 0 && ops->ret > -4096) {
		fail(&x->run->err, ops->ret, "task %d: %s", slot->tid, text);
		if (ops->ret == -EEXIST && s->nr == STUB_CLONE)
			fail_hint(&x->run->err,
				  "pid %ld is in use: wait until that process is gone, or restore "
				  "in a pid namespace",
				  s->subject);
		return x->run->err.code;
	}
	return fail_text(&x->run->err, -EIO, "task %d: %s = %lld, expected %lld", slot->tid, text,
			 (long long)ops->ret, (long long)s->expect);
}

static bool is_gone(pid_t pid)
{
	return waitpid(pid, NULL, __WALL | WNOHANG) == pid || (kill(pid, 0) && errno == ESRCH);
}

/* Tasks that were just being cloned have no slot yet; with their parents dead they are ours. */
static bool have_children(void)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG | __WALL)) > 0)
		;
	return pid == 0;
}

/* Those that are still to come, and all helpers, end themselves. */
static void give_up(struct execution *x)
{
	struct stub_arena *head = execution_head(x);

	__atomic_or_fetch(&head->alive, FUTEX_OWNER_DIED, __ATOMIC_SEQ_CST);
	syscall(__NR_futex, &head->alive, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

/* Whether @slot has begun; then its number is its own. (Helpers' may be free again by now.) */
static bool is_task(const struct execution *x, const struct plan_slot *slot)
{
	return slot->kind == SLOT_TASK && slot->tid && execution_slot(x, slot)->state != STUB_NEW;
}

/* Children go first, since some die with their parents. */
static void kill_all(struct execution *x)
{
	struct plan_slot *s;
	size_t i;

	for (i = x->p->slots.n; i-- > 0;) {
		s = x->p->slots.at[i];
		if (s->killed || !is_task(x, s))
			continue;
		kill(s->tid, SIGKILL);
		s->killed = true;
	}
}

/*
 * Nobody ends by himself until give_up(), so no number can have passed on to another
 * process. One that was being born meanwhile is found the second time or ends itself: only
 * those that are stopped by job control can't, and there are many steps before that.
 */
void execute_kill(struct execution *x)
{
	if (!x->arena)
		return;
	kill_all(x);
	give_up(x);
	kill_all(x);
}

void execute_abort(struct execution *x)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	struct plan_slot **s;
	bool all_gone = !x->root;
	int i;

	if (!x->arena)
		return;
	give_up(x);
	if (x->root)
		kill(x->root, SIGKILL);
	for (i = 0; i < 2000 && !all_gone; i++) {
		all_gone = is_gone(x->root);
		vec_for_each (&x->p->slots, s) {
			if (!is_task(x, *s))
				continue;
			kill((*s)->tid, SIGKILL);
			if (!is_gone((*s)->tid))
				all_gone = false;
		}
		if (have_children())
			all_gone = false;
		if (!all_gone)
			nanosleep(&pause, NULL);
	}
	x->root = 0;
}

void execute_free(struct execution *x)
{
	if (x->arena)
		munmap(x->arena, x->len);
	if (x->memfd >= 0)
		close(x->memfd);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
}
