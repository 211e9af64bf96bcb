// SPDX-License-Identifier: GPL-2.0-only
#include "failure/moments.h"

#include <err.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/text.h"

#define MAX_TRACEES 64

double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

void pass(double seconds)
{
	struct timespec t = {.tv_sec = (time_t)seconds,
			     .tv_nsec = (long)((seconds - (time_t)seconds) * 1e9)};

	nanosleep(&t, NULL);
}

pid_t start_tool(char *const argv[], const char *output, bool traced)
{
	pid_t pid = fork();

	if (pid == 0) {
		int fd = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

		dup2(fd, 1);
		dup2(fd, 2);
		if (traced)
			ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		execv(argv[0], argv);
		_exit(127);
	}
	return pid;
}

/* --- steps -------------------------------------------------------------- */

struct trace {
	pid_t tool, clone; /* 0: not there, not yet */
	pid_t tracees[MAX_TRACEES];
	int n;
};

static int find(const struct trace *t, pid_t pid)
{
	int i;

	for (i = 0; i < t->n && t->tracees[i] != pid; i++)
		;
	return i;
}

static void add(struct trace *t, pid_t pid)
{
	if (find(t, pid) < t->n)
		return;
	if (t->n == MAX_TRACEES)
		errx(1, "more than %d threads", MAX_TRACEES);
	t->tracees[t->n++] = pid;
}

static void forget(struct trace *t, pid_t pid)
{
	int i = find(t, pid);

	if (i < t->n)
		t->tracees[i] = t->tracees[--t->n];
}

static bool is_process(pid_t pid)
{
	struct text status = {};
	char *at;
	bool is;

	text_read(&status, "/proc/%d/status", pid);
	at = status.at ? strstr(status.at, "\nTgid:") : NULL;
	is = at && strtol(at + 6, NULL, 10) == pid;
	text_free(&status);
	return is;
}

static void note_clone(struct trace *t, pid_t parent)
{
	unsigned long child = 0;

	if (ptrace(PTRACE_GETEVENTMSG, parent, NULL, &child))
		return;
	add(t, child);
	if (is_process(child))
		t->clone = child;
}

/* The next stop of a tracee and the signal it stopped for; false when there are none left. */
static bool next_stop(struct trace *t, pid_t *pid, int *sig, bool *is_step)
{
	int status;

	while (t->n) {
		*pid = waitpid(-1, &status, __WALL);
		if (*pid < 0)
			err(1, "waitpid, %d tracees", t->n);
		if (!WIFSTOPPED(status)) {
			forget(t, *pid);
			continue;
		}
		add(t, *pid);
		*is_step = WSTOPSIG(status) == (SIGTRAP | 0x80);
		if (status >> 16 == PTRACE_EVENT_CLONE)
			note_clone(t, *pid);
		/* A new one begins with a SIGSTOP. */
		*sig = *is_step || status >> 16 || WSTOPSIG(status) == SIGSTOP ? 0
									       : WSTOPSIG(status);
		return true;
	}
	return false;
}

static bool counts(const struct trace *t, pid_t pid, enum victim victim)
{
	return victim != CLONE || pid == t->clone;
}

/* Kill the victim; the others go on, and are not traced any more. */
static void kill_one(struct trace *t, pid_t stopped, pid_t victim)
{
	bool is_step;
	int sig = 0;

	kill(victim, SIGKILL);
	do {
		if (!ptrace(PTRACE_DETACH, stopped, NULL, (long)sig))
			forget(t, stopped);
	} while (next_stop(t, &stopped, &sig, &is_step));
}

long kill_at_step(pid_t pid, long limit, enum victim victim)
{
	struct trace t = {.tool = pid, .tracees = {pid}, .n = 1};
	long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL, steps = 0;
	int status, sig = 0;
	bool is_step;

	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		errx(1, "the tool does not start");
	if (victim != TOOL)
		options |= PTRACE_O_TRACECLONE;
	ptrace(PTRACE_SETOPTIONS, pid, NULL, options);
	do {
		ptrace(PTRACE_SYSCALL, pid, NULL, (long)sig);
		if (!next_stop(&t, &pid, &sig, &is_step))
			break;
		steps += is_step && counts(&t, pid, victim);
		if (steps == limit)
			kill_one(&t, pid, victim == CLONE ? t.clone : t.tool);
	} while (t.n);
	return steps;
}
