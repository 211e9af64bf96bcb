// SPDX-License-Identifier: GPL-2.0-only
/* A bit of everything in one tree: for tests that damage its checkpoint. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "factory/factory.h"

#define PAGE 4096ul
#define RW   (PROT_READ | PROT_WRITE)

struct mixture {
	struct gate g;
	int pipe[2], file, memfd, event;
	char *private, *shared, *of_memfd;
};

static void check_mixture(const struct mixture *m)
{

	CHECK(filled(m->shared, 8 * PAGE, 2));
	CHECK(filled(m->of_memfd, PAGE, 3));
	CHECK_EQ(lseek(m->file, 0, SEEK_CUR), 123);
	CHECK(filled(m->private, 8 * PAGE, 1));
}

static void *mixture_thread(void *arg)
{
	struct mixture *m = arg;

	hold_peer();
	CHECK(filled(m->private, 8 * PAGE, 1));
	return NULL;
}

static void mixture_child(void *arg)
{
	struct mixture *m = arg;
	pthread_t id;

	pthread_create(&id, NULL, mixture_thread, m);
	MUST(setpgid(0, 0));
	gate_pass(&m->g);
	hold_peer();
	check_mixture(m);
	pthread_join(id, NULL);
}

KIND(mixture, "processes, threads, a zombie, pipes, files, shared memory, timers, signals")
{
	struct itimerval real = {{100, 0}, {1000, 0}};
	struct mixture m = {.g = gate_make()};
	pid_t pid, zombie;
	siginfo_t si;
	sigset_t set;
	uint64_t n;
	char got[8];

	MUST(pipe(m.pipe));
	MUST(write(m.pipe[1], "pipedata", 8));
	m.file = make_file("data", 5000, O_RDWR);
	MUST(lseek(m.file, 123, SEEK_SET));
	m.memfd = MUST(memfd_create("mixture", MFD_ALLOW_SEALING));
	MUST(ftruncate(m.memfd, 4 * PAGE));
	m.event = MUST(eventfd(7, 0));
	m.private = map_anon(8 * PAGE, RW, MAP_PRIVATE);
	m.shared = map_anon(8 * PAGE, RW, MAP_SHARED);
	m.of_memfd = MUST(mmap(NULL, PAGE, RW, MAP_SHARED, m.memfd, 0));
	fill(m.private, 8 * PAGE, 1);
	fill(m.shared, 8 * PAGE, 2);
	fill(m.of_memfd, PAGE, 3);
	MUST(setitimer(ITIMER_REAL, &real, NULL));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	kill(getpid(), SIGUSR1);
	zombie = MUST(fork());
	if (zombie == 0)
		_exit(9);
	MUST(waitid(P_PID, zombie, &si, WEXITED | WNOWAIT));
	pid = spawn(mixture_child, &m);
	gate_wait(&m.g, 1);
	hold();
	check_mixture(&m);
	CHECK(read(m.pipe[0], got, 8) == 8 && !memcmp(got, "pipedata", 8));
	CHECK(read(m.event, &n, 8) == 8 && n == 7);
	CHECK_EQ(sigwaitinfo(&set, NULL), SIGUSR1);
	reap_good(pid);
}
