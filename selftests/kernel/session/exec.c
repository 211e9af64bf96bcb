// SPDX-License-Identifier: GPL-2.0-only
// PIDFD_ATTACH_SESSION when the target or the caller executes a program or loses its main thread:
// credentials change then, and tasks change places.

#define _GNU_SOURCE
#include <pthread.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "../kselftest_harness.h"
#include "race.h"

#define NOBODY	   65534
#define EXEC_LOOP  "--exec-loop"
#define PRIVILEGED "--privileged"
#define ATTACHING  "--attaching"
#define LINGER_MS  40

FIXTURE(exec)
{
	struct stage stage;
	struct arena *arena;
	struct puppet *leader[2];
};

FIXTURE_SETUP(exec)
{
	SKIP_ATTACH_OBSTACLE(true);
	ASSERT_TRUE(stage_open(&self->stage));
	self->arena = arena_open(&self->stage, self->leader);
	ASSERT_NE(NULL, self->arena);
}

FIXTURE_TEARDOWN(exec)
{
	stage_clear(&self->stage);
	munmap(self->arena, sizeof(*self->arena));
}

static void *thread_exec(void *arg)
{
	char **argv = arg;

	execv(argv[0], argv);
	_exit(127);
}

/* execve() in a thread that is not the leader: it takes the leader's place. */
static int exec_in_thread(char **argv)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, thread_exec, argv))
		return 126;
	pause();
	return 0;
}

/* --- the target executes itself all the time --- */

/* The command line counts how often. */
static int exec_loop(long nr)
{
	char count_arg[24], *argv[] = {"/proc/self/exe", EXEC_LOOP, count_arg, NULL};

	snprintf(count_arg, sizeof(count_arg), "%ld", nr + 1);
	return exec_in_thread(argv);
}

static long act_exec_loop(long a, long b)
{
	(void)a;
	(void)b;
	return -exec_loop(0);
}

static long times_executed(pid_t pid)
{
	char path[64], buf[256] = "";
	size_t skip = sizeof("/proc/self/exe") + sizeof(EXEC_LOOP);
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	return n > (ssize_t)skip && !strcmp(buf, "/proc/self/exe") ? atol(buf + skip) : 0;
}

TEST_F(exec, target_executes)
{
	struct puppet *target = spawn(&self->stage, self->leader[0], 0), *p[2];
	int i;

	ASSERT_NE(NULL, target);
	self->arena->pidfd[0] = target->pidfd;
	ASSERT_EQ(0, tell(target, act_exec_loop, 0, 0));
	for (i = 0; i < 2; i++) {
		p[i] = spawn(&self->stage, NULL, 0);
		ASSERT_NE(NULL, p[i]);
		ASSERT_EQ(0, tell(p[i], loop_alternate, (long)self->arena, 0));
	}
	/* Reading it fails in the midst of execve(). */
	for (i = 0; i < 5000 && times_executed(target->pid) < 3; i++)
		usleep(2000);
	EXPECT_LT(i, 5000)
	{
		TH_LOG("the target does not execute");
	}
	run_for(self->arena, RUN_MS);
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, reply(p[i]));
	}
	EXPECT_SOUND(self->arena);
	EXPECT_LT(0, self->arena->entered);
}

/* --- the target executes a program with more privileges, which makes a session --- */

/* A copy of this program that belongs to root and is set-user-ID. */
static bool make_setuid_copy(char *path)
{
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to = mkostemp(path, O_CLOEXEC);
	char buf[65536];
	struct statvfs fs;
	ssize_t n = -1;
	bool ok;

	while (from >= 0 && to >= 0 && (n = read(from, buf, sizeof(buf))) > 0)
		if (write(to, buf, n) != n)
			break;
	ok = !n && !fchmod(to, 04755) && !fstatvfs(to, &fs) && !(fs.f_flag & ST_NOSUID);
	close(from);
	close(to);
	return ok;
}

/* As the set-user-ID program: the effective user is root, the real one is not. */
static int privileged(void)
{
	if (geteuid() || !getuid() || setsid() < 0)
		return 1;
	usleep(1000 * LINGER_MS);
	return 0;
}

