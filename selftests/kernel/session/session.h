/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Helpers for the tests of PIDFD_ATTACH_SESSION.
 *
 * A test directs puppets: processes that run functions of this program when told to, and report
 * what they returned. All share one table of file descriptors, so that a pidfd that one of them
 * opens is usable in all, whatever pid namespaces they live in. A guard ends them with the test,
 * however that ends: they would hold its output open, and a runner wait for them for ever.
 */
#ifndef SELFTESTS_SESSION_H
#define SELFTESTS_SESSION_H

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <linux/types.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pidfd_session.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif
#ifndef P_PIDFD
#define P_PIDFD 3
#endif
#ifndef CAP_CHECKPOINT_RESTORE
#define CAP_CHECKPOINT_RESTORE 40
#endif

#define CAP(x)	      (1ULL << (x))
#define REPLY_SECONDS 20
#define MAX_PUPPETS   24
#define OWNER_FD      500 /* the pidfd of the test, above all others */

/* The functions that puppets run: return 0, a value, or a negative errno. */
typedef long (*act_fn)(long a, long b);

struct order {
	act_fn fn;
	long a, b;
};

struct puppet {
	pid_t pid; /* in the pid namespace of the test */
	int pidfd;
	int sock;
};

struct stage {
	struct puppet puppets[MAX_PUPPETS];
	int nr;
	pid_t guard;
};

struct ids {
	char state;
	int ppid, pgrp, sid, tty;
};

static inline int sys_pidfd_open(pid_t pid, unsigned int flags)
{
	return syscall(SYS_pidfd_open, pid, flags);
}

static inline int sys_pidfd_send_signal(int pidfd, int sig)
{
	return syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0);
}

static inline long act_attach(long pidfd, long arg)
{
	return ioctl(pidfd, PIDFD_ATTACH_SESSION, arg) < 0 ? -errno : 0;
}

/*
 * Why nothing can be tested here, NULL if it can. This is the probe that is recommended to
 * programs: for the calling process itself the call changes nothing, and fails with ENOTTY only
 * where the kernel does not know it. A process of its own asks, since the test may be a leader.
 */
static inline const char *attach_obstacle(bool privileged)
{
	pid_t pid = fork();
	int status = 0;

	if (!pid)
		_exit(-act_attach(sys_pidfd_open(getpid(), 0), 0));
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return "the probe cannot be forked";
	if (WEXITSTATUS(status) == ENOTTY)
		return "the kernel has no PIDFD_ATTACH_SESSION (ENOTTY)";
	if (WEXITSTATUS(status) == EPERM && privileged)
		return "needs CAP_CHECKPOINT_RESTORE over its own pid namespace (EPERM)";
	return NULL;
}

#define SKIP_ATTACH_OBSTACLE(privileged)                       \
	do {                                                   \
		const char *why = attach_obstacle(privileged); \
		if (why)                                       \
			SKIP(return, "%s", why);               \
	} while (0)

static inline void __attribute__((noreturn)) puppet_main(int sock)
{
	struct order o;
	long ret;

	while (recv(sock, &o, sizeof(o), 0) == sizeof(o)) {
		ret = o.fn(o.a, o.b);
		if (send(sock, &ret, sizeof(ret), MSG_NOSIGNAL) != sizeof(ret))
			break;
	}
	_exit(0);
}

