/* SPDX-License-Identifier: GPL-2.0-only */
/* Helpers for the tests of pid namespaces that have no init yet. */
#ifndef SELFTESTS_PIDNS_H
#define SELFTESTS_PIDNS_H

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <linux/types.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* A pid that tests choose and that is hardly in use. */
#define CHOSEN 31337

/*
 * Forks. @flags: clone3() flags; @set_tid: numbers from the innermost namespace outward. Returns
 * a negative errno.
 */
static inline pid_t fork_at(unsigned long flags, const pid_t *set_tid, size_t nr)
{
	struct clone_args args = {
		.flags = flags,
		.exit_signal = SIGCHLD,
		.set_tid = (uintptr_t)set_tid,
		.set_tid_size = nr,
	};
	pid_t pid = syscall(SYS_clone3, &args, sizeof(args));

	return pid < 0 ? -errno : pid;
}

/*
 * A fork that fails late, when the pid has been allocated already: the pidfd cannot be stored.
 * Returns a negative errno.
 */
static inline pid_t fork_that_faults(void)
{
	struct clone_args args = {
		.flags = CLONE_PIDFD,
		.exit_signal = SIGCHLD,
		.pidfd = 8, /* nothing is mapped there */
	};
	pid_t pid = syscall(SYS_clone3, &args, sizeof(args));

	if (!pid)
		_exit(0);
	return pid < 0 ? -errno : pid;
}

/* Whether the caller may choose numbers in the namespace it is in. */
static inline bool may_choose_pids(void)
{
	pid_t self = getpid();

	/* In use, but the capability is asked for first. */
	return fork_at(0, &self, 1) == -EEXIST;
}

/* Waits to be killed, which the end of its parent does as well. */
static inline void __attribute__((noreturn)) stay(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

/* Waits for a child and returns its exit status, or 128 and the signal. */
static inline int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, __WALL) != pid) {
		if (errno != EINTR)
			return -1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/*
 * Kills and reaps all children of the calling thread: with PR_SET_CHILD_SUBREAPER, whatever a test
 * has left.
 */
static inline void reap_children(void)
{
	char path[64], buf[1024], *p, *end;
	ssize_t n;
	pid_t pid;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)syscall(SYS_gettid));
	do {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
		buf[n > 0 ? n : 0] = 0;
		if (fd >= 0)
			close(fd);
		for (p = buf; (pid = strtol(p, &end, 10)) > 0; p = end)
			kill(pid, SIGKILL);
	} while (waitpid(-1, NULL, __WALL) > 0);
}

static inline int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

static inline int open_ns(pid_t pid, const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/*
 * The numbers of a process by its /proc/PID/status, from the outermost namespace that this /proc
 * shows inward.
 */
static inline int read_nspid(const char *path, pid_t *nr, int max)
{
	char line[256], *p = NULL;
	FILE *f = fopen(path, "re");
	int n = 0, used;

	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "NSpid:", 6)) {
			p = line + 6;
			while (n < max && sscanf(p, "%d%n", &nr[n], &used) == 1) {
				p += used;
				n++;
			}
			break;
		}
	}
	if (f)
		fclose(f);
	return n;
}

/*
 * A process that has unshared @flags and waits: the holder of an empty pid namespace. It has a
 * number in the namespace that the test is in, and one @sock by which it is told to do one thing
 * more.
 */
struct holder {
	pid_t pid;
	int sock;
};

typedef long (*holder_fn)(long arg);

struct holder_order {
	holder_fn fn;
	long arg;
};

static inline void __attribute__((noreturn)) holder_main(int sock, unsigned long flags)
{
	long ret = unshare(flags) ? -errno : 0;
	struct holder_order o;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (send(sock, &ret, sizeof(ret), MSG_NOSIGNAL) == sizeof(ret) &&
	       recv(sock, &o, sizeof(o), 0) == sizeof(o))
		ret = o.fn(o.arg);
	_exit(0);
}

static inline long holder_reply(const struct holder *h)
{
	long ret;

	return recv(h->sock, &ret, sizeof(ret), 0) == sizeof(ret) ? ret : -ETIMEDOUT;
}

static inline long holder_call(const struct holder *h, holder_fn fn, long arg)
{
	struct holder_order o = {.fn = fn, .arg = arg};

	return send(h->sock, &o, sizeof(o), MSG_NOSIGNAL) == sizeof(o) ? holder_reply(h) : -errno;
}

/* Returns 0 or a negative errno. */
static inline long holder_start(struct holder *h, unsigned long flags)
{
	struct timeval tv = {.tv_sec = 60};
	int socks[2];
	long ret;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks))
		return -errno;
	setsockopt(socks[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	h->sock = socks[0];
	h->pid = fork();
	if (h->pid < 0)
		return -errno;
	if (!h->pid) {
		close(socks[0]);
		holder_main(socks[1], flags);
	}
	close(socks[1]);
	ret = holder_reply(h);
	if (ret) {
		close(h->sock);
		wait_for(h->pid);
		h->pid = 0;
	}
	return ret;
}

static inline void holder_stop(struct holder *h)
{
	if (h->pid <= 0)
		return;
	kill(h->pid, SIGKILL);
	wait_for(h->pid);
	close(h->sock);
	h->pid = 0;
}

static inline bool has_sys_admin(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct cap[2] = {0};

	return !syscall(SYS_capget, &head, cap) && cap[0].effective & 1U << CAP_SYS_ADMIN;
}

/*
 * Entering a pid namespace takes CAP_SYS_ADMIN in one's own user namespace: one who lacks it
 * becomes root of a new one. Returns 0 or a negative errno.
 */
static inline int become_able(void)
{
	unsigned int uid = geteuid(), gid = getegid();
	char map[32];
	int ret;

	if (has_sys_admin())
		return 0;
	if (unshare(CLONE_NEWUSER))
		return -errno;
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", gid);
	ret = write_file("/proc/self/gid_map", map);
	snprintf(map, sizeof(map), "0 %u 1", uid);
	return ret ?: write_file("/proc/self/uid_map", map);
}

/*
 * Prepares the calling process for a test and looks whether the kernel has what is tested. Returns
 * 0 or a negative errno, with *@skip set to what is missing if that is no failure.
 */
static inline long pidns_prepare(const char **skip)
{
	struct holder h = {0};
	long ret = become_able();

	*skip = "no CAP_SYS_ADMIN, and no user namespace to have it in";
	if (ret)
		return ret;
	*skip = "cannot unshare a pid namespace";
	ret = holder_start(&h, CLONE_NEWPID);
	if (ret)
		return ret;
	ret = open_ns(h.pid, "pid_for_children");
	holder_stop(&h);
	*skip = ret == -ENOENT ? "pid_for_children of a namespace without init cannot be opened"
			       : NULL;
	if (ret < 0)
		return ret;
	close(ret);
	return prctl(PR_SET_CHILD_SUBREAPER, 1) ? -errno : 0;
}

/* For FIXTURE_SETUP. */
#define PIDNS_PREPARE()                                                 \
	do {                                                            \
		const char *skip_;                                      \
		long err_ = pidns_prepare(&skip_);                      \
		if (err_ && skip_)                                      \
			SKIP(return, "%s: %s", skip_, strerror(-err_)); \
		ASSERT_EQ(0, err_);                                     \
	} while (0)

#endif
