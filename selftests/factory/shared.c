// SPDX-License-Identifier: GPL-2.0-only
/* Memory with more than one user: shared mappings, memfd, SysV segments. */
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include "factory/factory.h"

#define PAGE 4096ul
#define RW   (PROT_READ | PROT_WRITE)

struct share {
	struct gate g;
	char *at;
};

/* A child that sees what the parent wrote, and answers in the second page. */
static void share_child(void *arg)
{
	struct share *s = arg;

	gate_pass(&s->g);
	hold_peer();
	CHECK(filled(s->at, PAGE, 1));
	fill(s->at + PAGE, PAGE, 2);
}

static void share_with_child(char *at)
{
	struct share s = {gate_make(), at};
	pid_t pid;

	fill(at, PAGE, 1);
	pid = spawn(share_child, &s);
	gate_wait(&s.g, 1);
	hold();
	reap_good(pid);
	CHECK(filled(at, PAGE, 1));
	CHECK(filled(at + PAGE, PAGE, 2));
}

KIND(shared_anon, "anonymous memory shared with a child")
{
	share_with_child(map_anon(64 * PAGE, RW, MAP_SHARED));
}

KIND(shared_anon_alone, "anonymous shared memory that one task has, mapped in pieces")
{
	char *at = map_anon(64 * PAGE, RW, MAP_SHARED);

	fill(at, 64 * PAGE, 4);
	MUST(munmap(at + 8 * PAGE, 8 * PAGE));
	MUST(mprotect(at + 32 * PAGE, 8 * PAGE, PROT_READ));
	hold();
	CHECK(filled(at, 8 * PAGE, 4));
	CHECK_EQ(mprotect(at + 32 * PAGE, 8 * PAGE, RW), 0);
}

KIND(shared_anon_twice, "one shared object mapped twice by one task")
{
	char *a = map_anon(16 * PAGE, RW, MAP_SHARED), *b;

	/* An old size of 0 duplicates a shared mapping. */
	b = MUST(mremap(a, 0, 16 * PAGE, MREMAP_MAYMOVE));
	fill(a, 16 * PAGE, 1);
	hold();
	CHECK(filled(b, 16 * PAGE, 1));
	fill(b, 16 * PAGE, 2);
	CHECK(filled(a, 16 * PAGE, 2));
}

KIND(file_shared, "a shared mapping of a file, written through it")
{
	int fd = make_file("mapped", 16 * PAGE, O_RDWR | O_CLOEXEC);
	char *at = MUST(mmap(NULL, 16 * PAGE, RW, MAP_SHARED, fd, 0)), got[PAGE];

	fill(at + PAGE, PAGE, 5);
	hold();
	CHECK(filled(at + PAGE, PAGE, 5));
	fill(at + 2 * PAGE, PAGE, 6);
	CHECK_EQ(pread(fd, got, PAGE, 2 * PAGE), PAGE);
	CHECK(filled(got, PAGE, 6));
}

KIND(file_shared_readonly, "a shared mapping of a file opened for reading")
{
	int fd = make_file("mapped", 16 * PAGE, O_RDONLY | O_CLOEXEC);
	char *at = MUST(mmap(NULL, 16 * PAGE, PROT_READ, MAP_SHARED, fd, 0)), want[PAGE];

	MUST(pread(fd, want, PAGE, PAGE));
	close(fd);
	hold();
	CHECK(!memcmp(at + PAGE, want, PAGE));
	/* Never writable through this mapping, as before. */
	CHECK(mprotect(at, PAGE, RW) < 0 && errno == EACCES);
}

KIND(file_deleted_shared, "a shared mapping of a deleted file, with a child")
{
	int fd = make_file("gone", 16 * PAGE, O_RDWR | O_CLOEXEC);
	char *at = MUST(mmap(NULL, 16 * PAGE, RW, MAP_SHARED, fd, 0));

	close(fd);
	MUST(unlink(in_work("gone")));
	share_with_child(at);
}

KIND(memfd, "a memfd with its position and contents")
{
	int fd = MUST(memfd_create("one", MFD_CLOEXEC));
	char bytes[3 * PAGE + 17];

	fill(bytes, sizeof(bytes), 1);
	MUST(write(fd, bytes, sizeof(bytes)));
	MUST(lseek(fd, 1234, SEEK_SET));
	hold();
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 1234);
	CHECK_EQ(pread(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
	CHECK(filled(bytes, sizeof(bytes), 1));
	CHECK_EQ(lseek(fd, 0, SEEK_END), sizeof(bytes));
}

KIND(memfd_sealed, "a memfd with seals")
{
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
	int fd = MUST(memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING));

	MUST(write(fd, "contents", 8));
	MUST(fcntl(fd, F_ADD_SEALS, seals));
	hold();
	CHECK_EQ(fcntl(fd, F_GET_SEALS), seals);
	CHECK(write(fd, "x", 1) < 0 && errno == EPERM);
}