/* Processes that execute the program one after the other; pidfd[0] is always the last one. */
static long loop_become_privileged(long arena, long unused)
{
	struct arena *a = (struct arena *)arena;
	char *argv[] = {a->path, PRIVILEGED, NULL};
	int pidfd, status;

	(void)unused;
	while (!stopped(a)) {
		struct clone_args args = {
			.flags = CLONE_PIDFD,
			.pidfd = (uintptr_t)&pidfd,
			.exit_signal = SIGCHLD,
		};
		pid_t pid = syscall(SYS_clone3, &args, sizeof(args));

		if (pid < 0)
			return -errno;
		if (!pid) {
			if (act_become(NOBODY, 0))
				_exit(125);
			/* For as long as this it may be entered. */
			usleep(1000 * (a->rounds % 16));
			_exit(exec_in_thread(argv));
		}
		if (dup3(pidfd, a->pidfd[0], O_CLOEXEC) < 0)
			return -errno;
		close(pidfd);
		if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
			return -ECHILD;
		if (WEXITSTATUS(status))
			return -WEXITSTATUS(status);
		count(&a->rounds);
	}
	return 0;
}

/* The caller may enter the session of the process, but not the one that the program has made. */
static long loop_intrude(long arena, long unused)
{
	struct arena *a = (struct arena *)arena;
	long ret;

	(void)unused;
	while (!stopped(a)) {
		ret = act_attach(a->pidfd[0], 0);
		if (ret != -EPERM)
			note(a, 0, ret, ESRCH);
		if (!ret && getsid(0) != a->sid[0])
			count(&a->torn);
		if (!ret && act_attach(a->pidfd[1], 0))
			return -EIO;
	}
	return 0;
}

TEST_F(exec, target_becomes_privileged)
{
	char *path = self->arena->path;
	struct puppet *parent, *p[2];
	int i;

	SKIP_UNLESS_UNPRIVILEGED_TRACE();
	strcpy(path, "/tmp/session-XXXXXX");
	if (!make_setuid_copy(path)) {
		unlink(path);
		SKIP(return, "no set-user-ID program can be made in /tmp (nosuid?)");
	}
	/* A slot for the pidfds of the targets. */
	self->arena->pidfd[0] = dup(self->leader[0]->pidfd);
	parent = spawn(&self->stage, self->leader[0], 0);
	ASSERT_NE(NULL, parent);
	ASSERT_EQ(0, call(self->leader[1], act_become, NOBODY, 0));
	for (i = 0; i < 2; i++) {
		p[i] = spawn(&self->stage, NULL, 0);
		ASSERT_NE(NULL, p[i]);
		ASSERT_EQ(0, call(p[i], act_become, NOBODY, CAP(CAP_CHECKPOINT_RESTORE)));
	}
	ASSERT_EQ(0, tell(parent, loop_become_privileged, (long)self->arena, 0));
	EXPECT_TRUE(wait_for(&self->arena->rounds, 1));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, tell(p[i], loop_intrude, (long)self->arena, 0));
	EXPECT_TRUE(wait_for(&self->arena->entered, 1));
	run_for(self->arena, 2 * RUN_MS);
	EXPECT_EQ(0, reply(parent));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, reply(p[i]));
	}
	EXPECT_SOUND(self->arena);
	unlink(path);
}

/* --- the main thread has exited, another one lives --- */

static void *thread_undumpable(void *arg)
{
	long pipe_end = (long)arg, ret;
	struct ids ids = {0};

	while (read_ids(getpid(), &ids) && ids.state != 'Z')
		usleep(1000);
	ret = act_undumpable(0, 0);
	if (write(pipe_end, &ret, sizeof(ret)) != sizeof(ret))
		_exit(1);
	pause();
	return NULL;
}

static long act_undumpable_without_leader(long pipe_end, long unused)
{
	pthread_t thread;

	(void)unused;
	if (pthread_create(&thread, NULL, thread_undumpable, (void *)pipe_end))
		return -EAGAIN;
	syscall(SYS_exit, 0);
	return 0;
}

/* What the process has become since counts, not what the main thread was. */
TEST_F(exec, refuses_undumpable_after_main_thread)
{
	struct puppet *target = spawn(&self->stage, self->leader[0], 0), *caller;
	long ret = -EIO;
	int pipe[2];

	SKIP_UNLESS_UNPRIVILEGED_TRACE();
	ASSERT_NE(NULL, target);
	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC));
	caller = spawn(&self->stage, NULL, 0);
	ASSERT_NE(NULL, caller);
	ASSERT_EQ(0, call(caller, act_become, NOBODY, CAP(CAP_CHECKPOINT_RESTORE)));
	ASSERT_EQ(0, call(target, act_become, NOBODY, 0));
	ASSERT_EQ(0, tell(target, act_undumpable_without_leader, pipe[1], 0));
	ASSERT_EQ((ssize_t)sizeof(ret), read(pipe[0], &ret, sizeof(ret)));
	ASSERT_EQ(0, ret);
	EXPECT_EQ(-EPERM, call(caller, act_attach, target->pidfd, 0));
	EXPECT_NE(self->leader[0]->pid, call(caller, act_getsid, 0, 0));
}

