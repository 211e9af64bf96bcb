// SPDX-License-Identifier: GPL-2.0-only
/* Trees of processes, threads, and what they share. */
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "factory/factory.h"

KIND(one_task, "a task alone")
{
	pid_t pid = getpid(), sid = getsid(0);

	hold();
	CHECK_EQ(getpid(), pid);
	CHECK_EQ(getsid(0), sid);
	CHECK_EQ(getpgrp(), sid);
}

static void leaf(void *arg)
{
	pid_t parent = getppid(), self = getpid();

	gate_pass(arg);
	hold_peer();
	CHECK_EQ(getpid(), self);
	CHECK_EQ(getppid(), parent);
}

KIND(children, "20 children")
{
	struct gate g = gate_make();
	pid_t pid[20];

	for (int i = 0; i < 20; i++)
		pid[i] = spawn(leaf, &g);
	gate_wait(&g, 20);
	hold();
	for (int i = 0; i < 20; i++)
		reap_good(pid[i]);
}

struct deep {
	struct gate *g;
	int more;
};

static void descend(void *arg)
{
	struct deep *d = arg;
	pid_t child = 0;

	if (--d->more > 0)
		child = spawn(descend, d);
	leaf(d->g);
	if (child)
		reap_good(child);
}

KIND(generations, "20 generations, parent to child")
{
	struct gate g = gate_make();
	struct deep d = {&g, 20};
	pid_t child = spawn(descend, &d);

	gate_wait(&g, 20);
	hold();
	reap_good(child);
}

KIND(zombie, "a zombie with exit status 42")
{
	pid_t pid = MUST(fork());
	siginfo_t si;
	int status;

	if (pid == 0)
		_exit(42);
	MUST(waitid(P_PID, pid, &si, WEXITED | WNOWAIT));
	hold();
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

KIND(zombie_killed, "zombies that died of signals")
{
	static const int signals[] = {SIGKILL, SIGTERM, SIGALRM, SIGUSR2};
	pid_t pid[4];
	siginfo_t si;
	int status;

	for (int i = 0; i < 4; i++) {
		pid[i] = MUST(fork());
		if (pid[i] == 0) {
			kill(getpid(), signals[i]);
			_exit(1);
		}
		MUST(waitid(P_PID, pid[i], &si, WEXITED | WNOWAIT));
	}
	hold();
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(waitpid(pid[i], &status, 0), pid[i]);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
	}
}

KIND(child_stopped, "a child stopped by SIGSTOP, not yet waited for")
{
	struct gate g = gate_make();
	pid_t pid = spawn(leaf, &g);
	siginfo_t si;

	gate_wait(&g, 1);
	kill(pid, SIGSTOP);
	MUST(waitid(P_PID, pid, &si, WSTOPPED | WNOWAIT));
	hold();
	CHECK_EQ(waitid(P_PID, pid, &si, WSTOPPED | WNOHANG | WNOWAIT), 0);
	CHECK_EQ(si.si_pid, pid);
	CHECK_EQ(si.si_status, SIGSTOP);
	kill(pid, SIGCONT);
	reap_good(pid);
}

KIND(child_stop_waited, "a child that a terminal's signal stopped, waited for",
     .no_criu = "CRIU 4.2 reports the stop again")
{
	struct gate g = gate_make();
	pid_t pid = spawn(leaf, &g);
	siginfo_t si = {};

	gate_wait(&g, 1);
	/* Not in an orphaned group: those do not stop. */
	MUST(setpgid(pid, pid));
	kill(pid, SIGTTIN);
	MUST(waitid(P_PID, pid, &si, WSTOPPED));
	CHECK_EQ(si.si_status, SIGTTIN);
	hold();
	memset(&si, 0, sizeof(si));
	CHECK_EQ(waitid(P_PID, pid, &si, WSTOPPED | WNOHANG), 0);
	CHECK_EQ(si.si_pid, 0);
	kill(pid, SIGCONT);
	reap_good(pid);
}

