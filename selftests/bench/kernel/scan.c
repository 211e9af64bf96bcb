// SPDX-License-Identifier: GPL-2.0-only
/*
 * What it costs to find the pages that a process shares by copy-on-write: PAGEMAP_SCAN for
 * PAGE_IS_COW, alone, returned with other categories, and with identities, beside a scan for
 * PAGE_IS_PRESENT and beside reading /proc/PID/pagemap.
 *
 * Prints "name nanoseconds-per-page", the median of all rounds. The ways take turns, so that what
 * else happens on the machine happens to all of them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pm_scan_cow.h"

#define PAGE	   4096UL
#define MAX_ROUNDS 101
#define BUFFER	   4096 /* regions, identities and pagemap entries at a time */

struct bench {
	int pagemap;
	char *memory;
	size_t pages;
	struct page_region *regions;
	uint64_t *numbers;
};

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* Scan all of the memory; the number of pages that were found, or -1 */
static long scan(struct bench *b, uint64_t category, uint64_t also, bool ids)
{
	struct pm_scan_arg_v1 arg = {
		.size = category == PAGE_IS_COW ? PM_SCAN_ARG_SIZE_VER1 : PM_SCAN_ARG_SIZE_VER0,
		.start = (uintptr_t)b->memory,
		.end = (uintptr_t)b->memory + b->pages * PAGE,
		.vec = (uintptr_t)b->regions,
		.vec_len = BUFFER,
		.category_mask = category,
		.return_mask = category | also,
		.cow_ids = ids ? (uintptr_t)b->numbers : 0,
		.cow_ids_len = ids ? BUFFER : 0,
	};
	long found = 0;

	while (arg.start < arg.end) {
		int n = ioctl(b->pagemap, PAGEMAP_SCAN_SIZED(arg.size), &arg);

		if (n < 0)
			return -1;
		for (int i = 0; i < n; i++)
			found += (b->regions[i].end - b->regions[i].start) / PAGE;
		arg.start = arg.walk_end;
	}
	return found;
}

static long scan_present(struct bench *b)
{
	return scan(b, PAGE_IS_PRESENT, 0, false);
}

static long scan_cow(struct bench *b)
{
	return scan(b, PAGE_IS_COW, 0, false);
}

/* Returning one category more leaves the way that the kernel has for PAGE_IS_COW. */
static long scan_cow_general(struct bench *b)
{
	return scan(b, PAGE_IS_COW, PAGE_IS_SWAPPED, false);
}

static long scan_ids(struct bench *b)
{
	return scan(b, PAGE_IS_COW, 0, true);
}

/* Present and not exclusive, by bits 63 and 56 */
static long read_pagemap(struct bench *b)
{
	off_t at = (uintptr_t)b->memory / PAGE * sizeof(uint64_t);
	long found = 0;

	for (size_t done = 0; done < b->pages;) {
		ssize_t n = pread(b->pagemap, b->numbers, BUFFER * sizeof(uint64_t),
				  at + done * sizeof(uint64_t));

		if (n <= 0)
			return -1;
		n /= sizeof(uint64_t);
		for (ssize_t i = 0; i < n && done + i < b->pages; i++)
			found += (b->numbers[i] >> 63) && !(b->numbers[i] >> 56 & 1);
		done += n;
	}
	return found;
}

static const struct way {
	const char *name;
	long (*run)(struct bench *b);
} ways[] = {
	{"scan-present", scan_present},
	{"scan-cow", scan_cow},			/* a way of its own in the kernel */
	{"scan-cow-general", scan_cow_general}, /* that of all categories */
	{"scan-cow-ids", scan_ids},
	{"read-pagemap", read_pagemap},
};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static int measure(struct bench *b, unsigned int rounds)
{
	static uint64_t times[WAYS][MAX_ROUNDS];
	bool missing[WAYS] = {};

	for (unsigned int r = 0; r < rounds; r++) {
		for (size_t w = 0; w < WAYS; w++) {
			uint64_t start = now();
			long found = missing[w] ? -1 : ways[w].run(b);

			times[w][r] = now() - start;
			if (found < 0) {
				missing[w] = true;
			} else if ((size_t)found != b->pages) {
				fprintf(stderr, "scan: %s found %ld of %zu pages\n", ways[w].name,
					found, b->pages);
				return 1;
			}
		}
	}
	for (size_t w = 0; w < WAYS; w++) {
		if (missing[w]) {
			printf("%s -\n", ways[w].name);
			continue;
		}
		qsort(times[w], rounds, sizeof(uint64_t), compare);
		printf("%s %.2f\n", ways[w].name, (double)times[w][rounds / 2] / b->pages);
	}
	return 0;
}

static int usage(int status)
{
	fprintf(status ? stderr : stdout,
		"usage: scan [MiB [ROUNDS]]\n"
		"Shares MiB (1024) of memory with a child and looks for it ROUNDS (11) times in each way.\n"
		"Prints nanoseconds per page, the median; '-' where the kernel lacks it (or CAP_CHECKPOINT_RESTORE).\n");
	return status;
}

int main(int argc, char **argv)
{
	unsigned long mib = argc > 1 ? strtoul(argv[1], NULL, 0) : 1024;
	unsigned long rounds = argc > 2 ? strtoul(argv[2], NULL, 0) : 11;
	struct bench b = {.pages = mib << 20 >> 12};
	pid_t child;
	int ret;

	if (argc > 1 && !strcmp(argv[1], "--help"))
		return usage(0);
	if (!mib || !rounds || rounds > MAX_ROUNDS || argc > 3)
		return usage(2);

	b.memory = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);
	b.regions = calloc(BUFFER, sizeof(*b.regions));
	b.numbers = calloc(BUFFER, sizeof(*b.numbers));
	b.pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (b.memory == MAP_FAILED || !b.regions || !b.numbers || b.pagemap < 0) {
		fprintf(stderr, "scan: %lu MiB of memory and /proc/self/pagemap: %s\n", mib,
			strerror(errno));
		return 1;
	}
	madvise(b.memory, mib << 20, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < b.pages; i++)
		b.memory[i * PAGE] = 1;
	child = fork();
	if (child < 0) {
		fprintf(stderr, "scan: fork: %s\n", strerror(errno));
		return 1;
	}
	if (!child)
		for (;;)
			pause();
	ret = measure(&b, rounds);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return ret;
}
