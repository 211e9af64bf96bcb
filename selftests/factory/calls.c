// SPDX-License-Identifier: GPL-2.0-only
/* Tasks caught in a system call, which goes on afterwards as if nothing had been. */
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "factory/factory.h"

/* Another thread does what the test says, so that the first one can block in its call. */
static pthread_t on_go(void *(*fn)(void *), void *arg)
{
	pthread_t id;

	if (pthread_create(&id, NULL, fn, arg))
		must_fail(__FILE__, __LINE__, "pthread_create");
	return id;
}

static void *write_a_byte(void *fd)
{
	hold_peer();
	CHECK_EQ(write(*(int *)fd, "x", 1), 1);
	return NULL;
}

KIND(in_read, "a read that waits for a pipe")
{
	char c = 0;
	int fds[2];
	pthread_t id;

	MUST(pipe(fds));
	id = on_go(write_a_byte, &fds[1]);
	tell_ready();
	CHECK_EQ(read(fds[0], &c, 1), 1);
	CHECK_EQ(c, 'x');
	pthread_join(id, NULL);
}

static void *read_all(void *fd)
{
	static char bytes[1 << 17];

	hold_peer();
	for (size_t had = 0; had < sizeof(bytes);) {
		ssize_t got = read(*(int *)fd, bytes + had, sizeof(bytes) - had);

		if (got <= 0)
			break;
		had += got;
	}
	CHECK(filled(bytes, sizeof(bytes), 3));
	return NULL;
}

KIND(in_write, "a write that has filled a pipe and waits for room", .moves = "map syscall")
{
	static char bytes[1 << 17];
	size_t done = 0;
	int fds[2];
	pthread_t id;

	MUST(pipe(fds));
	fill(bytes, sizeof(bytes), 3);
	id = on_go(read_all, &fds[0]);
	tell_ready();
	/* It may come back having written a part, as after any signal that is ignored. */
	while (done < sizeof(bytes)) {
		ssize_t n = write(fds[1], bytes + done, sizeof(bytes) - done);

		CHECK(n > 0);
		if (n <= 0)
			break;
		done += n;
	}
	pthread_join(id, NULL);
}

KIND(in_poll, "a poll with a long timeout", .no_criu = "CRIU lets such calls end with EINTR")
{
	struct pollfd p = {.events = POLLIN};
	int fds[2];
	pthread_t id;

	MUST(pipe(fds));
	p.fd = fds[0];
	id = on_go(write_a_byte, &fds[1]);
	tell_ready();
	CHECK_EQ(poll(&p, 1, 3600000), 1);
	pthread_join(id, NULL);
}

KIND(in_select, "a select without a timeout")
{
	int fds[2];
	pthread_t id;
	fd_set set;

	MUST(pipe(fds));
	FD_ZERO(&set);
	FD_SET(fds[0], &set);
	id = on_go(write_a_byte, &fds[1]);
	tell_ready();
	CHECK_EQ(select(fds[0] + 1, &set, NULL, NULL, NULL), 1);
	pthread_join(id, NULL);
}

static int32_t futex_word;

static void *wake(void *arg)
{
	hold_peer();
	__atomic_store_n(&futex_word, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &futex_word, FUTEX_WAKE, 1, NULL, NULL, 0);
	return arg;
}

KIND(in_futex, "a futex wait without a timeout")
{
	pthread_t id = on_go(wake, NULL);

	tell_ready();
	CHECK_EQ(syscall(SYS_futex, &futex_word, FUTEX_WAIT, 0, NULL, NULL, 0), 0);
	CHECK_EQ(futex_word, 1);
	pthread_join(id, NULL);
}

KIND(in_futex_timed, "a futex wait with a timeout: the rest of it is waited for",
     .no_criu = "CRIU lets such calls end with EINTR")
{
	struct timespec limit = {.tv_sec = 3600};
	pthread_t id = on_go(wake, NULL);

	tell_ready();
	CHECK_EQ(syscall(SYS_futex, &futex_word, FUTEX_WAIT, 0, &limit, NULL, 0), 0);
	pthread_join(id, NULL);
}

