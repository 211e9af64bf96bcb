// SPDX-License-Identifier: GPL-2.0-only
/*
 * object FOLDER WHAT N: a process to measure dumps and restores of.
 *
 * WHAT: memory (N MiB of random bytes), tree (N children), files (N descriptors),
 * mappings (N areas), threads (N). A clock ticks in it: FOLDER/ticks holds the number of
 * ticks and the longest time between two of them in nanoseconds, which whoever measures
 * may set to 0. FOLDER/ready is written when all is in place.
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
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct ticks {
	_Atomic uint64_t n;
	_Atomic uint64_t longest;
};

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void tick(struct ticks *t)
{
	struct timespec pause = {.tv_nsec = 50000};
	uint64_t last = now();

	for (;;) {
		uint64_t at;

		nanosleep(&pause, NULL);
		at = now();
		if (at - last > t->longest)
			t->longest = at - last;
		last = at;
		t->n++;
	}
}

static void make_memory(long mib)
{
	size_t size = (size_t)mib << 20;
	uint64_t *at = mmap(NULL, size ?: 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
	uint64_t x = 88172645463325252ull;

	if (at == MAP_FAILED)
		err(1, "%ld MiB", mib);
	/* Plain pages, as most programs' are. */
	madvise(at, size, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < size / 8; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		at[i] = x;
	}
}

static void make_tree(long n)
{
	for (long i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			err(1, "fork %ld", i);
		if (pid == 0)
			for (;;)
				pause();
	}
}

static void make_files(const char *folder, long n)
{
	struct rlimit limit;
	char path[4096];

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	for (long i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/f%ld", folder, i);
		if (open(path, O_RDWR | O_CREAT, 0644) < 0)
			err(1, "%s (hard limit of descriptors: %lu)", path,
			    (unsigned long)limit.rlim_max);
	}
}

static void make_mappings(long n)
{
	char *at = mmap(NULL, n * 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		err(1, "mmap");
	for (long i = 0; i < n; i++) {
		at[i * 8192] = i;
		if (munmap(at + i * 8192 + 4096, 4096) < 0)
			err(1, "munmap %ld", i);
	}
}

static void *thread(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void make_threads(long n)
{
	pthread_attr_t attr;
	pthread_t id;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	for (long i = 0; i < n; i++)
		if (pthread_create(&id, &attr, thread, NULL))
			errx(1, "thread %ld", i);
}

int main(int argc, char **argv)
{
	struct ticks *t;
	char path[4096];
	long n;
	int fd;

	if (argc != 4)
		errx(2, "usage: object FOLDER memory|tree|files|mappings|threads N");
	snprintf(path, sizeof(path), "%s/ticks", argv[1]);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || ftruncate(fd, 4096) < 0)
		err(1, "%s", path);
	n = atol(argv[3]);
	if (!strcmp(argv[2], "memory"))
		make_memory(n);
	else if (!strcmp(argv[2], "tree"))
		make_tree(n);
	else if (!strcmp(argv[2], "files"))
		make_files(argv[1], n);
	else if (!strcmp(argv[2], "mappings"))
		make_mappings(n);
	else if (!strcmp(argv[2], "threads"))
		make_threads(n);
	else
		errx(2, "%s", argv[2]);
	t = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	snprintf(path, sizeof(path), "%s/ready", argv[1]);
	fd = creat(path, 0644);
	if (t == MAP_FAILED || fd < 0)
		err(1, "%s", path);
	close(fd);
	tick(t);
}
