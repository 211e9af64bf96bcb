// SPDX-License-Identifier: GPL-2.0-only
/* Descriptors of files, directories and devices, and how they are shared. */
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "factory/factory.h"

static bool same_description(int a, int b)
{
	return syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILE, a, b) == 0;
}

KIND(file, "a regular file at a position")
{
	int fd = make_file("data", 5000, O_RDWR | O_CLOEXEC);
	char got[100], want[100];

	MUST(pread(fd, want, 100, 1234));
	MUST(lseek(fd, 1234, SEEK_SET));
	hold();
	CHECK_EQ(read(fd, got, 100), 100);
	CHECK(!memcmp(got, want, 100));
}

KIND(file_flags, "regular files with every flag that stays")
{
	static const int flags[] = {O_RDONLY,
				    O_WRONLY,
				    O_RDWR | O_APPEND,
				    O_RDWR | O_NONBLOCK,
				    O_RDWR | O_SYNC,
				    O_RDWR | O_DSYNC,
				    O_RDONLY | O_NOATIME,
				    O_RDWR | O_DIRECT,
				    O_RDONLY | O_CLOEXEC};
	int fd[9], want[9];

	for (int i = 0; i < 9; i++) {
		fd[i] = make_file("data", 5000, flags[i]);
		want[i] = MUST(fcntl(fd[i], F_GETFL));
	}
	hold();
	for (int i = 0; i < 9; i++)
		CHECK_EQ(fcntl(fd[i], F_GETFL), want[i]);
	CHECK_EQ(fcntl(fd[8], F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(fd[7], F_GETFD), 0);
	CHECK_EQ(write(fd[2], "end", 3), 3);
	CHECK_EQ(lseek(fd[2], 0, SEEK_CUR), 5003);
}

KIND(file_owner, "owners of descriptors: a process, a group, a thread, other signals")
{
	int a = make_file("data", 10, O_RDWR), fds[2], fds2[2];
	struct f_owner_ex ex = {.type = F_OWNER_TID, .pid = gettid()}, got;

	MUST(pipe(fds));
	MUST(pipe(fds2));
	MUST(fcntl(a, F_SETOWN, getpid()));
	MUST(fcntl(fds[0], F_SETOWN, -getpgrp()));
	MUST(fcntl(fds[0], F_SETSIG, SIGRTMIN + 3));
	MUST(fcntl(fds2[0], F_SETOWN_EX, &ex));
	hold();
	CHECK_EQ(fcntl(a, F_GETOWN), getpid());
	CHECK_EQ(fcntl(a, F_GETSIG), 0);
	CHECK_EQ(fcntl(fds[0], F_GETOWN_EX, &got), 0);
	CHECK(got.type == F_OWNER_PGRP && got.pid == getpgrp());
	CHECK_EQ(fcntl(fds[0], F_GETSIG), SIGRTMIN + 3);
	CHECK_EQ(fcntl(fds2[0], F_GETOWN_EX, &got), 0);
	CHECK(got.type == F_OWNER_TID && got.pid == gettid());
}

KIND(file_async, "a pipe that signals its owner (O_ASYNC)")
{
	sigset_t set;
	int fds[2];

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 4);
	sigprocmask(SIG_BLOCK, &set, NULL);
	MUST(pipe(fds));
	MUST(fcntl(fds[0], F_SETOWN, getpid()));
	MUST(fcntl(fds[0], F_SETSIG, SIGRTMIN + 4));
	MUST(fcntl(fds[0], F_SETFL, O_ASYNC));
	hold();
	CHECK_EQ(write(fds[1], "x", 1), 1);
	CHECK_EQ(sigwaitinfo(&set, NULL), SIGRTMIN + 4);
}

KIND(o_path, "a file, a directory and a symbolic link opened with O_PATH", .lost = "fd pipe")
{
	int a, b, c;
	char target[64] = {};

	close(make_file("data", 10, O_RDONLY));
	MUST(symlink("data", in_work("link")));
	a = MUST(open(in_work("data"), O_PATH | O_CLOEXEC));
	b = MUST(open(work_dir, O_PATH | O_DIRECTORY | O_CLOEXEC));
	c = MUST(open(in_work("link"), O_PATH | O_NOFOLLOW | O_CLOEXEC));
	hold();
	CHECK(read(a, target, 1) < 0 && errno == EBADF);
	CHECK_EQ(faccessat(b, "data", R_OK, 0), 0);
	CHECK_EQ(readlinkat(c, "", target, sizeof(target)), 4);
	CHECK(!strcmp(target, "data"));
}

