/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A fork that stops midway: after its pid has been allocated, and before the child is there. The
 * pidfd goes to a page that is missing until the test provides it (userfaultfd); the kernel holds
 * no locks while it waits for that.
 */
#ifndef SELFTESTS_PIDNS_STALL_H
#define SELFTESTS_PIDNS_STALL_H

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include "pidns.h"

/*
 * task       forks, says what came of it, and stays
 * sock       by which it says so
 * uffd       of its missing page
 * page       the address of that
 */
struct stall {
	pid_t task;
	int sock, uffd;
	uint64_t page;
};

/* Returns a page that is missing, with the userfaultfd that provides it, or NULL and errno. */
static inline void *missing_page(int *uffd)
{
	struct uffdio_register reg = {.mode = UFFDIO_REGISTER_MODE_MISSING};
	struct uffdio_api api = {.api = UFFD_API};
	long size = sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	reg.range.start = (uintptr_t)page;
	reg.range.len = size;
	*uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (page == MAP_FAILED || *uffd < 0 || ioctl(*uffd, UFFDIO_API, &api) ||
	    ioctl(*uffd, UFFDIO_REGISTER, &reg))
		return NULL;
	return page;
}

static inline void __attribute__((noreturn))
stall_main(int sock, int ns, const pid_t *set_tid, size_t nr)
{
	struct clone_args args = {
		.flags = CLONE_PIDFD,
		.exit_signal = SIGCHLD,
		.set_tid = (uintptr_t)set_tid,
		.set_tid_size = nr,
	};
	int uffd = -1;
	void *page = setns(ns, CLONE_NEWPID) ? NULL : missing_page(&uffd);
	long ret = page ? uffd : -errno;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (send(sock, &ret, sizeof(ret), MSG_NOSIGNAL) != sizeof(ret) || !page)
		_exit(1);
	args.pidfd = (uintptr_t)page;
	ret = syscall(SYS_clone3, &args, sizeof(args));
	if (!ret)
		stay();
	if (ret < 0)
		ret = -errno;
	if (send(sock, &ret, sizeof(ret), MSG_NOSIGNAL) != sizeof(ret))
		_exit(1);
	stay();
}

/*
 * Starts a task that forks into @ns, with numbers of its own choice or not, and returns when it is
 * midway. Returns 0 or a negative errno.
 */
static inline long stall_start(struct stall *s, int ns, const pid_t *set_tid, size_t nr)
{
	struct timeval tv = {.tv_sec = 60};
	struct uffd_msg msg;
	struct pollfd pfd;
	int socks[2], pidfd;
	long fd;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks))
		return -errno;
	setsockopt(socks[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	s->task = fork();
	if (s->task < 0)
		return -errno;
	if (!s->task)
		stall_main(socks[1], ns, set_tid, nr);
	close(socks[1]);
	s->sock = socks[0];
	if (recv(s->sock, &fd, sizeof(fd), 0) != sizeof(fd))
		return -ETIMEDOUT;
	if (fd < 0)
		return fd;
	pidfd = syscall(SYS_pidfd_open, s->task, 0);
	s->uffd = syscall(SYS_pidfd_getfd, pidfd, (int)fd, 0);
	if (s->uffd < 0)
		return -errno;
	close(pidfd);
	pfd = (struct pollfd){.fd = s->uffd, .events = POLLIN};
	if (poll(&pfd, 1, 60000) != 1 || read(s->uffd, &msg, sizeof(msg)) != sizeof(msg) ||
	    msg.event != UFFD_EVENT_PAGEFAULT)
		return -ETIMEDOUT;
	s->page = msg.arg.pagefault.address & -sysconf(_SC_PAGESIZE);
	return 0;
}

/* Lets it go on. Returns what clone3() did: the child as seen by the test, or a negative errno. */
static inline long stall_finish(struct stall *s)
{
	static const char zero[65536] __attribute__((aligned(65536)));
	struct uffdio_copy copy = {
		.dst = s->page,
		.src = (uintptr_t)zero,
		.len = sysconf(_SC_PAGESIZE),
	};
	long ret;

	if (ioctl(s->uffd, UFFDIO_COPY, &copy))
		return -errno;
	return recv(s->sock, &ret, sizeof(ret), 0) == sizeof(ret) ? ret : -ETIMEDOUT;
}

/* The task dies midway. */
static inline void stall_kill(struct stall *s)
{
	kill(s->task, SIGKILL);
	wait_for(s->task);
}

#endif