/* Forks a puppet that listens on @sock; @flags are clone3() flags to add. Returns a pidfd. */
static inline long act_spawn(long sock, long flags)
{
	int pidfd = -1;
	struct clone_args args = {
		.flags = CLONE_FILES | CLONE_PIDFD | (unsigned long)flags,
		.pidfd = (uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	pid_t pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid < 0)
		return -errno;
	if (!pid)
		puppet_main(sock);
	return pidfd;
}

/* Starts @fn in the puppet without waiting for the end. */
static inline long tell(const struct puppet *p, act_fn fn, long a, long b)
{
	struct order o = {.fn = fn, .a = a, .b = b};

	return send(p->sock, &o, sizeof(o), MSG_NOSIGNAL) == sizeof(o) ? 0 : -errno;
}

static inline long reply(const struct puppet *p)
{
	long ret;

	return recv(p->sock, &ret, sizeof(ret), 0) == sizeof(ret) ? ret : -ETIMEDOUT;
}

static inline long call(const struct puppet *p, act_fn fn, long a, long b)
{
	long ret = tell(p, fn, a, b);

	return ret ? ret : reply(p);
}

/* The pid that a pidfd stands for as the test sees it: -1 if it is gone, 0 if it is invisible. */
static inline pid_t pidfd_nr(int pidfd)
{
	char path[64], line[128];
	pid_t pid = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "Pid: %d", &pid);
	if (f)
		fclose(f);
	return pid;
}

/*
 * A new puppet, forked by the test itself or by the puppet @by, which runs @how. Returns NULL on
 * failure, with a message.
 */
static inline struct puppet *spawn_by(struct stage *s, const struct puppet *by, act_fn how,
				      unsigned long flags)
{
	struct timeval tv = {.tv_sec = REPLY_SECONDS};
	struct puppet *p = &s->puppets[s->nr];
	int socks[2];
	long pidfd;

	if (s->nr == MAX_PUPPETS || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks))
		return NULL;
	setsockopt(socks[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	pidfd = by ? call(by, how, socks[1], flags) : how(socks[1], flags);
	if (pidfd < 0) {
		fprintf(stderr, "# spawn: %s\n", strerror(-pidfd));
		return NULL;
	}
	*p = (struct puppet){.pidfd = pidfd, .sock = socks[0], .pid = pidfd_nr(pidfd)};
	s->nr++;
	return p;
}

static inline struct puppet *spawn(struct stage *s, const struct puppet *by, unsigned long flags)
{
	return spawn_by(s, by, act_spawn, flags);
}

/* Kills whom a pidfd in the table stands for, twice since one of them may just be forking. */
static inline void __attribute__((noreturn)) guard_main(void)
{
	struct pollfd owner = {.fd = OWNER_FD, .events = POLLIN};
	int round, fd;

	setsid();
	while (poll(&owner, 1, -1) != 1)
		;
	for (round = 0; round < 2; round++) {
		for (fd = 0; fd < OWNER_FD; fd++)
			sys_pidfd_send_signal(fd, SIGKILL);
		usleep(20000);
	}
	_exit(0);
}

/* The test adopts the orphans of its puppets, and so can reap all of them at the end. */
static inline bool stage_open(struct stage *s)
{
	struct clone_args args = {.flags = CLONE_FILES, .exit_signal = SIGCHLD};
	int pidfd = sys_pidfd_open(getpid(), 0);

	memset(s, 0, sizeof(*s));
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) || dup3(pidfd, OWNER_FD, O_CLOEXEC) != OWNER_FD)
		return false;
	close(pidfd);
	s->guard = syscall(SYS_clone3, &args, sizeof(args));
	if (!s->guard)
		guard_main();
	return s->guard > 0;
}

static inline void stage_clear(struct stage *s)
{
	int i;

	if (s->guard > 0)
		kill(s->guard, SIGKILL);
	for (i = 0; i < s->nr; i++)
		sys_pidfd_send_signal(s->puppets[i].pidfd, SIGKILL);
	while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
		;
}

static inline bool read_ids(pid_t pid, struct ids *ids)
{
	char path[64], buf[1024], *p;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return false;
	buf[n] = 0;
	p = strrchr(buf, ')');
	return p && sscanf(p + 2, "%c %d %d %d %d", &ids->state, &ids->ppid, &ids->pgrp, &ids->sid,
			   &ids->tty) == 5;
}

