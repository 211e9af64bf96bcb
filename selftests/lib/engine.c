// SPDX-License-Identifier: GPL-2.0-only
#include "lib/engine.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_ARGS 64

struct engine engine_named(const char *name)
{
	struct engine e = {.name = name, .is_criu = !strcmp(name, "criu")};

	if (e.is_criu)
		e.path = getenv("CRIU") ?: "selftests/peers/criu";
	else if (!strcmp(name, "stasis"))
		e.path = getenv("STASIS") ?: "build/stasis";
	else
		errx(2, "no engine '%s': stasis or criu", name);
	return e;
}

static int open_pidfd(pid_t pid)
{
	return syscall(SYS_pidfd_open, pid, 0);
}

/* True when the process of @pidfd ended within @ms. */
static bool wait_end(int pidfd, int ms)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	int got;

	do
		got = poll(&p, 1, ms);
	while (got < 0 && errno == EINTR);
	return got > 0;
}

static void be_command(char *const argv[], const char *output)
{
	int fd = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0644),
	    null = open("/dev/null", O_RDONLY);

	dup2(null, 0);
	dup2(fd, 1);
	dup2(fd, 2);
	syscall(SYS_close_range, 3, ~0U, 0);
	execv(argv[0], argv);
	fprintf(stderr, "exec %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

int run_command(char *const argv[], const char *output, int seconds)
{
	pid_t pid = fork();
	int status, pidfd;
	bool ended;

	if (pid < 0)
		err(1, "fork");
	if (pid == 0)
		be_command(argv, output);
	pidfd = open_pidfd(pid);
	ended = wait_end(pidfd, seconds * 1000);
	close(pidfd);
	if (!ended)
		kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		err(1, "waitpid %d", pid);
	if (!ended)
		return -1;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int split(char **argv, int n, char *words)
{
	char *word, *save = NULL;

	for (word = strtok_r(words, " ", &save); word && n < MAX_ARGS - 1;
	     word = strtok_r(NULL, " ", &save))
		argv[n++] = word;
	argv[n] = NULL;
	return n;
}

static int run_engine(const struct engine *e, const char *images, const char *step,
		      const char *fixed, const char *options)
{
	char *argv[MAX_ARGS], words[512], more[512], output[PATH_MAX];
	int n = 0;

	mkdir(images, 0755);
	argv[n++] = (char *)e->path;
	snprintf(words, sizeof(words), "%s -v4 -o %s.log -D %s", fixed, step, images);
	snprintf(more, sizeof(more), "%s", options ?: "");
	n = split(argv, n, words);
	split(argv, n, more);
	snprintf(output, sizeof(output), "%s/%s.out", images, step);
	return run_command(argv, output, 120);
}

int engine_dump(const struct engine *e, pid_t pid, const char *images, const char *options)
{
	char fixed[64];

	snprintf(fixed, sizeof(fixed), "dump -t %d", pid);
	return run_engine(e, images, "dump", fixed, options);
}

int engine_restore(const struct engine *e, const char *images, const char *options)
{
	return run_engine(e, images, "restore", "restore -d", options);
}

bool engine_works(const struct engine *e)
{
	char *argv[] = {(char *)e->path, "--version", NULL};

	return run_command(argv, "/dev/null", 300) == 0;
}

static void add_tail(struct text *ret, const char *from, int lines)
{
	const char *at = from + strlen(from);

	while (at > from && lines >= 0)
		if (*--at == '\n')
			lines--;
	text_add(ret, "%s", lines < 0 ? at + 1 : from);
}

void engine_why(const char *images, const char *step, struct text *ret)
{
	struct text log = {}, out = {}, errors = {};
	char *line, *save = NULL;

	text_read(&log, "%s/%s.log", images, step);
	text_read(&out, "%s/%s.out", images, step);
	for (line = strtok_r(log.at, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (strstr(line, "Error") || strstr(line, "ERROR"))
			text_add(&errors, "%s\n", line);
	if (errors.n)
		add_tail(ret, errors.at, 8);
	add_tail(ret, out.at, 6);
	text_free(&log);
	text_free(&out);
	text_free(&errors);
}

static int make_fifo(const char *dir, const char *name)
{
	/* A reader only: it sees the writer come and go. */
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (mkfifo(path, 0666) < 0 || chmod(path, 0666) < 0)
		err(1, "mkfifo %s", path);
	return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

static void be_factory(const struct target *t, const char *kind)
{
	char program[PATH_MAX], out[PATH_MAX];
	int fd, null;

	snprintf(program, sizeof(program), "%s/selftests/factory/factory",
		 getenv("BUILD") ?: "build");
	if (program[0] != '/' && !realpath(program, out))
		err(1, "%s", program);
	if (program[0] != '/')
		snprintf(program, sizeof(program), "%s", out);
	snprintf(out, sizeof(out), "%s/output", t->dir);
	fd = open(out, O_WRONLY | O_CREAT | O_APPEND, 0666);
	null = open("/dev/null", O_RDONLY);
	dup2(null, 0);
	dup2(fd, 1);
	dup2(fd, 2);
	syscall(SYS_close_range, 3, ~0U, 0);
	setsid();
	signal(SIGPIPE, SIG_DFL);
	if (chdir("/") < 0)
		_exit(127);
	execl(program, program, kind, t->dir, NULL);
	_exit(127);
}

enum ready target_start(struct target *t, const char *kind, struct text *why)
{
	struct pollfd p[2];
	int status;

	snprintf(t->dir, sizeof(t->dir), "%s/stasis-test.XXXXXX", getenv("TMPDIR") ?: "/tmp");
	if (!mkdtemp(t->dir) || chmod(t->dir, 0777) < 0)
		err(1, "mkdtemp %s", t->dir);
	snprintf(t->images, sizeof(t->images), "%s/images", t->dir);
	t->ready = make_fifo(t->dir, "ready");
	close(make_fifo(t->dir, "go"));
	t->go = -1;
	t->pid = fork();
	if (t->pid < 0)
		err(1, "fork");
	if (t->pid == 0)
		be_factory(t, kind);
	t->pidfd = open_pidfd(t->pid);
	p[0] = (struct pollfd){.fd = t->ready}; /* POLLHUP: written and closed */
	p[1] = (struct pollfd){.fd = t->pidfd, .events = POLLIN};
	if (poll(p, 2, 60000) > 0 && p[0].revents)
		return READY;
	if (!p[1].revents) {
		text_add(why, "not ready after 60 seconds\n");
		return READY_FAILED;
	}
	waitpid(t->pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 4) {
		text_read(why, "%s/skip", t->dir);
		return READY_SKIP;
	}
	text_read(why, "%s/unbuilt", t->dir);
	text_read(why, "%s/output", t->dir);
	text_add(why, "wait status %#x while building\n", status);
	return READY_FAILED;
}

bool target_reopen(struct target *t)
{
	close(t->pidfd);
	t->pidfd = open_pidfd(t->pid);
	return t->pidfd >= 0;
}

bool target_gone(struct target *t, int seconds)
{
	int status;

	if (!wait_end(t->pidfd, seconds * 1000))
		return false;
	/* What it left behind came to us, as we are a subreaper; all of it is dead or dying. */
	while (waitpid(-1, &status, __WALL) > 0)
		;
	return true;
}

bool target_judge(struct target *t, int seconds, bool stopped, struct text *why)
{
	char path[PATH_MAX];
	int status = -1, flag;
	size_t had = why->n;

	snprintf(path, sizeof(path), "%s/go", t->dir);
	t->go = open(path, O_RDWR | O_CLOEXEC);
	/* Most wait for a writer; strict seccomp leaves one that reads. */
	if (t->go < 0 || write(t->go, "g", 1) != 1)
		text_add(why, "%s: %s\n", path, strerror(errno));
	/* Some spin on a byte of this file. */
	snprintf(path, sizeof(path), "%s/flag", t->dir);
	flag = open(path, O_WRONLY | O_CLOEXEC);
	if (flag >= 0 && pwrite(flag, "g", 1, 0) != 1)
		text_add(why, "%s: %s\n", path, strerror(errno));
	close(flag);
	if (stopped)
		kill(t->pid, SIGCONT);
	if (!wait_end(t->pidfd, seconds * 1000)) {
		text_add(why, "did not end within %d seconds after it was told to go on\n",
			 seconds);
		text_read(why, "%s/differences", t->dir);
		return false;
	}
	if (waitpid(t->pid, &status, __WALL) != t->pid)
		text_add(why, "is not our child\n");
	text_read(why, "%s/differences", t->dir);
	if (status)
		text_add(why, "ended with wait status %#x\n", status);
	return why->n == had;
}

static int kill_all(void)
{
	struct text t = {};
	char *at, *end;
	int n = 0;

	text_read(&t, "/proc/self/task/%d/children", getpid());
	for (at = t.at;; at = end, n++) {
		long child = strtol(at, &end, 10);

		if (end == at)
			break;
		kill(child, SIGKILL);
		kill(child, SIGCONT);
	}
	text_free(&t);
	return n;
}

void kill_children(void)
{
	/* Their children come to us when they are reaped. */
	while (kill_all() > 0)
		while (waitpid(-1, NULL, __WALL) > 0)
			if (kill_all() == 0)
				break;
}

void target_end(struct target *t, bool keep)
{
	char *argv[] = {"/bin/rm", "-rf", t->dir, NULL};

	kill_children();
	close(t->pidfd);
	close(t->ready);
	close(t->go);
	if (!keep)
		run_command(argv, "/dev/null", 60);
}
