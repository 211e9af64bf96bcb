// SPDX-License-Identifier: GPL-2.0-only
/*
 * keeper FILE: keep a secret in memory that nobody else can read, and count aloud.
 *
 * The secret is random, lives in a mapping of memfd_secret(2) only, and is looked at with
 * every count: it must still be what it was. FILE gets a line for each count too.
 */
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE   4096
#define MARK   "the secret: "
#define LENGTH 32 /* random bytes, in hexadecimal behind the mark */

static uint64_t hash(const char *at)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (int i = 0; i < PAGE; i++)
		h = (h ^ (unsigned char)at[i]) * 0x100000001b3ull;
	return h;
}

/* Written where it stays: no copy of it is on the stack or the heap. */
static void make_secret(char *at)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char *raw = (unsigned char *)at + PAGE - LENGTH;

	if (getrandom(raw, LENGTH, 0) != LENGTH)
		err(1, "getrandom");
	memcpy(at, MARK, strlen(MARK));
	at += strlen(MARK);
	for (int i = 0; i < LENGTH; i++) {
		*at++ = digits[raw[i] >> 4];
		*at++ = digits[raw[i] & 15];
	}
	memset(raw, 0, LENGTH);
}

int main(int argc, char **argv)
{
	struct timespec pause = {.tv_nsec = 200000000};
	uint64_t was;
	char *secret;
	int fd, log;

	if (argc != 2 || argv[1][0] == '-')
		errx(2, "usage: keeper FILE");
	fd = syscall(SYS_memfd_secret, O_CLOEXEC);
	if (fd < 0)
		err(1, "memfd_secret (is secretmem.enable=1 on the kernel's command line?)");
	if (ftruncate(fd, PAGE) < 0)
		err(1, "ftruncate");
	secret = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	log = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (secret == MAP_FAILED || log < 0)
		err(1, "%s", log < 0 ? argv[1] : "mmap");
	make_secret(secret);
	was = hash(secret);
	for (int count = 1;; count++) {
		if (hash(secret) != was)
			errx(1, "the secret has changed");
		printf("   keeper, pid %d: %d\n", getpid(), count);
		fflush(stdout);
		dprintf(log, "%d %p\n", count, (void *)secret);
		nanosleep(&pause, NULL);
	}
}