/* Session, group and terminal of @a and @b, or of one process at two times, are the same. */
static inline bool same_ids(const struct ids *a, const struct ids *b)
{
	return a->sid == b->sid && a->pgrp == b->pgrp && a->tty == b->tty;
}

/* Kills a child of the test and leaves it a zombie. */
static inline int make_zombie(const struct puppet *p)
{
	siginfo_t info;

	sys_pidfd_send_signal(p->pidfd, SIGKILL);
	return waitid(P_PIDFD, p->pidfd, &info, WEXITED | WNOWAIT);
}

static inline long act_reap(long pidfd, long unused)
{
	siginfo_t info;

	(void)unused;
	return waitid(P_PIDFD, pidfd, &info, WEXITED) ? -errno : 0;
}

static inline int kill_and_reap(const struct puppet *p)
{
	sys_pidfd_send_signal(p->pidfd, SIGKILL);
	return act_reap(p->pidfd, 0);
}

static inline long act_setsid(long a, long b)
{
	(void)a;
	(void)b;
	return setsid() < 0 ? -errno : 0;
}

static inline long act_setpgid(long pid, long pgid)
{
	return setpgid(pid, pgid) ? -errno : 0;
}

static inline long act_tcgetpgrp(long fd, long unused)
{
	pid_t pgrp = tcgetpgrp(fd);

	(void)unused;
	return pgrp < 0 ? -errno : pgrp;
}

static inline long act_tcsetpgrp(long fd, long pgrp)
{
	return tcsetpgrp(fd, pgrp) ? -errno : 0;
}

static inline long act_getsid(long pid, long unused)
{
	(void)unused;
	return getsid(pid);
}

static inline long act_getpgid(long pid, long unused)
{
	(void)unused;
	return getpgid(pid);
}

/* Keeps the capabilities in the mask @caps and changes to user and group @uid. */
static inline long act_become(long uid, long caps)
{
	struct __user_cap_header_struct hdr = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {
		{.effective = (__u32)caps, .permitted = (__u32)caps},
		{.effective = (unsigned long)caps >> 32, .permitted = (unsigned long)caps >> 32},
	};

	/* The raw calls: those of the C library are meant for all threads. */
	if (prctl(PR_SET_KEEPCAPS, 1) || syscall(SYS_setgroups, 0, NULL) ||
	    syscall(SYS_setresgid, uid, uid, uid) || syscall(SYS_setresuid, uid, uid, uid) ||
	    syscall(SYS_capset, &hdr, data))
		return -errno;
	/* The refusals to test are not those of Yama. */
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	/* A change of user makes a process undumpable; the refusals to test are others. */
	return prctl(PR_SET_DUMPABLE, 1) ? -errno : 0;
}

static inline long act_undumpable(long a, long b)
{
	(void)a;
	(void)b;
	return prctl(PR_SET_DUMPABLE, 0) ? -errno : 0;
}

/* Yama leaves the right to trace to CAP_SYS_PTRACE alone, or to nobody. */
static inline bool yama_forbids(void)
{
	int fd = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);
	char c = '0';

	if (fd >= 0 && read(fd, &c, 1) != 1)
		c = '0';
	close(fd);
	return c >= '2';
}

#define SKIP_UNLESS_UNPRIVILEGED_TRACE()                                                      \
	do {                                                                                  \
		if (geteuid())                                                                \
			SKIP(return, "needs root in order to change users and capabilities"); \
		if (yama_forbids())                                                           \
			SKIP(return, "kernel.yama.ptrace_scope >= 2: only root may trace");   \
	} while (0)

static inline bool read_autogroup(pid_t pid, char *buf, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/autogroup", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, buf, size - 1);
	close(fd);
	buf[n > 0 ? n : 0] = 0;
	return n > 0;
}

static inline bool has_died(const struct puppet *p)
{
	struct pollfd pfd = {.fd = p->pidfd, .events = POLLIN};

	return poll(&pfd, 1, REPLY_SECONDS * 1000) == 1;
}

#endif
