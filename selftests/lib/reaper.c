// SPDX-License-Identifier: GPL-2.0-only
/*
 * reaper COMMAND...: run a test as the second process of a pid namespace of its own.
 *
 * The namespace's init reaps at once, so that a dumped task's pid is free again when
 * it is restored, and whatever the test leaves behind dies with it. /proc is the
 * namespace's; /run is an empty tmpfs, where CRIU may cache what it knows of the kernel.
 * With --subreaper nothing is made but the reaper: for what uses a terminal.
 * Exit status: the command's, 128+N for death by signal N.
 */
#include <err.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_SKIP 4 /* as KSFT_SKIP */

static int status_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Reap everything until @pid is reaped; its status as an exit code. */
static int reap_until(pid_t pid)
{
	for (;;) {
		int status;
		pid_t got = wait(&status);

		if (got == pid)
			return status_code(status);
		if (got < 0 && errno != EINTR)
			err(1, "wait");
	}
}

static void mount_own(void)
{
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		err(1, "make / private");
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		err(1, "mount /proc");
	if (mount("run", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") < 0)
		err(1, "mount /run");
}

static int run_command(char **argv, bool session)
{
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (pid == 0) {
		if (session)
			setsid();
		execvp(argv[0], argv);
		err(127, "exec %s", argv[0]);
	}
	return reap_until(pid);
}

static int run_init(char **argv)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	mount_own();
	return run_command(argv, true);
}

int main(int argc, char **argv)
{
	pid_t pid;

	if (argc < 2 || !strcmp(argv[1], "--help")) {
		puts("usage: reaper [--subreaper] COMMAND [ARG]...\n"
		     "Run COMMAND in a pid namespace of its own, with an init that reaps;\n"
		     "--subreaper: in this one, and only reap.");
		return argc < 2 ? 2 : 0;
	}
	if (argc > 2 && !strcmp(argv[1], "--subreaper")) {
		if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
			err(1, "PR_SET_CHILD_SUBREAPER");
		signal(SIGINT, SIG_IGN); /* the command's to handle */
		return run_command(argv + 2, false);
	}
	if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0) {
		printf("1..0 # SKIP a pid namespace needs root: %s\n", strerror(errno));
		return EXIT_SKIP;
	}
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (pid == 0)
		_exit(run_init(argv + 1));
	return reap_until(pid);
}