KIND(child_stopped_by_terminal, "a child that a terminal's signal stopped, not yet waited for")
{
	struct gate g = gate_make();
	pid_t pid = spawn(leaf, &g);
	siginfo_t si;

	gate_wait(&g, 1);
	/* Not in an orphaned group: those do not stop. */
	MUST(setpgid(pid, pid));
	kill(pid, SIGTSTP);
	MUST(waitid(P_PID, pid, &si, WSTOPPED | WNOWAIT));
	hold();
	CHECK_EQ(waitid(P_PID, pid, &si, WSTOPPED | WNOHANG | WNOWAIT), 0);
	CHECK_EQ(si.si_pid, pid);
	CHECK_EQ(si.si_status, SIGTSTP);
	kill(pid, SIGCONT);
	reap_good(pid);
}

KIND(root_stopped, "the root task stopped by SIGSTOP", .stopped = true)
{
	tell_ready();
	raise(SIGSTOP);
	hold_peer();
}

static void become_orphan(void *arg)
{
	gate_pass(arg);
	hold_peer();
	CHECK_EQ(getppid(), getsid(0));
}

KIND(orphan, "a task whose parent has exited, with its grandparent as reaper")
{
	struct gate g = gate_make();
	int to_parent[2], status;
	pid_t middle, orphan;

	MUST(pipe(to_parent));
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	middle = MUST(fork());
	if (middle == 0) {
		orphan = spawn(become_orphan, &g);
		MUST(write(to_parent[1], &orphan, sizeof(orphan)));
		gate_wait(&g, 1);
		_exit(0);
	}
	MUST(read(to_parent[0], &orphan, sizeof(orphan)));
	MUST(waitpid(middle, &status, 0));
	close(to_parent[0]);
	close(to_parent[1]);
	close(g.fds[0]);
	close(g.fds[1]);
	hold();
	reap_good(orphan);
	CHECK_EQ(prctl(PR_GET_CHILD_SUBREAPER, &status) ?: status, 1);
}

static void own_session(void *arg)
{
	pid_t sid = MUST(setsid());

	gate_pass(arg);
	hold_peer();
	CHECK_EQ(getsid(0), sid);
	CHECK_EQ(getpgrp(), sid);
}

KIND(session_of_child, "a child that leads a session of its own")
{
	struct gate g = gate_make();
	pid_t pid = spawn(own_session, &g);

	gate_wait(&g, 1);
	hold();
	reap_good(pid);
}

static void own_group(void *arg)
{
	MUST(setpgid(0, 0));
	gate_pass(arg);
	hold_peer();
	CHECK_EQ(getpgrp(), getpid());
	CHECK_EQ(getsid(0), getppid());
}

KIND(group_of_child, "children that lead process groups, as a shell's jobs do")
{
	struct gate g = gate_make();
	pid_t pid[3];

	for (int i = 0; i < 3; i++)
		pid[i] = spawn(own_group, &g);
	gate_wait(&g, 3);
	hold();
	for (int i = 0; i < 3; i++)
		reap_good(pid[i]);
}

struct join {
	struct gate *g;
	pid_t group;
};

static void join_group(void *arg)
{
	struct join *j = arg;

	MUST(setpgid(0, j->group));
	gate_pass(j->g);
	hold_peer();
	CHECK_EQ(getpgrp(), j->group);
}

KIND(group_of_brother, "a child in the process group of its brother")
{
	struct gate g = gate_make(), g2 = gate_make();
	struct join j = {&g2, 0};
	pid_t leader = spawn(own_group, &g), member;

	gate_wait(&g, 1);
	j.group = leader;
	member = spawn(join_group, &j);
	gate_wait(&g2, 1);
	hold();
	reap_good(leader);
	reap_good(member);
}

static void leave_own_group(void *arg)
{
	struct gate g = gate_make();
	struct join j = {&g, getpid()};
	pid_t member;

	MUST(setpgid(0, 0));
	member = spawn(join_group, &j);
	gate_wait(&g, 1);
	MUST(setpgid(0, getppid()));
	gate_pass(arg);
	hold_peer();
	CHECK_EQ(getpgrp(), getppid());
	reap_good(member);
}

KIND(group_left, "a process group that its leader has left for another",
     .no_criu_restore = "CRIU 4.2 has nobody to lead such a group")
{
	struct gate g = gate_make();
	pid_t pid = spawn(leave_own_group, &g);

	gate_wait(&g, 1);
	hold();
	reap_good(pid);
}