static double seconds_since(const struct timespec *since, clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (now.tv_sec - since->tv_sec) + (now.tv_nsec - since->tv_nsec) / 1e9;
}

KIND(in_nanosleep, "a sleep of 3 seconds: not shorter for having been interrupted",
     .no_criu = "CRIU lets such calls end with EINTR")
{
	struct timespec began, length = {.tv_sec = 3};

	clock_gettime(CLOCK_REALTIME, &began);
	tell_ready();
	CHECK_EQ(nanosleep(&length, NULL), 0);
	CHECK(seconds_since(&began, CLOCK_REALTIME) >= 2.999);
	CHECK(seconds_since(&began, CLOCK_REALTIME) < 60);
}

KIND(in_clock_nanosleep, "a sleep until a time of day")
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 2;
	tell_ready();
	CHECK_EQ(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL), 0);
	CHECK(seconds_since(&until, CLOCK_REALTIME) >= 0);
}

static void *signal_main(void *arg)
{
	hold_peer();
	syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1);
	return arg;
}

static volatile sig_atomic_t n_caught;

static void count(int sig)
{
	n_caught += sig == SIGUSR1;
}

KIND(in_pause, "pause")
{
	struct sigaction sa = {.sa_handler = count};
	pthread_t id;

	MUST(sigaction(SIGUSR1, &sa, NULL));
	id = on_go(signal_main, NULL);
	tell_ready();
	CHECK(pause() < 0 && errno == EINTR);
	CHECK_EQ(n_caught, 1);
	pthread_join(id, NULL);
}

KIND(in_sigsuspend, "sigsuspend with another mask than the task's")
{
	struct sigaction sa = {.sa_handler = count};
	sigset_t set, during, now;
	pthread_t id;

	sigemptyset(&during);
	sigaddset(&during, SIGUSR2);
	id = on_go(signal_main, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	MUST(sigaction(SIGUSR1, &sa, NULL));
	MUST(sigprocmask(SIG_BLOCK, &set, NULL));
	tell_ready();
	CHECK(sigsuspend(&during) < 0 && errno == EINTR);
	CHECK_EQ(n_caught, 1);
	sigprocmask(SIG_BLOCK, NULL, &now);
	CHECK_EQ(sigismember(&now, SIGUSR1), 1);
	CHECK_EQ(sigismember(&now, SIGUSR2), 0);
	pthread_join(id, NULL);
}

KIND(in_sigtimedwait, "a wait for a signal", .moves = "map syscall")
{
	pthread_t id;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	MUST(sigprocmask(SIG_BLOCK, &set, NULL));
	id = on_go(signal_main, NULL);
	tell_ready();
	/* The man page allows EINTR here, whatever the handler's flags. */
	while (sigwaitinfo(&set, NULL) != SIGUSR1)
		CHECK_EQ(errno, EINTR);
	pthread_join(id, NULL);
}

static void wait_and_leave(void *arg)
{
	(void)arg;
	hold_peer();
}

KIND(in_wait, "a wait for a child")
{
	pid_t pid = spawn(wait_and_leave, NULL);

	tell_ready();
	reap_good(pid);
}

KIND(in_lock, "a wait for a file lock of a child",
     .no_criu = "CRIU 4.2 does not see a lock set by a description of the parent",
     .options = "--file-locks")
{
	int fd = make_file("locked", 10, O_RDWR | O_CLOEXEC);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct gate g = gate_make();
	pid_t pid = MUST(fork());

	if (pid == 0) {
		MUST(fcntl(fd, F_SETLK, &lock));
		gate_pass(&g);
		hold_peer();
		_exit(differences() ? 1 : 0);
	}
	gate_wait(&g, 1);
	tell_ready();
	CHECK_EQ(fcntl(fd, F_SETLKW, &lock), 0);
	reap_good(pid);
}
