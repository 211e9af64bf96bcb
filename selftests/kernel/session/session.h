/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Helpers for the tests of PIDFD_ATTACH_SESSION.
 *
 * A test directs puppets: processes that run functions of this program when told to, and report
 * what they returned. All share one table of file descriptors, so that a pidfd that one of them
 * opens is usable in all, whatever pid namespaces they live in.
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

#ifndef PIDFS_IOCTL_MAGIC
#define PIDFS_IOCTL_MAGIC 0xFF
#endif
#ifndef PIDFD_ATTACH_SESSION
#define PIDFD_ATTACH_SESSION _IO(PIDFS_IOCTL_MAGIC, 64)
#endif
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

#define SKIP_UNSUPPORTED "the kernel has no PIDFD_ATTACH_SESSION (ENOTTY)"

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
 * The probe that is recommended to programs: for the calling process itself the call changes
 * nothing, and fails with ENOTTY only where the kernel does not know it.
 */
static inline bool attach_supported(void)
{
	int pidfd = sys_pidfd_open(getpid(), 0);
	long ret = act_attach(pidfd, 0);

	close(pidfd);
	return ret != -ENOTTY;
}

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
 * A new puppet, forked by the test itself or by the puppet @by. Returns NULL on failure, with a
 * message.
 */
static inline struct puppet *spawn(struct stage *s, const struct puppet *by, unsigned long flags)
{
	struct timeval tv = {.tv_sec = REPLY_SECONDS};
	struct puppet *p = &s->puppets[s->nr];
	int socks[2];
	long pidfd;

	if (s->nr == MAX_PUPPETS || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks))
		return NULL;
	setsockopt(socks[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	pidfd = by ? call(by, act_spawn, socks[1], flags) : act_spawn(socks[1], flags);
	if (pidfd < 0) {
		fprintf(stderr, "# spawn: %s\n", strerror(-pidfd));
		return NULL;
	}
	*p = (struct puppet){.pidfd = pidfd, .sock = socks[0], .pid = pidfd_nr(pidfd)};
	s->nr++;
	return p;
}

/* The test adopts the orphans of its puppets, and so can reap all of them at the end. */
static inline void stage_open(struct stage *s)
{
	memset(s, 0, sizeof(*s));
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static inline void stage_clear(struct stage *s)
{
	int i;

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
	/* A change of user makes a process undumpable; the refusals to test are others. */
	return prctl(PR_SET_DUMPABLE, 1) ? -errno : 0;
}

#endif
