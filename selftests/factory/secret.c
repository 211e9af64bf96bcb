// SPDX-License-Identifier: GPL-2.0-only
/* Secret memory (memfd_secret): nobody but its owner can read it, also not CRIU. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "factory/factory.h"

#define PAGE 4096ul
#define RW   (PROT_READ | PROT_WRITE)
#define WHY  .no_criu = "CRIU 4.2 can't read secret memory"

static int secret_fd(size_t size, int flags)
{
	int fd = syscall(SYS_memfd_secret, flags);

	if (fd < 0)
		skip("memfd_secret: %s", strerror(errno));
	MUST(ftruncate(fd, size));
	return fd;
}

/* Still out of reach for anything that pins pages. */
static bool is_secret(const void *at)
{
	char got[16];
	int fds[2];
	struct iovec local = {got, sizeof(got)}, remote = {(void *)at, sizeof(got)};
	bool hidden;

	MUST(pipe(fds));
	hidden = process_vm_readv(getpid(), &local, 1, &remote, 1, 0) < 0;
	close(fds[0]);
	close(fds[1]);
	return hidden;
}

KIND(secret, "secret memory with its descriptor", WHY)
{
	int fd = secret_fd(PAGE, O_CLOEXEC);
	char *at = MUST(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0)), *again;

	fill(at, PAGE, 1);
	hold();
	CHECK(filled(at, PAGE, 1));
	CHECK(is_secret(at));
	/* The descriptor is of the same memory. */
	again = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
	CHECK(again != MAP_FAILED && filled(again, PAGE, 1));
	again[0] ^= 1;
	CHECK(at[0] == again[0]);
}

KIND(secret_closed, "secret memory whose descriptor is closed", WHY)
{
	int fd = secret_fd(PAGE, 0);
	char *at = MUST(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0));

	close(fd);
	fill(at, PAGE, 2);
	hold();
	CHECK(filled(at, PAGE, 2));
	CHECK(is_secret(at));
}

KIND(secret_large, "secret memory of 40 pages, some of them never touched", WHY)
{
	int fd = secret_fd(40 * PAGE, 0);
	char *at = MUST(mmap(NULL, 40 * PAGE, RW, MAP_SHARED, fd, 0));

	for (int i = 0; i < 40; i += 3)
		fill(at + i * PAGE, PAGE, i);
	hold();
	for (int i = 0; i < 40; i += 3)
		CHECK(filled(at + i * PAGE, PAGE, i));
	CHECK(at[PAGE] == 0 && is_secret(at + 3 * PAGE));
}

KIND(secret_pieces, "mappings of one secret file at offsets, overlapping", WHY)
{
	int fd = secret_fd(16 * PAGE, 0);
	char *a = MUST(mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 2 * PAGE));
	char *b = MUST(mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 4 * PAGE));
	char *c = MUST(mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 14 * PAGE)), *w;

	w = MUST(mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 14 * PAGE));
	fill(a, 4 * PAGE, 1);
	fill(b + 2 * PAGE, 2 * PAGE, 2);
	fill(w, 2 * PAGE, 3);
	MUST(munmap(w, 2 * PAGE));
	hold();
	CHECK(filled(a, 4 * PAGE, 1));
	CHECK(filled(b + 2 * PAGE, 2 * PAGE, 2));
	CHECK(filled(c, 2 * PAGE, 3));
	a[2 * PAGE] ^= 1;
	CHECK(a[2 * PAGE] == b[0]);
}

struct secret_share {
	struct gate g;
	char *at;
};

static void secret_child(void *arg)
{
	struct secret_share *s = arg;

	gate_pass(&s->g);
	hold_peer();
	CHECK(filled(s->at, PAGE, 1));
	CHECK(is_secret(s->at));
	fill(s->at + PAGE, PAGE, 2);
}

/*
 * Secret memory is locked where it is mapped (secretmem_mmap()), munlock() leaves it so, and
 * only fork() takes the mark away: a child's mapping that is mapped anew is locked.
 */
KIND(secret_shared, "secret memory shared between processes", WHY, .moves = "map status.VmLck")
{
	int fd = secret_fd(4 * PAGE, 0);
	struct secret_share s = {gate_make(), MUST(mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0))};
	pid_t pid;

	fill(s.at, PAGE, 1);
	pid = spawn(secret_child, &s);
	gate_wait(&s.g, 1);
	hold();
	reap_good(pid);
	CHECK(filled(s.at + PAGE, PAGE, 2));
}

KIND(secret_unmapped, "a descriptor of secret memory that is not mapped any more", WHY)
{
	int fd = secret_fd(2 * PAGE, O_CLOEXEC);
	char *at = MUST(mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0));
	struct stat st;

	fill(at, 2 * PAGE, 5);
	MUST(munmap(at, 2 * PAGE));
	hold();
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_size, 2 * PAGE);
	at = mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0);
	CHECK(at != MAP_FAILED && filled(at, 2 * PAGE, 5));
}

KIND(secret_empty, "a descriptor of secret memory without a size", WHY)
{
	int fd = secret_fd(0, 0);
	char *at;

	hold();
	CHECK_EQ(ftruncate(fd, PAGE), 0);
	at = mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0);
	CHECK(at != MAP_FAILED);
	at[0] = 1;
}

KIND(secret_readonly, "secret memory that is mapped read-only, and PROT_NONE", WHY)
{
	int fd = secret_fd(2 * PAGE, 0);
	char *at = MUST(mmap(NULL, 2 * PAGE, RW, MAP_SHARED, fd, 0));

	fill(at, 2 * PAGE, 6);
	MUST(mprotect(at, PAGE, PROT_READ));
	MUST(mprotect(at + PAGE, PAGE, PROT_NONE));
	close(fd);
	hold();
	CHECK_EQ(mprotect(at, 2 * PAGE, RW), 0);
	CHECK(filled(at, 2 * PAGE, 6));
}

KIND(secret_dup, "secret memory by two descriptors in two tasks", WHY)
{
	int fd = secret_fd(PAGE, 0), twin = MUST(dup(fd));
	char *at = MUST(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0));
	struct gate g = gate_make();
	pid_t pid;

	fill(at, PAGE, 7);
	pid = MUST(fork());
	if (pid == 0) {
		munmap(at, PAGE);
		gate_pass(&g);
		hold_peer();
		at = mmap(NULL, PAGE, RW, MAP_SHARED, twin, 0);
		CHECK(at != MAP_FAILED && filled(at, PAGE, 7));
		_exit(differences() ? 1 : 0);
	}
	gate_wait(&g, 1);
	hold();
	CHECK(filled(at, PAGE, 7));
	reap_good(pid);
}