KIND(deleted, "a deleted file with its contents, owner and mode")
{
	int fd = make_file("gone", 10000, O_RDWR | O_CLOEXEC);
	char want[10000], got[10000];
	struct stat st;

	MUST(fchmod(fd, 0640));
	MUST(fchown(fd, 1001, 1002));
	MUST(pread(fd, want, sizeof(want), 0));
	MUST(lseek(fd, 77, SEEK_SET));
	MUST(unlink(in_work("gone")));
	hold();
	CHECK_EQ(pread(fd, got, sizeof(got), 0), sizeof(got));
	CHECK(!memcmp(got, want, sizeof(got)));
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_mode, S_IFREG | 0640);
	CHECK(st.st_uid == 1001 && st.st_gid == 1002);
	CHECK_EQ(st.st_nlink, 0);
	CHECK(access(in_work("gone"), F_OK) < 0);
}

KIND(deleted_shared, "one deleted file by several descriptions and tasks")
{
	int a = make_file("gone", 100, O_RDWR | O_CLOEXEC);
	int b = MUST(open(in_work("gone"), O_WRONLY | O_CLOEXEC));
	struct gate g = gate_make();
	pid_t pid;
	char c;

	MUST(unlink(in_work("gone")));
	pid = MUST(fork());
	if (pid == 0) {
		gate_pass(&g);
		hold_peer();
		_exit(pwrite(b, "Z", 1, 50) == 1 ? 0 : 1);
	}
	gate_wait(&g, 1);
	hold();
	reap_good(pid);
	CHECK_EQ(pread(a, &c, 1, 50), 1);
	CHECK_EQ(c, 'Z');
}

/* The name that the kernel shows for it is another then: nobody's file is moved out of the way. */
KIND(deleted_name_taken, "a deleted file whose name another file has now", .lost = "fd pipe",
     .moves = "fd")
{
	int old = make_file("name", 100, O_RDWR | O_CLOEXEC), new;
	struct stat a, b;
	char c;

	MUST(pwrite(old, "o", 1, 0));
	MUST(unlink(in_work("name")));
	new = make_file("name", 200, O_RDWR | O_CLOEXEC);
	MUST(pwrite(new, "n", 1, 0));
	hold();
	CHECK(pread(old, &c, 1, 0) == 1 && c == 'o');
	CHECK(pread(new, &c, 1, 0) == 1 && c == 'n');
	CHECK(fstat(new, &a) == 0 && stat(in_work("name"), &b) == 0 && a.st_ino == b.st_ino);
}

KIND(hard_linked, "a deleted name of a file that has another one", .options = "--link-remap")
{
	int fd = make_file("name", 100, O_RDWR | O_CLOEXEC);
	struct stat st;

	MUST(link(in_work("name"), in_work("other")));
	MUST(unlink(in_work("name")));
	hold();
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_nlink, 1);
	CHECK(access(in_work("other"), F_OK) == 0);
}

KIND(directory, "a directory, read half way", .lost = "fd pipe")
{
	char a[4096], b[4096];
	long n, m;
	int fd;

	MUST(mkdir(in_work("dir"), 0755));
	fd = MUST(open(in_work("dir"), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	for (int i = 0; i < 40; i++) {
		char name[16];

		snprintf(name, sizeof(name), "dir/f%d", i);
		close(make_file(name, 1, O_RDONLY));
	}
	MUST(syscall(SYS_getdents64, fd, a, 512));
	n = lseek(fd, 0, SEEK_CUR);
	hold();
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), n);
	n = syscall(SYS_getdents64, fd, a, 512);
	lseek(fd, 0, SEEK_SET);
	syscall(SYS_getdents64, fd, b, 512);
	m = syscall(SYS_getdents64, fd, b, 512);
	CHECK(n > 0 && n == m && !memcmp(a, b, n));
}

KIND(directory_deleted, "a deleted directory", .lost = "fd pipe")
{
	int fd;
	struct stat st;

	MUST(mkdir(in_work("gone"), 0750));
	fd = MUST(open(in_work("gone"), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	MUST(rmdir(in_work("gone")));
	hold();
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_mode, S_IFDIR | 0750);
	CHECK_EQ(st.st_nlink, 0);
}

KIND(devices, "devices without state of their own")
{
	static const char *const paths[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random",
					    "/dev/urandom"};
	struct stat before[5], after;
	int fd[5];
	char c = 1;

	for (int i = 0; i < 5; i++) {
		fd[i] = MUST(open(paths[i], i == 0 ? O_WRONLY : O_RDWR));
		MUST(fstat(fd[i], &before[i]));
	}
	hold();
	for (int i = 0; i < 5; i++) {
		CHECK_EQ(fstat(fd[i], &after), 0);
		CHECK(after.st_rdev == before[i].st_rdev);
	}
	CHECK_EQ(write(fd[0], "x", 1), 1);
	CHECK(read(fd[1], &c, 1) == 1 && c == 0);
	CHECK(write(fd[2], "x", 1) < 0 && errno == ENOSPC);
	CHECK_EQ(read(fd[4], &c, 1), 1);
}

KIND(dup, "descriptors that are dups, with close-on-exec of their own")
{
	int a = make_file("data", 100, O_RDWR), b = MUST(dup(a));
	int c = MUST(fcntl(a, F_DUPFD_CLOEXEC, 500));
	int apart = MUST(open(in_work("data"), O_RDWR));

	hold();
	CHECK(same_description(a, b));
	CHECK(same_description(a, c));
	CHECK(!same_description(a, apart));
	CHECK_EQ(c, 500);
	CHECK_EQ(fcntl(a, F_GETFD), 0);
	CHECK_EQ(fcntl(c, F_GETFD), FD_CLOEXEC);
	lseek(a, 42, SEEK_SET);
	CHECK_EQ(lseek(c, 0, SEEK_CUR), 42);
	CHECK_EQ(lseek(apart, 0, SEEK_CUR), 0);
}

KIND(inherited, "a description shared with a child under another number")
{
	int fd = make_file("data", 100, O_RDWR);
	struct gate g = gate_make();
	pid_t pid = MUST(fork());

	if (pid == 0) {
		MUST(dup2(fd, 30));
		close(fd);
		gate_pass(&g);
		hold_peer();
		_exit(lseek(30, 33, SEEK_SET) == 33 ? 0 : 1);
	}
	gate_wait(&g, 1);
	hold();
	reap_good(pid);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 33);
}