/* A target without its main thread is a target as others. */
static void *thread_pause(void *arg)
{
	struct ids ids = {0};
	long pipe_end = (long)arg;

	while (read_ids(getpid(), &ids) && ids.state != 'Z')
		usleep(1000);
	if (write(pipe_end, "", 1) != 1)
		_exit(1);
	pause();
	return NULL;
}

static long act_exit_main_thread(long pipe_end, long unused)
{
	pthread_t thread;

	(void)unused;
	if (pthread_create(&thread, NULL, thread_pause, (void *)pipe_end))
		return -EAGAIN;
	syscall(SYS_exit, 0);
	return 0;
}

TEST_F(exec, to_target_without_main_thread)
{
	struct puppet *target = spawn(&self->stage, self->leader[0], 0);
	struct puppet *caller = spawn(&self->stage, NULL, 0);
	int pipe[2];
	char c;

	SKIP_UNLESS_UNPRIVILEGED_TRACE();
	ASSERT_NE(NULL, target);
	ASSERT_NE(NULL, caller);
	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC));
	ASSERT_EQ(0, call(caller, act_become, NOBODY, CAP(CAP_CHECKPOINT_RESTORE)));
	ASSERT_EQ(0, call(target, act_become, NOBODY, 0));
	ASSERT_EQ(0, tell(target, act_exit_main_thread, pipe[1], 0));
	ASSERT_EQ(1, read(pipe[0], &c, 1));
	EXPECT_EQ(0, call(caller, act_attach, target->pidfd, 0));
	EXPECT_EQ(self->leader[0]->pid, call(caller, act_getsid, 0, 0));
}

/* --- the caller executes or exits while another thread of it attaches --- */

static void *thread_alternate(void *arg)
{
	struct arena *a = arg;
	int i;

	for (i = 0; !stopped(a); i++)
		note(a, i & 1, act_attach(a->pidfd[i & 1], 0), ESRCH);
	return NULL;
}

/* Each round a process that attaches in one thread and ends or executes in another. */
static long loop_ends(long arena, long executes)
{
	struct arena *a = (struct arena *)arena;
	char *argv[] = {"/proc/self/exe", ATTACHING, NULL};
	pthread_t thread;
	int status, i;
	pid_t pid;

	for (i = 0; !stopped(a); i++) {
		pid = fork();
		if (!pid) {
			if (pthread_create(&thread, NULL, thread_alternate, a))
				_exit(1);
			usleep(50 << i % 9);
			if (!executes)
				_exit(0);
			thread_exec(argv);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			return -errno;
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			return -EIO;
		count(&a->rounds);
	}
	return 0;
}

/* Whether two of them go well. */
static bool end_callers(struct stage *stage, struct arena *a, bool execute)
{
	struct puppet *p[2];
	bool good = true;
	int i;

	for (i = 0; i < 2; i++) {
		p[i] = spawn(stage, NULL, 0);
		if (!p[i] || tell(p[i], loop_ends, (long)a, execute))
			return false;
	}
	good = wait_for(&a->rounds, 10) && wait_for(&a->attached, 1);
	run_for(a, RUN_MS);
	for (i = 0; i < 2; i++)
		good = !reply(p[i]) && good;
	return good;
}

TEST_F(exec, caller_exits)
{
	EXPECT_TRUE(end_callers(&self->stage, self->arena, false));
	EXPECT_SOUND(self->arena);
}

TEST_F(exec, caller_executes)
{
	EXPECT_TRUE(end_callers(&self->stage, self->arena, true));
	EXPECT_SOUND(self->arena);
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], EXEC_LOOP))
		return exec_loop(atol(argv[2]));
	if (argc == 2 && !strcmp(argv[1], PRIVILEGED))
		return privileged();
	/* Executed in the midst of attaching, what is left is to have a session and a group. */
	if (argc == 2 && !strcmp(argv[1], ATTACHING))
		return getsid(0) <= 0 || getpgrp() <= 0;
	return test_harness_run(argc, argv);
}
