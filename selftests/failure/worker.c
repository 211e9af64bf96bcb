// SPDX-License-Identifier: GPL-2.0-only
/*
 * worker FOLDER [more]: a tree that computes for as long as it is let, in ways that show any
 * harm done to it: checksums in registers, handed through pipes, by threads, in children.
 *
 * FOLDER/work is mapped by all: each worker counts its steps there. When its first byte
 * is set they end, and each checks its whole chain of steps anew. Status 0: all right.
 *
 * more: with what a restore has to make for a moment or for ever: deleted files, some with two
 * names or in a deleted folder, a System V segment, a child that is stopped and one that is dead.
 */
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define N_WORKERS 6

struct board {
	_Atomic int stop;
	_Atomic int ready;
	_Atomic uint64_t steps[N_WORKERS];
	int segment;
};

static uint64_t step(uint64_t x)
{
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x * 0x9e3779b97f4a7c15ull + 1;
}

/* The chain anew: what @n steps should have come to. */
static uint64_t chain(uint64_t x, uint64_t n)
{
	while (n--)
		x = step(x);
	return x;
}

struct job {
	struct board *board;
	int nth;
	uint64_t result, n;
};

/* Pure computing: all of it in registers. */
static void compute(struct job *job)
{
	uint64_t x = job->nth + 1, n = 0;

	while (!job->board->stop) {
		for (int i = 0; i < 1000; i++)
			x = step(x);
		n += 1000;
		job->board->steps[job->nth] = n;
	}
	job->result = x;
	job->n = n;
}

/* The same, handed to oneself through a pipe at every step: interrupted system calls. */
static void compute_by_pipe(struct job *job)
{
	uint64_t x = job->nth + 1, n = 0;
	int fds[2];

	if (pipe(fds) < 0)
		err(2, "pipe");
	while (!job->board->stop) {
		x = step(x);
		if (write(fds[1], &x, 8) != 8 || read(fds[0], &x, 8) != 8)
			err(2, "pipe, step %lu", (unsigned long)n);
		job->board->steps[job->nth] = ++n;
	}
	job->result = x;
	job->n = n;
}

/* With a sleep at every step, whose length is checked. */
static void compute_slowly(struct job *job)
{
	struct timespec pause = {.tv_nsec = 2000000}, a, b;
	uint64_t x = job->nth + 1, n = 0;

	while (!job->board->stop) {
		x = step(x);
		clock_gettime(CLOCK_MONOTONIC, &a);
		if (nanosleep(&pause, NULL) < 0)
			err(2, "nanosleep, step %lu", (unsigned long)n);
		clock_gettime(CLOCK_MONOTONIC, &b);
		if ((b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec < 2000000)
			errx(2, "a sleep was too short, step %lu", (unsigned long)n);
		job->board->steps[job->nth] = ++n;
	}
	job->result = x;
	job->n = n;
}

static void check(const struct job *job)
{
	if (chain(job->nth + 1, job->n) != job->result)
		errx(1, "worker %d: wrong after %lu steps", job->nth, (unsigned long)job->n);
}

static void *thread(void *arg)
{
	struct job *job = arg;

	if (job->nth % 3 == 0)
		compute(job);
	else if (job->nth % 3 == 1)
		compute_by_pipe(job);
	else
		compute_slowly(job);
	return NULL;
}

/* One process: a job for each of three threads, the first in its main thread. */
static void process(struct board *board, int first)
{
	struct job jobs[3];
	pthread_t id[3];

	for (int i = 0; i < 3; i++)
		jobs[i] = (struct job){.board = board, .nth = first + i};
	for (int i = 1; i < 3; i++)
		if (pthread_create(&id[i], NULL, thread, &jobs[i]))
			errx(2, "pthread_create");
	board->ready++;
	thread(&jobs[0]);
	for (int i = 1; i < 3; i++)
		pthread_join(id[i], NULL);
	for (int i = 0; i < 3; i++)
		check(&jobs[i]);
}

/* --- more ----------------------------------------------------------------- */

#define N_GHOSTS 24

struct more {
	int ghosts[N_GHOSTS];
	int *segment;
	pid_t stopped, dead;
};

/* A deleted file, its number in it; every third was in a deleted folder, others had two names. */
static int make_ghost(const char *folder, int nth)
{
	char path[4096], other[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/ghosts/%d", folder, nth);
	if (nth % 3 == 0 && (mkdir(path, 0700) || !strcat(path, "/below")))
		err(2, "%s", path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, &nth, sizeof(nth)) != sizeof(nth))
		err(2, "%s", path);
	snprintf(other, sizeof(other), "%s/ghosts/%d.other", folder, nth);
	if (nth % 3 == 1 &&
	    (link(path, other) || open(other, O_RDONLY | O_CLOEXEC) < 0 || unlink(other)))
		err(2, "%s", other);
	unlink(path);
	if (nth % 3 == 0) {
		*strrchr(path, '/') = 0;
		rmdir(path);
	}
	return fd;
}

static pid_t make_child(int signal)
{
	pid_t pid = fork();

	if (pid < 0)
		err(2, "fork");
	if (!pid) {
		raise(signal);
		_exit(0);
	}
	waitid(P_PID, pid, &(siginfo_t){0}, WSTOPPED | WEXITED | WNOWAIT);
	return pid;
}

static void make_more(struct more *m, struct board *board, const char *folder)
{
	int i;

	for (i = 0; i < N_GHOSTS; i++)
		m->ghosts[i] = make_ghost(folder, i);
	board->segment = shmget(IPC_PRIVATE, 1 << 20, 0600 | IPC_CREAT);
	m->segment = shmat(board->segment, NULL, 0);
	if (board->segment < 0 || m->segment == (void *)-1)
		err(2, "System V segment");
	m->segment[1 << 17] = 42;
	m->stopped = make_child(SIGSTOP);
	m->dead = make_child(SIGKILL);
}

static void check_more(struct more *m)
{
	int i, number, status;

	for (i = 0; i < N_GHOSTS; i++)
		if (pread(m->ghosts[i], &number, sizeof(number), 0) != sizeof(number) ||
		    number != i)
			err(1, "deleted file %d", i);
	if (m->segment[1 << 17] != 42)
		errx(1, "System V segment: %d", m->segment[1 << 17]);
	if (waitpid(m->dead, &status, 0) != m->dead || status != SIGKILL)
		errx(1, "the dead child: wait status %#x", status);
	kill(m->stopped, SIGCONT);
	if (waitpid(m->stopped, &status, 0) != m->stopped || status)
		errx(1, "the stopped child: wait status %#x", status);
}

int main(int argc, char **argv)
{
	struct more more = {};
	struct board *board;
	char path[4096];
	pid_t child;
	int fd, status;

	if (argc < 2 || argc > 3 || argv[1][0] == '-')
		errx(2, "usage: worker FOLDER [more]");
	snprintf(path, sizeof(path), "%s/work", argv[1]);
	fd = open(path, O_RDWR | O_CLOEXEC);
	board = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || board == MAP_FAILED)
		err(2, "%s", path);
	close(fd);
	if (argc > 2)
		make_more(&more, board, argv[1]);
	child = fork();
	if (child < 0)
		err(2, "fork");
	process(board, child ? 0 : 3);
	if (!child)
		_exit(0);
	if (waitpid(child, &status, 0) != child || status)
		errx(1, "the child ended with wait status %#x", status);
	if (argc > 2)
		check_more(&more);
	return 0;
}