KIND(group_of_zombie, "a task in a process group whose leader is a zombie")
{
	struct gate g = gate_make();
	struct join j = {&g, 0};
	pid_t member;
	siginfo_t si;
	int status;

	j.group = MUST(fork());
	if (j.group == 0) {
		setpgid(0, 0);
		pause();
	}
	MUST(setpgid(j.group, j.group));
	member = spawn(join_group, &j);
	gate_wait(&g, 1);
	kill(j.group, SIGTERM);
	MUST(waitid(P_PID, j.group, &si, WEXITED | WNOWAIT));
	hold();
	reap_good(member);
	CHECK_EQ(waitpid(j.group, &status, 0), j.group);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static void member_of_dead(void *arg)
{
	pid_t group = getpgrp(), sid = getsid(0);

	gate_pass(arg);
	hold_peer();
	CHECK_EQ(getpgrp(), group);
	CHECK_EQ(getsid(0), sid);
	CHECK(group != getpid());
}

KIND(session_of_dead, "a session and group whose leader has exited and is reaped",
     .no_criu_restore = "CRIU 4.2 leaves such a task to a reaper outside of the tree")
{
	struct gate g = gate_make();
	pid_t member, leader;
	int status, fds[2];

	MUST(pipe(fds));
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	leader = MUST(fork());
	if (leader == 0) {
		setsid();
		member = spawn(member_of_dead, &g);
		MUST(write(fds[1], &member, sizeof(member)));
		gate_wait(&g, 1);
		_exit(0);
	}
	MUST(read(fds[0], &member, sizeof(member)));
	MUST(waitpid(leader, &status, 0));
	close(fds[0]);
	close(fds[1]);
	close(g.fds[0]);
	close(g.fds[1]);
	hold();
	reap_good(member);
}

static long raw_clone(unsigned long flags)
{
	return syscall(SYS_clone, flags, NULL, NULL, NULL, 0);
}

KIND(clone_parent, "a task made with CLONE_PARENT by a child")
{
	struct gate g = gate_make();
	int fds[2];
	pid_t child, sibling;

	MUST(pipe(fds));
	child = MUST(fork());
	if (child == 0) {
		sibling = MUST(raw_clone(CLONE_PARENT | SIGCHLD));
		if (sibling)
			MUST(write(fds[1], &sibling, sizeof(sibling)));
		close(fds[0]);
		close(fds[1]);
		leaf(&g);
		_exit(differences() ? 1 : 0);
	}
	MUST(read(fds[0], &sibling, sizeof(sibling)));
	close(fds[0]);
	close(fds[1]);
	gate_wait(&g, 2);
	hold();
	reap_good(child);
	reap_good(sibling);
}

KIND(clone_files, "two tasks with one descriptor table (CLONE_FILES)")
{
	_Atomic int *made = map_anon(4096, PROT_READ | PROT_WRITE, MAP_SHARED);
	pid_t pid = MUST(raw_clone(CLONE_FILES | SIGCHLD));

	if (pid == 0) {
		hold_peer();
		*made = dup2(0, 77);
		_exit(*made == 77 && !differences() ? 0 : 1);
	}
	hold();
	reap_good(pid);
	CHECK(fcntl(77, F_GETFD) >= 0);
}

KIND(clone_fs, "two tasks with one cwd, root and umask (CLONE_FS)",
     .no_criu = "CRIU refuses CLONE_FS between processes")
{
	mode_t mask = umask(0);
	pid_t pid;

	umask(mask);
	pid = MUST(raw_clone(CLONE_FS | SIGCHLD));
	if (pid == 0) {
		hold_peer();
		umask(071);
		_exit(differences() ? 1 : 0);
	}
	hold();
	reap_good(pid);
	CHECK_EQ(umask(0), 071);
}

static int share_all(void *arg)
{
	tell_ready();
	hold_peer();
	_exit(differences() ? 1 : 0);
}

KIND(clone_sighand, "processes with one memory and one table of signal actions",
     .no_criu = "CRIU refuses processes that share memory", .later = "shared address spaces")
{
	static char stack[65536] __attribute__((aligned(16)));

	/* The parent sleeps in its clone until the child is through. */
	reap_good(MUST(clone(share_all, stack + sizeof(stack),
			     CLONE_VM | CLONE_SIGHAND | CLONE_VFORK | SIGCHLD, NULL)));
}

KIND(exit_signal, "a child that tells of its end by SIGUSR1",
     .no_criu = "CRIU starts every child with SIGCHLD")
{
	pid_t pid = MUST(raw_clone(SIGUSR1));
	sigset_t set;

	if (pid == 0) {
		hold_peer();
		_exit(differences() ? 1 : 0);
	}
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	hold();
	CHECK_EQ(sigwaitinfo(&set, NULL), SIGUSR1);
	reap_good(pid);
}

#define N_THREADS 8
struct threads {
	pthread_barrier_t ready;
	pid_t tid[100];
	_Atomic int good;
};

struct thread {
	struct threads *all;
	int nth;
};

static void *run_thread(void *arg)
{
	struct thread *t = arg;
	static __thread int mine;
	pid_t tid = gettid();

	mine = t->nth;
	t->all->tid[t->nth] = tid;
	pthread_barrier_wait(&t->all->ready);
	hold_peer();
	CHECK_EQ(mine, t->nth);
	CHECK_EQ(gettid(), tid);
	t->all->good++;
	return NULL;
}

static void with_threads(int n)
{
	struct threads all = {};
	struct thread each[100];
	pthread_t id[100];

	pthread_barrier_init(&all.ready, NULL, n + 1);
	for (int i = 0; i < n; i++) {
		each[i] = (struct thread){&all, i};
		if (pthread_create(&id[i], NULL, run_thread, &each[i]))
			must_fail(__FILE__, __LINE__, "pthread_create");
	}
	pthread_barrier_wait(&all.ready);
	hold();
	/* Joining waits for the kernel to clear the tid: set_tid_address survived. */
	for (int i = 0; i < n; i++)
		CHECK_EQ(pthread_join(id[i], NULL), 0);
	CHECK_EQ(all.good, n);
}

KIND(threads, "8 threads")
{
	with_threads(8);
}

KIND(threads_100, "100 threads")
{
	with_threads(100);
}

static void threads_in_child(void *arg)
{
	struct threads all = {};
	struct thread t = {&all, 0};
	pthread_t id;

	pthread_barrier_init(&all.ready, NULL, 2);
	pthread_create(&id, NULL, run_thread, &t);
	pthread_barrier_wait(&all.ready);
	leaf(arg);
	pthread_join(id, NULL);
	CHECK_EQ(all.good, 1);
}

KIND(threads_children, "children with threads")
{
	struct gate g = gate_make();
	pid_t pid[3];

	for (int i = 0; i < 3; i++)
		pid[i] = spawn(threads_in_child, &g);
	gate_wait(&g, 3);
	hold();
	for (int i = 0; i < 3; i++)
		reap_good(pid[i]);
}

static void *fork_in_thread(void *arg)
{
	struct gate *g = arg;
	pid_t pid = spawn(leaf, g);

	gate_wait(g, 1);
	tell_ready();
	hold_peer();
	reap_good(pid);
	return NULL;
}

KIND(child_of_thread, "a child that a thread has forked")
{
	struct gate g = gate_make();
	pthread_t id;

	pthread_create(&id, NULL, fork_in_thread, &g);
	hold_peer();
	pthread_join(id, NULL);
}

static void *outlive(void *arg)
{
	/* Until the leader is a zombie, which has no program any more. */
	while (syscall(SYS_tgkill, getpid(), getpid(), 0) == 0 &&
	       access("/proc/self/exe", F_OK) == 0)
		sched_yield();
	tell_ready();
	hold_peer();
	_exit(differences() ? 1 : 0);
	return arg;
}

KIND(leader_gone, "a process whose first thread has exited", .later = "a dead thread group leader",
     .no_criu = "CRIU refuses a dead leader with live threads")
{
	pthread_t id;

	pthread_create(&id, NULL, outlive, NULL);
	pthread_exit(NULL);
}
