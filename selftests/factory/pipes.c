// SPDX-License-Identifier: GPL-2.0-only
/* Pipes and FIFOs with what is in them. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "factory/factory.h"

static bool pipe_gives(int fd, size_t n, uint64_t seed)
{
	char *got = malloc(n);
	size_t had = 0;
	bool same;

	while (had < n) {
		ssize_t more = read(fd, got + had, n - had);

		if (more <= 0)
			break;
		had += more;
	}
	same = had == n && filled(got, n, seed);
	free(got);
	return same;
}

static void pipe_put(int fd, size_t n, uint64_t seed)
{
	char *bytes = malloc(n);

	fill(bytes, n, seed);
	MUST(write(fd, bytes, n));
	free(bytes);
}

KIND(pipe, "an empty pipe")
{
	int fds[2];
	char c;

	MUST(pipe(fds));
	hold();
	CHECK_EQ(write(fds[1], "x", 1), 1);
	CHECK_EQ(read(fds[0], &c, 1), 1);
	CHECK_EQ(c, 'x');
}

KIND(pipe_data, "a pipe with bytes in it")
{
	int fds[2], left;

	MUST(pipe(fds));
	pipe_put(fds[1], 10001, 1);
	hold();
	CHECK_EQ(ioctl(fds[0], FIONREAD, &left), 0);
	CHECK_EQ(left, 10001);
	CHECK(pipe_gives(fds[0], 10001, 1));
}

KIND(pipe_small_writes, "a pipe with a thousand writes of one byte")
{
	int fds[2];
	char got[1000];

	MUST(pipe(fds));
	for (int i = 0; i < 1000; i++) {
		char c = i;

		MUST(write(fds[1], &c, 1));
	}
	hold();
	CHECK_EQ(read(fds[0], got, sizeof(got)), 1000);
	for (int i = 0; i < 1000; i++)
		CHECK_EQ(got[i], (char)i);
}

KIND(pipe_full, "a full pipe that doesn't block, and one made larger")
{
	int a[2], b[2], room;

	MUST(pipe2(a, O_NONBLOCK));
	MUST(pipe(b));
	room = MUST(fcntl(b[1], F_SETPIPE_SZ, 1 << 18));
	pipe_put(a[1], 65536, 2);
	pipe_put(b[1], room, 3);
	hold();
	CHECK(write(a[1], "x", 1) < 0 && errno == EAGAIN);
	CHECK(pipe_gives(a[0], 65536, 2));
	CHECK_EQ(fcntl(b[0], F_GETPIPE_SZ), room);
	CHECK(pipe_gives(b[0], room, 3));
}

KIND(pipe_packets, "a pipe in packet mode with ten packets",
     .no_criu = "CRIU refuses pipes in packet mode", .later = "packet mode of pipes")
{
	int fds[2];
	char got[16];

	MUST(pipe2(fds, O_DIRECT));
	for (char c = 'a'; c < 'a' + 10; c++)
		MUST(write(fds[1], &c, 1));
	hold();
	/* In packet mode a read takes one write. */
	CHECK_EQ(fcntl(fds[1], F_GETFL) & O_DIRECT, O_DIRECT);
	for (char c = 'a'; c < 'a' + 10; c++) {
		CHECK_EQ(read(fds[0], got, sizeof(got)), 1);
		CHECK_EQ(got[0], c);
	}
}

KIND(pipe_no_reader, "a pipe with data whose reading end is closed")
{
	int fds[2];

	signal(SIGPIPE, SIG_IGN);
	MUST(pipe(fds));
	MUST(write(fds[1], "data", 4));
	close(fds[0]);
	hold();
	CHECK(write(fds[1], "x", 1) < 0 && errno == EPIPE);
}

KIND(pipe_no_writer, "a pipe with data whose writing end is closed")
{
	int fds[2];
	char c;

	MUST(pipe(fds));
	pipe_put(fds[1], 5000, 4);
	close(fds[1]);
	hold();
	CHECK(pipe_gives(fds[0], 5000, 4));
	CHECK_EQ(read(fds[0], &c, 1), 0);
}

KIND(pipeline, "a pipeline of five processes with data between them")
{
	int first[2], last[2], in;
	pid_t pid[5];

	MUST(pipe(first));
	in = first[0];
	for (int i = 0; i < 5; i++) {
		MUST(pipe(last));
		pid[i] = MUST(fork());
		if (pid[i] == 0) {
			char c;

			close(first[1]);
			close(last[0]);
			hold_peer();
			while (read(in, &c, 1) == 1) {
				c++;
				if (write(last[1], &c, 1) != 1)
					_exit(1);
			}
			_exit(differences() ? 1 : 0);
		}
		close(in);
		close(last[1]);
		in = last[0];
	}
	MUST(write(first[1], "ABC", 3));
	hold();
	CHECK_EQ(write(first[1], "DEF", 3), 3);
	close(first[1]);
	for (int i = 0; i < 5; i++)
		reap_good(pid[i]);
	char got[8] = {};

	CHECK_EQ(read(in, got, 8), 6);
	CHECK(!strcmp(got, "FGHIJK"));
}

KIND(fifo, "FIFOs: both ends, one end that can do both, data inside")
{
	int r, w, both;
	char got[8] = {};

	MUST(mkfifo(in_work("a"), 0644));
	MUST(mkfifo(in_work("b"), 0644));
	r = MUST(open(in_work("a"), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
	w = MUST(open(in_work("a"), O_WRONLY | O_CLOEXEC));
	both = MUST(open(in_work("b"), O_RDWR | O_CLOEXEC));
	MUST(write(w, "one", 3));
	MUST(write(both, "two", 3));
	hold();
	CHECK(read(r, got, 8) == 3 && !memcmp(got, "one", 3));
	CHECK(read(r, got, 8) < 0 && errno == EAGAIN);
	CHECK(read(both, got, 8) == 3 && !memcmp(got, "two", 3));
}

KIND(fifo_between, "a FIFO between two processes")
{
	struct gate g = gate_make();
	pid_t pid;
	int fd;

	MUST(mkfifo(in_work("a"), 0644));
	pid = MUST(fork());
	if (pid == 0) {
		fd = MUST(open(in_work("a"), O_WRONLY));
		MUST(write(fd, "abc", 3));
		gate_pass(&g);
		hold_peer();
		_exit(write(fd, "def", 3) == 3 ? 0 : 1);
	}
	fd = MUST(open(in_work("a"), O_RDONLY));
	gate_wait(&g, 1);
	hold();
	reap_good(pid);
	char got[8] = {};

	CHECK_EQ(read(fd, got, 8), 6);
	CHECK(!strcmp(got, "abcdef"));
	CHECK_EQ(read(fd, got, 8), 0);
}

KIND(fifo_deleted, "a deleted FIFO with data")
{
	char got[8] = {};
	int fd;

	MUST(mkfifo(in_work("gone"), 0644));
	fd = MUST(open(in_work("gone"), O_RDWR | O_CLOEXEC));
	MUST(write(fd, "data", 4));
	MUST(unlink(in_work("gone")));
	hold();
	CHECK(read(fd, got, 8) == 4 && !memcmp(got, "data", 4));
	CHECK(access(in_work("gone"), F_OK) < 0);
}
