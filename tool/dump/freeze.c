// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stop a tree of tasks and let it go again.
 *
 * A task's children and threads can be listed for certain only once it stands
 * still, so the tree is walked from the root, stopping each process before its
 * children are read. Orphans that were handed to a subreaper meanwhile are
 * found by walking again until a walk finds nothing new.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dump/state.h"
#include "lib/cleanup.h"

#ifndef PTRACE_O_SUSPEND_SECCOMP
#define PTRACE_O_SUSPEND_SECCOMP (1 << 21)
#endif

/* Private memory of which two threads free halves, in bytes; the gain begins about there. */
#define LARGE (64ull << 20)

static struct tracee *find_tracee(struct dump_task *dt, pid_t tid)
{
	struct tracee *t;

	vec_for_each (&dt->tracees, t) {
		if (t->tid == tid)
			return t;
	}
	return NULL;
}

static int refuse_seize(struct dump *d, pid_t pid, pid_t tid, int code)
{
	struct error *err = &d->run->err;
	_cleanup_free_ char *text = NULL;
	char path[64];
	const char *p;

	fail(err, code, "task %d: attach to thread %d", pid, tid);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, tid);
	if (code == -EPERM && proc_read(AT_FDCWD, path, &text) > 0 &&
	    (p = proc_field(text, "TracerPid")) && atoi(p))
		return fail_hint(err,
				 "it is traced by process %d already: let that one detach first",
				 atoi(p));
	return fail_hint(err, "run as root, or as the owner of the task with CAP_SYS_PTRACE");
}

/* Attaching to a thread that has ended but is not reaped gives EPERM too. */
static bool has_ended(const struct dump_task *dt, pid_t tid)
{
	struct proc_stat stat;
	char path[32];

	snprintf(path, sizeof(path), "task/%d/stat", tid);
	return proc_stat(dt->procfd, path, &stat) || stat.state == 'Z' || stat.state == 'X';
}

/*
 * Stop all threads; new ones may appear as long as one runs. They are all when the process
 * has as many as were stopped (fills dt->stat), or when a look shows no further one: threads
 * that are ending are counted but cannot be stopped.
 */
static int stop_threads(struct dump *d, struct dump_task *dt)
{
	_cleanup_(cleanup_ints) proc_ints tids = {};
	size_t i, waited = 0, before;
	int ret;

	do {
		before = dt->tracees.n;
		tids.n = 0;
		ret = proc_dir_numbers(dt->procfd, "task", &tids);
		if (ret)
			return fail(&d->run->err, ret, "task %d: list its threads", dt->pid);
		for (i = 0; i < tids.n; i++) {
			struct tracee t;

			if (find_tracee(dt, tids.at[i]))
				continue;
			ret = tracee_seize(&t, tids.at[i], 0);
			if (ret == -ESRCH || (ret == -EPERM && has_ended(dt, tids.at[i])))
				continue;
			if (!t.seized)
				return refuse_seize(d, dt->pid, tids.at[i], ret);
			if (vec_push(&dt->tracees, t))
				return fail(&d->run->err, -ENOMEM, "task %d: keep its threads",
					    dt->pid);
		}
		for (; waited < dt->tracees.n; waited++) {
			ret = tracee_wait_seized(&dt->tracees.at[waited]);
			if (ret && ret != -ESRCH)
				return fail(&d->run->err, ret, "task %d: stop thread %d", dt->pid,
					    dt->tracees.at[waited].tid);
		}
		ret = proc_stat(dt->procfd, "stat", &dt->stat);
		if (ret)
			return fail(&d->run->err, ret, "task %d: read its stat", dt->pid);
	} while (dt->tracees.n != before && (size_t)dt->stat.n_threads != dt->tracees.n);

	/* A thread may have ended while we waited for it. */
	for (i = before = 0; i < dt->tracees.n; i++) {
		if (dt->tracees.at[i].seized)
			dt->tracees.at[before++] = dt->tracees.at[i];
	}
	dt->tracees.n = before;
	return 0;
}

static int zombie(struct dump *d, struct dump_task *dt)
{
	if (dt->stat.n_threads > 1) {
		fail_text(&d->run->err, -EOPNOTSUPP,
			  "task %d: its first thread has ended while others run", dt->pid);
		return fail_hint(&d->run->err,
				 "such a process cannot be rebuilt; dump it before, or end it");
	}
	return 0;
}