KIND(memfd_seals_apart, "memfds with no, some and later seals")
{
	int a = MUST(memfd_create("none", MFD_CLOEXEC));
	int b = MUST(memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING));
	int c = MUST(memfd_create("future", MFD_CLOEXEC | MFD_ALLOW_SEALING));
	char *at;

	MUST(ftruncate(c, PAGE));
	at = MUST(mmap(NULL, PAGE, RW, MAP_SHARED, c, 0));
	fill(at, PAGE, 3);
	MUST(fcntl(c, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	hold();
	CHECK_EQ(fcntl(a, F_GET_SEALS), F_SEAL_SEAL);
	CHECK_EQ(fcntl(b, F_GET_SEALS), 0);
	CHECK_EQ(fcntl(c, F_GET_SEALS), F_SEAL_FUTURE_WRITE);
	CHECK(filled(at, PAGE, 3));
	fill(at, PAGE, 4);
}

KIND(memfd_mapped, "a memfd mapped twice and shared with a child, descriptor kept")
{
	int fd = MUST(memfd_create("mapped", MFD_CLOEXEC));
	char *at, *again;

	MUST(ftruncate(fd, 16 * PAGE));
	at = MUST(mmap(NULL, 16 * PAGE, RW, MAP_SHARED, fd, 0));
	again = MUST(mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, fd, PAGE));
	share_with_child(at);
	CHECK(filled(again, PAGE, 2));
}

KIND(memfd_closed, "a mapping of a memfd whose descriptor is closed")
{
	int fd = MUST(memfd_create("closed", MFD_CLOEXEC));
	char *at;

	MUST(ftruncate(fd, 16 * PAGE));
	at = MUST(mmap(NULL, 16 * PAGE, RW, MAP_SHARED, fd, 0));
	close(fd);
	share_with_child(at);
}

KIND(memfd_private, "a private mapping of a memfd, with changed pages")
{
	int fd = MUST(memfd_create("private", MFD_CLOEXEC));
	char *at, got[PAGE];

	MUST(ftruncate(fd, 16 * PAGE));
	fill(got, PAGE, 1);
	MUST(pwrite(fd, got, PAGE, PAGE));
	at = MUST(mmap(NULL, 16 * PAGE, RW, MAP_PRIVATE, fd, 0));
	fill(at + 2 * PAGE, PAGE, 2);
	hold();
	CHECK(filled(at + PAGE, PAGE, 1));
	CHECK(filled(at + 2 * PAGE, PAGE, 2));
	CHECK_EQ(pread(fd, got, PAGE, 2 * PAGE), PAGE);
	CHECK_EQ(got[0], 0);
}

KIND(memfd_two_descriptions, "one memfd opened twice, for reading and for writing")
{
	int fd = MUST(memfd_create("twice", MFD_CLOEXEC)), again;
	char path[64], got[8];

	MUST(write(fd, "abcdefgh", 8));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = MUST(open(path, O_RDONLY | O_CLOEXEC));
	hold();
	CHECK_EQ(read(again, got, 3), 3);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 8);
	CHECK_EQ(pwrite(fd, "X", 1, 3), 1);
	CHECK_EQ(read(again, got, 1), 1);
	CHECK_EQ(got[0], 'X');
}

KIND(memfd_sparse, "a memfd of 1 GiB with three pages in it")
{
	int fd = MUST(memfd_create("sparse", MFD_CLOEXEC));
	char page[PAGE];
	struct stat st;

	MUST(ftruncate(fd, 1 << 30));
	for (int i = 0; i < 3; i++) {
		fill(page, PAGE, i);
		MUST(pwrite(fd, page, PAGE, i * (300l << 20)));
	}
	hold();
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(pread(fd, page, PAGE, i * (300l << 20)), PAGE);
		CHECK(filled(page, PAGE, i));
	}
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK(st.st_blocks * 512 < 1 << 20);
}

KIND(sysv, "a SysV segment, attached twice",
     .no_criu = "CRIU dumps SysV segments only together with their IPC namespace")
{
	int id = MUST(shmget(IPC_PRIVATE, 16 * PAGE, IPC_CREAT | 0600));
	char *a = MUST((char *)shmat(id, NULL, 0)), *b = MUST((char *)shmat(id, NULL, SHM_RDONLY));
	struct shmid_ds ds;

	MUST(shmctl(id, IPC_RMID, NULL));
	fill(a, 16 * PAGE, 1);
	hold();
	CHECK(filled(b, 16 * PAGE, 1));
	fill(a, 16 * PAGE, 2);
	CHECK(filled(b, 16 * PAGE, 2));
	CHECK_EQ(shmctl(id, IPC_STAT, &ds), 0);
	CHECK_EQ(ds.shm_nattch, 2);
	shmdt(a);
	shmdt(b);
}

KIND(sysv_shared, "a SysV segment shared with a child",
     .no_criu = "CRIU dumps SysV segments only together with their IPC namespace")
{
	int id = MUST(shmget(IPC_PRIVATE, 16 * PAGE, IPC_CREAT | 0600));
	char *at = MUST((char *)shmat(id, NULL, 0));

	share_with_child(at);
	shmctl(id, IPC_RMID, NULL);
}
