// SPDX-License-Identifier: GPL-2.0-only
/*
 * worker FOLDER: a tree that computes for as long as it is let, in ways that show any
 * harm done to it: checksums in registers, handed through pipes, by threads, in children.
 *
 * FOLDER/work is mapped by all: each worker counts its steps there. When its first byte
 * is set they end, and each checks its whole chain of steps anew. Status 0: all right.
 */
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define N_WORKERS 6

struct board {
	_Atomic int stop;
	_Atomic int ready;
	_Atomic uint64_t steps[N_WORKERS];
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

int main(int argc, char **argv)
{
	struct board *board;
	char path[4096];
	pid_t child;
	int fd, status;

	if (argc != 2 || argv[1][0] == '-')
		errx(2, "usage: worker FOLDER");
	snprintf(path, sizeof(path), "%s/work", argv[1]);
	fd = open(path, O_RDWR | O_CLOEXEC);
	board = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || board == MAP_FAILED)
		err(2, "%s", path);
	close(fd);
	child = fork();
	if (child < 0)
		err(2, "fork");
	process(board, child ? 0 : 3);
	if (!child)
		_exit(0);
	if (waitpid(child, &status, 0) != child || status)
		errx(1, "the child ended with wait status %#x", status);
	return 0;
}