static int add_task(struct dump *d, struct task *parent, pid_t pid, struct task **ret)
{
	struct dump_task *dt = calloc(1, sizeof(*dt));
	struct task *t = calloc(1, sizeof(*t));

	if (!t || !dt || vec_reserve(&d->cp->tasks, 1) ||
	    (parent && vec_reserve(&parent->children, 1))) {
		free(t);
		free(dt);
		return fail(&d->run->err, -ENOMEM, "task %d: keep it", pid);
	}
	dt->task = t;
	dt->pid = pid;
	dt->procfd = dt->pidfd = -1;
	t->dump = dt;
	t->parent = parent;
	d->cp->tasks.at[d->cp->tasks.n++] = t;
	if (parent)
		parent->children.at[parent->children.n++] = t;
	*ret = t;
	return 0;
}

/* Seccomp would kill a task for calls that its filters do not know. */
static int suspend_seccomp(struct dump *d, struct dump_task *dt)
{
	struct tracee *t;
	int ret;

	if (!dt->status.seccomp)
		return 0;
	vec_for_each (&dt->tracees, t) {
		ret = tracee_set_options(t, PTRACE_O_SUSPEND_SECCOMP);
		if (ret) {
			fail(&d->run->err, ret, "thread %d: suspend its seccomp filters", t->tid);
			return fail_hint(&d->run->err, "that needs CAP_SYS_ADMIN");
		}
	}
	return 0;
}

static int stop_task(struct dump *d, struct task *t)
{
	struct dump_task *dt = dump_of(t);
	char path[32];
	int ret;

	snprintf(path, sizeof(path), "/proc/%d", dt->pid);
	dt->procfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dt->procfd < 0) {
		fail(&d->run->err, errno == ENOENT ? -ESRCH : -errno, "task %d: open %s", dt->pid,
		     path);
		return fail_hint(&d->run->err, "check the process id given with --tree");
	}
	ret = proc_stat(dt->procfd, "stat", &dt->stat);
	if (ret)
		return fail(&d->run->err, ret, "task %d: read its stat", dt->pid);
	if (dt->stat.state == 'Z' || dt->stat.state == 'X')
		return zombie(d, dt);
	if (dt->stat.flags & 0x00200000 /* PF_KTHREAD */)
		return fail_text(&d->run->err, -EINVAL, "task %d is a kernel thread", dt->pid);
	ret = stop_threads(d, dt);
	if (ret)
		return ret;
	if (dt->stat.state == 'Z' || dt->stat.state == 'X' || !dt->tracees.n)
		return zombie(d, dt);
	if (dt->tracees.at[0].tid != dt->pid)
		return zombie(d, dt);
	ret = proc_status(dt->procfd, "status", &dt->status);
	if (ret)
		return fail(&d->run->err, ret, "task %d: read its status", dt->pid);
	return suspend_seccomp(d, dt);
}

static int walk_children(struct dump *d, struct task *t, bool *found);

static int walk(struct dump *d, struct task *t, bool *found)
{
	size_t i;
	int ret;

	ret = walk_children(d, t, found);
	for (i = 0; !ret && i < t->children.n; i++)
		ret = walk(d, t->children.at[i], found);
	return ret;
}

/* Among the first @n. They are listed in the order of their births: it is likely number @at. */
static bool have_child(const struct task *t, size_t n, size_t at, pid_t pid)
{
	size_t i;

	if (at < n && dump_of(t->children.at[at])->pid == pid)
		return true;
	for (i = 0; i < n; i++) {
		if (dump_of(t->children.at[i])->pid == pid)
			return true;
	}
	return false;
}

/* Children of every thread that are not known yet: stop them. */
static int walk_children(struct dump *d, struct task *t, bool *found)
{
	struct dump_task *dt = dump_of(t);
	_cleanup_(cleanup_ints) proc_ints pids = {};
	struct tracee *tr;
	const size_t known = t->children.n;
	struct task *child;
	char path[64];
	size_t i;
	int ret;

	vec_for_each (&dt->tracees, tr) {
		snprintf(path, sizeof(path), "task/%d/children", tr->tid);
		ret = proc_file_numbers(dt->procfd, path, &pids);
		if (ret)
			return fail(&d->run->err, ret, "task %d: read %s", dt->pid, path);
	}
	for (i = 0; i < pids.n; i++) {
		if (pids.at[i] == getpid()) {
			fail_text(&d->run->err, -EINVAL, "task %d is an ancestor of this program",
				  dt->pid);
			return fail_hint(&d->run->err, "dump from outside of the tree");
		}
		/* While threads end, a child may be listed by two. */
		if (have_child(t, dt->tracees.n > 1 ? t->children.n : known, i, pids.at[i]))
			continue;
		ret = add_task(d, t, pids.at[i], &child);
		if (!ret)
			ret = stop_task(d, child);
		if (ret)
			return ret;
		*found = true;
	}
	return 0;
}

