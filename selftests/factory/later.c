// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the tool doesn't take yet: it is refused before anything is changed, by task,
 * descriptor and kind, and the target goes on as if nothing had been. CRIU knows most.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "factory/factory.h"

KIND(unix_pair, "a pair of UNIX sockets with data", .later = "sockets")
{
	char got[8];
	int fds[2];

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	MUST(write(fds[0], "data", 4));
	hold();
	CHECK_EQ(read(fds[1], got, 8), 4);
}

KIND(tcp_listener, "a listening TCP socket", .later = "sockets")
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = MUST(socket(AF_INET, SOCK_STREAM, 0)), accepting;
	socklen_t len = sizeof(accepting);

	MUST(bind(fd, (struct sockaddr *)&a, sizeof(a)));
	MUST(listen(fd, 5));
	hold();
	CHECK_EQ(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepting, &len), 0);
	CHECK_EQ(accepting, 1);
}

KIND(epoll, "an epoll descriptor that watches a pipe", .later = "epoll", .moves = "fd pipe")
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = 42};
	int fd = MUST(epoll_create1(0)), fds[2];

	MUST(pipe(fds));
	MUST(epoll_ctl(fd, EPOLL_CTL_ADD, fds[0], &ev));
	hold();
	CHECK_EQ(write(fds[1], "x", 1), 1);
	CHECK_EQ(epoll_wait(fd, &ev, 1, 1000), 1);
	CHECK_EQ(ev.data.u64, 42);
}

KIND(inotify, "an inotify watch", .later = "inotify")
{
	int fd = MUST(inotify_init1(IN_NONBLOCK));
	char got[512];

	MUST(inotify_add_watch(fd, work_dir, IN_CREATE));
	hold();
	/* What the dump itself makes there comes first. */
	while (read(fd, got, sizeof(got)) > 0)
		;
	close(make_file("new", 1, O_RDONLY));
	CHECK(read(fd, got, sizeof(got)) > 0);
}

KIND(pidfd, "a pidfd of the task itself", .later = "pidfd")
{
	int fd = MUST(syscall(SYS_pidfd_open, getpid(), 0));

	hold();
	CHECK_EQ(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), 0);
}

KIND(pty_master, "both ends of a pseudo terminal", .later = "terminals", .lost = "fd pipe")
{
	int master, slave;
	char got[8];

	MUST(openpty(&master, &slave, NULL, NULL, NULL));
	hold();
	CHECK_EQ(write(slave, "out", 3), 3);
	CHECK_EQ(read(master, got, 8), 3);
}

KIND(userfaultfd, "a userfaultfd", .later = "userfaultfd", .no_criu = "CRIU refuses it")
{
	struct uffdio_api api = {.api = UFFD_API};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0)
		skip("userfaultfd: %s", strerror(errno));
	MUST(ioctl(fd, UFFDIO_API, &api));
	hold();
	CHECK(fcntl(fd, F_GETFD) >= 0);
}

KIND(perf_event, "a perf event", .later = "perf events", .no_criu = "CRIU refuses it")
{
	struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
				       .size = sizeof(attr),
				       .config = PERF_COUNT_SW_TASK_CLOCK};
	int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);

	if (fd < 0)
		skip("perf_event_open: %s", strerror(errno));
	hold();
	CHECK(fcntl(fd, F_GETFD) >= 0);
}

KIND(io_uring, "an io_uring", .later = "io_uring", .no_criu = "CRIU refuses it")
{
	struct io_uring_params p = {};
	int fd = syscall(SYS_io_uring_setup, 4, &p);

	if (fd < 0)
		skip("io_uring_setup: %s", strerror(errno));
	hold();
	CHECK(fcntl(fd, F_GETFD) >= 0);
}

KIND(namespace_fd, "a descriptor of a namespace", .later = "namespace descriptors")
{
	int fd = MUST(open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC));

	hold();
	CHECK_EQ(setns(fd, CLONE_NEWUTS), 0);
}

KIND(proc_fd, "a file of /proc about the task", .later = "files of /proc")
{
	int fd = MUST(open("/proc/self/status", O_RDONLY | O_CLOEXEC));
	char got[16] = {};

	hold();
	CHECK_EQ(pread(fd, got, 5, 0), 5);
	CHECK(!strcmp(got, "Name:"));
}

KIND(utsns, "a task in a UTS namespace of its own", .later = "namespaces", .lost = "ns/uts")
{
	char name[65];

	MUST(unshare(CLONE_NEWUTS));
	MUST(sethostname("stasis-test", 11));
	hold();
	CHECK_EQ(gethostname(name, sizeof(name)), 0);
	CHECK(!strcmp(name, "stasis-test"));
}

KIND(mntns, "a task in a mount namespace of its own", .later = "namespaces",
     .no_criu = "CRIU can't tell the mounts of this machine apart in every case")
{
	MUST(unshare(CLONE_NEWNS));
	hold();
	CHECK_EQ(access("/proc/self", F_OK), 0);
}

KIND(memory_of_another, "/proc/PID/mem of another task", .later = "files of /proc",
     .no_criu = "CRIU refuses it")
{
	int fd = MUST(open("/proc/1/mem", O_RDONLY | O_CLOEXEC));

	hold();
	CHECK(fcntl(fd, F_GETFD) >= 0);
}
