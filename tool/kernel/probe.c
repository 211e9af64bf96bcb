// SPDX-License-Identifier: GPL-2.0-only
/* What several probes need. */
#include "kernel/probe.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

int probe_path(const char *path)
{
	return probe_call(access(path, F_OK));
}

int probe_child(int (*setup)(void), pid_t *ret)
{
	int ready[2], r = 0;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		r = setup ? setup() : 0;
		if (write(ready[1], &r, sizeof(r)) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (read(ready[0], &r, sizeof(r)) != sizeof(r))
		r = -ECHILD;
	close(ready[0]);
	if (!r)
		*ret = pid;
	return r;
}

int probe_tracee(int (*setup)(void), pid_t *ret)
{
	pid_t pid;
	int r = probe_child(setup, &pid);

	if (r)
		return r;
	if (ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_EXITKILL) || ptrace(PTRACE_INTERRUPT, pid, 0, 0))
		return -errno;
	if (waitpid(pid, NULL, 0) < 0)
		return -errno;
	*ret = pid;
	return 0;
}

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), r = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		r = -errno;
	close(fd);
	return r;
}

int probe_be_root(void)
{
	unsigned int uid = geteuid(), gid = getegid();
	char map[40];

	if (!uid)
		return 0;
	if (unshare(CLONE_NEWUSER))
		return -EPERM;
	put("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", uid);
	if (put("/proc/self/uid_map", map))
		return -EPERM;
	snprintf(map, sizeof(map), "0 %u 1", gid);
	return put("/proc/self/gid_map", map) ? -EPERM : 0;
}

int probe_text(const char *path, const char *what)
{
	char buf[8192];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n < 0)
		return -errno;
	buf[n] = 0;
	return strstr(buf, what) ? 0 : -EOPNOTSUPP;
}

int probe_fdinfo(int fd, const char *what)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return probe_text(path, what);
}