static uint32_t us_since(const struct timespec *t0)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (t.tv_sec - t0->tv_sec) * 1000000 + (t.tv_nsec - t0->tv_nsec) / 1000;
}

int dump_pidfd(struct dump *d, struct dump_task *dt)
{
	dt->pidfd = syscall(SYS_pidfd_open, dt->pid, 0);
	return dt->pidfd < 0 ? fail(&d->run->err, -errno, "task %d: pidfd_open", dt->pid) : 0;
}

void dump_pidfd_close(struct dump_task *dt)
{
	if (dt->pidfd >= 0)
		close(dt->pidfd);
	dt->pidfd = -1;
}

int dump_freeze(struct dump *d)
{
	struct task *root;
	bool found;
	int ret;

	clock_gettime(CLOCK_MONOTONIC, &d->stats.frozen_at);
	d->frozen = true;
	ret = add_task(d, NULL, d->run->opt.tree, &root);
	if (!ret)
		ret = stop_task(d, root);
	if (!ret && !dump_of(root)->tracees.n) {
		fail_text(&d->run->err, -ESRCH, "task %d is a zombie", d->run->opt.tree);
		return fail_hint(&d->run->err, "the root of the tree has to be alive");
	}
	do {
		found = false;
		if (!ret)
			ret = walk(d, root, &found);
	} while (!ret && found);
	d->stats.freezing_us = us_since(&d->stats.frozen_at);
	if (!ret)
		log_info(&d->run->log, "Stopped %zu processes in %u us", d->cp->tasks.n,
			 d->stats.freezing_us);
	return ret;
}

int dump_thaw(struct dump *d)
{
	struct error ignored = {};
	int ret = 0;
	size_t i;

	if (!d->frozen)
		return 0;
	d->frozen = false;
	/* Children first: a parent that runs may wait for them. */
	for (i = d->cp->tasks.n; i-- > 0;) {
		struct dump_task *dt = dump_of(d->cp->tasks.at[i]);
		struct tracee *t;

		agent_stop(&dt->agent, &ignored);
		springboard_remove(&dt->springboard);
		vec_for_each (&dt->tracees, t) {
			if (d->run->opt.leave_stopped && t == dt->tracees.at && !d->run->err.code)
				syscall(SYS_tgkill, dt->pid, t->tid, SIGSTOP);
			ret = tracee_detach(t);
			if (ret)
				fail(&d->run->err, ret, "task %d: let thread %d go", dt->pid,
				     t->tid);
		}
	}
	d->stats.frozen_us = us_since(&d->stats.frozen_at);
	return d->run->err.code;
}

/*
 * Freeing memory takes a dying task a quarter of the time that dumping it took. A second
 * thread can do half of it: the two meet in the same page tables, where the one that comes
 * later finds nothing, and overtakes the other while that one gives back what it gathered.
 * Nothing depends on it: what is not done here is done when the task ends.
 */
static void help_free(const struct dump_task *dt)
{
	int fd = dt->dumped >= LARGE ? syscall(SYS_pidfd_open, dt->pid, 0) : -1;

	if (fd < 0)
		return;
	syscall(SYS_process_mrelease, fd, 0);
	close(fd);
}

int dump_kill(struct dump *d)
{
	size_t i;

	d->frozen = false;
	/* All are stopped, so no parent can react before every task has its SIGKILL. */
	for (i = 0; i < d->cp->tasks.n; i++) {
		struct dump_task *dt = dump_of(d->cp->tasks.at[i]);

		springboard_remove(&dt->springboard);
		if (dt->tracees.n && kill(dt->pid, SIGKILL) && errno != ESRCH)
			fail(&d->run->err, -errno, "task %d: kill it", dt->pid);
	}
	for (i = 0; i < d->cp->tasks.n; i++)
		help_free(dump_of(d->cp->tasks.at[i]));
	/* As their tracer we see each end before its parent does. */
	for (i = d->cp->tasks.n; i-- > 0;) {
		struct dump_task *dt = dump_of(d->cp->tasks.at[i]);
		size_t k;
		int status;

		for (k = dt->tracees.n; k-- > 0;) {
			while (waitpid(dt->tracees.at[k].tid, &status, __WALL) > 0 &&
			       !WIFEXITED(status) && !WIFSIGNALED(status))
				;
			dt->tracees.at[k].seized = false;
		}
	}
	d->stats.frozen_us = us_since(&d->stats.frozen_at);
	return d->run->err.code;
}