KIND(high_numbers, "descriptors with high numbers and holes between them")
{
	static const int to[] = {3, 63, 64, 255, 256, 900, 1000};
	struct rlimit limit;

	MUST(getrlimit(RLIMIT_NOFILE, &limit));
	if (limit.rlim_cur < 1001)
		skip("at most %lu descriptors here", (unsigned long)limit.rlim_cur);
	for (size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
		int fd = make_file("data", 10, O_RDONLY);

		if (fd != to[i]) {
			MUST(dup2(fd, to[i]));
			close(fd);
		}
		lseek(to[i], i, SEEK_SET);
	}
	hold();
	for (size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++)
		CHECK_EQ(lseek(to[i], 0, SEEK_CUR), i);
	CHECK(fcntl(62, F_GETFD) < 0 && errno == EBADF);
}

KIND(no_descriptors, "a task without any descriptor")
{
	int ready = MUST(open(in_work("ready"), O_WRONLY));

	for (int fd = 0; fd < 3; fd++)
		close(fd);
	MUST(write(ready, "r", 1));
	close(ready);
	hold_peer();
	CHECK(fcntl(0, F_GETFD) < 0 && errno == EBADF);
}

KIND(many_files, "900 files")
{
	int fd[900];

	for (int i = 0; i < 900; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%d", i);
		fd[i] = make_file(name, i, O_RDWR | O_CLOEXEC);
		lseek(fd[i], i / 2, SEEK_SET);
	}
	hold();
	for (int i = 0; i < 900; i++) {
		CHECK_EQ(lseek(fd[i], 0, SEEK_CUR), i / 2);
		CHECK_EQ(lseek(fd[i], 0, SEEK_END), i);
	}
}

KIND(eventfd, "eventfds with counts, as semaphore and not blocking",
     .no_criu = "CRIU 4.2 makes a plain eventfd of a semaphore")
{
	int a = MUST(eventfd(1234567, EFD_CLOEXEC));
	int b = MUST(eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK));
	uint64_t n;

	hold();
	CHECK(read(a, &n, 8) == 8 && n == 1234567);
	for (int i = 0; i < 3; i++)
		CHECK(read(b, &n, 8) == 8 && n == 1);
	CHECK(read(b, &n, 8) < 0 && errno == EAGAIN);
}

KIND(locks, "POSIX, flock and open-file-description locks", .options = "--file-locks")
{
	int a = make_file("locked", 100, O_RDWR | O_CLOEXEC);
	int b = make_file("flocked", 100, O_RDWR | O_CLOEXEC), other;
	struct flock set = {.l_type = F_WRLCK, .l_start = 10, .l_len = 20}, got;
	int c = make_file("ofd", 100, O_RDWR | O_CLOEXEC);
	int status;

	MUST(fcntl(a, F_SETLK, &set));
	MUST(flock(b, LOCK_EX));
	MUST(fcntl(c, F_OFD_SETLK, &set));
	hold();
	/* A child has no POSIX locks of its parent, and sees them. */
	if (fork() == 0) {
		got = (struct flock){.l_type = F_RDLCK};
		_exit(fcntl(a, F_GETLK, &got) == 0 && got.l_type == F_WRLCK && got.l_start == 10 &&
				      got.l_len == 20 && got.l_pid == getppid()
			      ? 0
			      : 1);
	}
	wait(&status);
	CHECK_EQ(status, 0);
	other = open(in_work("flocked"), O_RDWR | O_CLOEXEC);
	CHECK(flock(other, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK);
	close(other);
	other = open(in_work("ofd"), O_RDWR | O_CLOEXEC);
	got = (struct flock){.l_type = F_RDLCK};
	CHECK_EQ(fcntl(other, F_OFD_GETLK, &got), 0);
	CHECK(got.l_type == F_WRLCK && got.l_start == 10 && got.l_pid == -1);
}
