// SPDX-License-Identifier: GPL-2.0-only
/*
 * timed FILE COMMAND...: run a command; FILE gets its seconds, peak resident KiB and exit
 * status. Its peak is its own: a child of a large program begins with that program's.
 */
#include <err.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct timespec began, ended;
	struct rusage usage;
	FILE *out;
	int status;
	pid_t pid;

	if (argc < 3)
		errx(2, "usage: timed FILE COMMAND...");
	clock_gettime(CLOCK_MONOTONIC, &began);
	pid = fork();
	if (pid == 0) {
		execvp(argv[2], argv + 2);
		err(127, "%s", argv[2]);
	}
	if (pid < 0 || wait4(pid, &status, 0, &usage) != pid)
		err(1, "wait4");
	clock_gettime(CLOCK_MONOTONIC, &ended);
	out = fopen(argv[1], "w");
	if (!out)
		err(1, "%s", argv[1]);
	fprintf(out, "%.6f %ld %d\n",
		ended.tv_sec - began.tv_sec + (ended.tv_nsec - began.tv_nsec) / 1e9,
		usage.ru_maxrss,
		WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
	return fclose(out) ? 1 : 0;
}
