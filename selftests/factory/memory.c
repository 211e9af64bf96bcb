// SPDX-License-Identifier: GPL-2.0-only
/* Private memory: anonymous, of files, the special areas, and what madvise and its kin do. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "factory/factory.h"

#define PAGE 4096ul
#define RW   (PROT_READ | PROT_WRITE)

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08
#endif

KIND(anon, "4 MiB of anonymous private memory")
{
	char *at = map_anon(4 << 20, RW, MAP_PRIVATE);

	fill(at, 4 << 20, 1);
	hold();
	CHECK(filled(at, 4 << 20, 1));
}

KIND(anon_sparse, "every third page of an area, zero pages among them")
{
	char *at = map_anon(3000 * PAGE, RW, MAP_PRIVATE);
	volatile char zero;

	for (int i = 0; i < 1000; i++)
		fill(at + i * 3 * PAGE, PAGE, i);
	for (int i = 0; i < 1000; i++)
		zero = at[(i * 3 + 1) * PAGE];
	memset(at + 2 * PAGE, 0, PAGE);
	hold();
	zero = 0;
	for (int i = 0; i < 1000; i++) {
		CHECK(filled(at + i * 3 * PAGE, PAGE, i));
		for (unsigned long j = 0; j < 2 * PAGE; j += 64)
			zero |= at[(i * 3 + 1) * PAGE + j];
	}
	CHECK(!zero);
}

KIND(anon_huge_hole, "64 GiB without a page in them (MAP_NORESERVE)")
{
	char *at = map_anon(64ul << 30, RW, MAP_PRIVATE | MAP_NORESERVE);

	fill(at + (40ul << 30), PAGE, 3);
	hold();
	CHECK(filled(at + (40ul << 30), PAGE, 3));
	CHECK_EQ(at[0], 0);
}

KIND(many_mappings, "1000 mappings with gaps")
{
	char *at = map_anon(2000 * PAGE, RW, MAP_PRIVATE);

	for (int i = 0; i < 1000; i++) {
		fill(at + 2 * i * PAGE, PAGE, i);
		MUST(mprotect(at + (2 * i + 1) * PAGE, PAGE, PROT_NONE));
	}
	hold();
	for (int i = 0; i < 1000; i++)
		CHECK(filled(at + 2 * i * PAGE, PAGE, i));
}

KIND(protections, "every protection an area can have, changed after it was written")
{
	static const int prots[] = {
		PROT_NONE, PROT_READ,	  PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC,
		PROT_EXEC, RW | PROT_EXEC};
	char *at[6];

	for (int i = 0; i < 6; i++) {
		at[i] = map_anon(2 * PAGE, RW, MAP_PRIVATE);
		fill(at[i], 2 * PAGE, i);
		MUST(mprotect(at[i], 2 * PAGE, prots[i]));
	}
	hold();
	for (int i = 0; i < 6; i++) {
		CHECK_EQ(mprotect(at[i], 2 * PAGE, RW), 0);
		CHECK(filled(at[i], 2 * PAGE, i));
	}
}

KIND(code, "code written at run time")
{
	static const unsigned char answer[] = {0xb8, 42, 0, 0, 0, 0xc3}; /* mov $42, %eax; ret */
	char *at = map_anon(PAGE, RW, MAP_PRIVATE);
	int (*fn)(void) = (int (*)(void))at;

	memcpy(at, answer, sizeof(answer));
	MUST(mprotect(at, PAGE, PROT_READ | PROT_EXEC));
	hold();
	CHECK_EQ(fn(), 42);
}

KIND(fork_cow, "memory that a child has from its parent, changed on both sides")
{
	char *at = map_anon(100 * PAGE, RW, MAP_PRIVATE);
	struct gate g = gate_make();
	pid_t pid;

	for (int i = 0; i < 100; i++)
		fill(at + i * PAGE, PAGE, i);
	pid = MUST(fork());
	if (pid == 0) {
		for (int i = 0; i < 50; i++)
			fill(at + i * PAGE, PAGE, 1000 + i);
		gate_pass(&g);
		hold_peer();
		for (int i = 0; i < 100; i++)
			CHECK(filled(at + i * PAGE, PAGE, i < 50 ? 1000 + i : i));
		_exit(differences() ? 1 : 0);
	}
	for (int i = 25; i < 75; i++)
		fill(at + i * PAGE, PAGE, 2000 + i);
	gate_wait(&g, 1);
	hold();
	for (int i = 0; i < 100; i++)
		CHECK(filled(at + i * PAGE, PAGE, i >= 25 && i < 75 ? 2000 + i : i));
	reap_good(pid);
}

KIND(fork_moved, "memory from the parent that the child has moved elsewhere")
{
	char *at = map_anon(16 * PAGE, RW, MAP_PRIVATE);
	struct gate g = gate_make();
	pid_t pid;

	fill(at, 16 * PAGE, 5);
	pid = MUST(fork());
	if (pid == 0) {
		char *to = map_anon(64 * PAGE, PROT_NONE, MAP_PRIVATE);

		to = MUST(mremap(at, 16 * PAGE, 16 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
				 to + 8 * PAGE));
		gate_pass(&g);
		hold_peer();
		CHECK(filled(to, 16 * PAGE, 5));
		_exit(differences() ? 1 : 0);
	}
	gate_wait(&g, 1);
	hold();
	CHECK(filled(at, 16 * PAGE, 5));
	reap_good(pid);
}

KIND(file_private, "a private mapping of a file, pages of it changed")
{
	int fd = make_file("mapped", 20 * PAGE + 100, O_RDONLY | O_CLOEXEC);
	char *at = MUST(mmap(NULL, 21 * PAGE, RW, MAP_PRIVATE, fd, 0)), want[PAGE];

	MUST(pread(fd, want, PAGE, PAGE));
	close(fd);
	fill(at + 2 * PAGE, PAGE, 2);
	memset(at + 3 * PAGE, 0, PAGE);
	hold();
	CHECK(filled(at + 2 * PAGE, PAGE, 2));
	CHECK(!memcmp(at + PAGE, want, PAGE));
	CHECK(at[3 * PAGE] == 0 && !memcmp(at + 3 * PAGE, at + 3 * PAGE + 1, PAGE - 1));
}

KIND(file_private_offset, "private mappings of a file at offsets, read-only and executable")
{
	int fd = make_file("mapped", 20 * PAGE, O_RDONLY | O_CLOEXEC);
	char *a = MUST(mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE, fd, 8 * PAGE));
	char *b = MUST(mmap(NULL, 4 * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 2 * PAGE));
	char want[PAGE];

	hold();
	CHECK_EQ(pread(fd, want, PAGE, 9 * PAGE), PAGE);
	CHECK(!memcmp(a + PAGE, want, PAGE));
	CHECK_EQ(pread(fd, want, PAGE, 2 * PAGE), PAGE);
	CHECK(!memcmp(b, want, PAGE));
}

KIND(file_private_beyond, "a private mapping that goes beyond the end of its file")
{
	int fd = make_file("mapped", PAGE, O_RDWR | O_CLOEXEC);
	char *at = MUST(mmap(NULL, 8 * PAGE, RW, MAP_PRIVATE, fd, 0));

	MUST(ftruncate(fd, 8 * PAGE));
	fill(at + 5 * PAGE, PAGE, 5);
	MUST(ftruncate(fd, 8 * PAGE - 100));
	hold();
	CHECK(filled(at + 5 * PAGE, PAGE, 5));
}

KIND(file_deleted_private, "a private mapping of a deleted file")
{
	int fd = make_file("gone", 4 * PAGE, O_RDWR | O_CLOEXEC);
	char *at = MUST(mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE, fd, 0)), want[PAGE];

	MUST(pread(fd, want, PAGE, 0));
	fill(at + PAGE, PAGE, 9);
	MUST(unlink(in_work("gone")));
	close(fd);
	hold();
	CHECK(!memcmp(at, want, PAGE));
	CHECK(filled(at + PAGE, PAGE, 9));
}

KIND(heap, "a heap that has grown and shrunk")
{
	char *start = sbrk(0), *now;

	MUST(sbrk(4 << 20));
	fill(start, 2 << 20, 4);
	MUST(sbrk(-(1 << 20)));
	now = sbrk(0);
	hold();
	/* malloc() moves the break too: before anything that uses it. */
	CHECK(sbrk(PAGE) == now);
	now[0] = 1;
	CHECK(filled(start, 2 << 20, 4));
}

KIND(stack_deep, "a stack that has grown by 4 MiB and goes on growing")
{
	char deep[4 << 20];
	volatile char *deeper;

	fill(deep, sizeof(deep), 6);
	hold();
	CHECK(filled(deep, sizeof(deep), 6));
	deeper = __builtin_alloca(1 << 20);
	for (int i = (1 << 20) - 1; i >= 0; i -= PAGE)
		deeper[i] = 1;
}

KIND(growsdown, "an area that grows downwards (MAP_GROWSDOWN)")
{
	char *room = map_anon(2048 * PAGE, PROT_NONE, MAP_PRIVATE), *at;

	MUST(munmap(room, 2048 * PAGE));
	at = MUST(mmap(room + 2000 * PAGE, 8 * PAGE, RW,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0));
	fill(at, 8 * PAGE, 2);
	at[-1] = 1;
	hold();
	CHECK(filled(at, 8 * PAGE, 2));
	CHECK_EQ(at[-1], 1);
	at[-(long)PAGE - 1] = 1;
}

KIND(vdso, "the vDSO at its address, usable")
{
	unsigned long vdso = getauxval(AT_SYSINFO_EHDR);
	struct timespec before, after;

	MUST(clock_gettime(CLOCK_REALTIME, &before));
	hold();
	CHECK_EQ(getauxval(AT_SYSINFO_EHDR), vdso);
	CHECK(!memcmp((void *)vdso, "\177ELF", 4));
	for (int i = 0; i < 1000; i++)
		CHECK_EQ(clock_gettime(CLOCK_REALTIME, &after), 0);
	CHECK(after.tv_sec >= before.tv_sec && after.tv_sec < before.tv_sec + 600);
}

/* One field of /proc/self/stat, by its number in proc(5). */
static unsigned long stat_field(int number)
{
	char text[2048] = {}, *at;
	int fd = MUST(open("/proc/self/stat", O_RDONLY | O_CLOEXEC));

	MUST(read(fd, text, sizeof(text) - 1));
	close(fd);
	at = strrchr(text, ')');
	for (int i = 2; i < number && at; i++)
		at = strchr(at + 1, ' ');
	return at ? strtoul(at + 1, NULL, 10) : 0;
}

KIND(mm_fields, "command line, environment and auxv moved with PR_SET_MM_MAP")
{
	static uint64_t auxv[] = {AT_PAGESZ, 4096, AT_UID, 77, AT_NULL, 0};
	char *at = map_anon(PAGE, RW, MAP_PRIVATE), got[100] = {};
	struct prctl_mm_map map = {.start_code = stat_field(26),
				   .end_code = stat_field(27),
				   .start_stack = stat_field(28),
				   .start_data = stat_field(45),
				   .end_data = stat_field(46),
				   .start_brk = stat_field(47),
				   .brk = (unsigned long)sbrk(0),
				   .arg_start = (unsigned long)at,
				   .arg_end = (unsigned long)at + 11,
				   .env_start = (unsigned long)at + 11,
				   .env_end = (unsigned long)at + 20,
				   .auxv = (void *)auxv,
				   .auxv_size = sizeof(auxv),
				   .exe_fd = -1};
	int fd;

	memcpy(at, "other\0name\0KEY=valu", 20);
	if (prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0) < 0)
		skip("PR_SET_MM_MAP: %s", strerror(errno));
	hold();
	fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	CHECK_EQ(read(fd, got, sizeof(got)), 11);
	CHECK(!memcmp(got, "other\0name", 11));
	close(fd);
	CHECK((char *)sbrk(0) == (char *)map.brk);
}

KIND(prot_none, "contents below PROT_NONE, some pages of an area")
{
	char *at = map_anon(10 * PAGE, RW, MAP_PRIVATE);

	fill(at, 10 * PAGE, 8);
	MUST(mprotect(at + 3 * PAGE, 4 * PAGE, PROT_NONE));
	hold();
	CHECK_EQ(mprotect(at, 10 * PAGE, RW), 0);
	CHECK(filled(at, 10 * PAGE, 8));
}

static bool faults(char *at)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		*(volatile char *)at = 1;
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

KIND(guard_regions, "guard pages (MADV_GUARD_INSTALL) within an area")
{
	char *at = map_anon(16 * PAGE, RW, MAP_PRIVATE);

	fill(at, 16 * PAGE, 3);
	if (madvise(at + 4 * PAGE, 2 * PAGE, MADV_GUARD_INSTALL) < 0)
		skip("MADV_GUARD_INSTALL: %s", strerror(errno));
	hold();
	CHECK(faults(at + 4 * PAGE));
	CHECK(faults(at + 6 * PAGE - 1));
	CHECK(!faults(at + 6 * PAGE));
	CHECK(filled(at, 4 * PAGE, 3));
}

KIND(mixed_mappings, "2500 mappings: anonymous, of a file, below PROT_NONE, guarded, a large one")
{
	char *at = map_anon(5000 * PAGE, RW, MAP_PRIVATE);
	int fd = make_file("mapped", 4 * PAGE, O_RDWR | O_CLOEXEC);
	bool guards = true;

	for (int i = 0; i < 2500; i++) {
		char *page = at + i * 2 * PAGE;

		if (i % 3 == 0)
			MUST(mmap(page, PAGE, RW, MAP_PRIVATE | MAP_FIXED, fd, i % 4 * PAGE));
		fill(page, PAGE, i);
		if (i % 3 == 1)
			MUST(mprotect(page, PAGE, i % 2 ? PROT_NONE : PROT_READ));
		MUST(munmap(page + PAGE, PAGE));
		if (i % 500 == 2)
			guards &= !madvise(page, PAGE, MADV_GUARD_INSTALL);
	}
	fill(map_anon(20 << 20, RW, MAP_PRIVATE), 20 << 20, 1);
	hold();
	for (int i = 0; i < 2500; i++) {
		char *page = at + i * 2 * PAGE;

		if (i % 3 == 1)
			CHECK_EQ(mprotect(page, PAGE, RW), 0);
		if (!guards || i % 500 != 2)
			CHECK(filled(page, PAGE, i));
		else
			CHECK(faults(page));
	}
}

KIND(madvise_flags, "areas with each advice that stays")
{
	static const int advice[] = {MADV_RANDOM,   MADV_SEQUENTIAL, MADV_DONTFORK,  MADV_DONTDUMP,
				     MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_WIPEONFORK};
	char *at[7];

	for (int i = 0; i < 7; i++) {
		at[i] = map_anon(4 * PAGE, RW, MAP_PRIVATE);
		fill(at[i], 4 * PAGE, i);
		/* A gap, so that none can be taken for its neighbour. */
		map_anon(PAGE, PROT_NONE, MAP_PRIVATE);
		if (madvise(at[i], 4 * PAGE, advice[i]) < 0 && errno != EINVAL)
			skip("madvise %d: %s", advice[i], strerror(errno));
	}
	hold();
	for (int i = 0; i < 7; i++)
		CHECK(filled(at[i], 4 * PAGE, i));
}

KIND(ksm, "an area given to KSM (MADV_MERGEABLE)")
{
	char *at = map_anon(4 * PAGE, RW, MAP_PRIVATE);

	fill(at, 4 * PAGE, 1);
	if (madvise(at, 4 * PAGE, MADV_MERGEABLE) < 0)
		skip("MADV_MERGEABLE: %s", strerror(errno));
	hold();
	CHECK(filled(at, 4 * PAGE, 1));
}

KIND(anon_name, "an anonymous area with a name (PR_SET_VMA_ANON_NAME)",
     .no_criu_restore = "CRIU 4.2 loses names of areas")
{
	char *at = map_anon(4 * PAGE, RW, MAP_PRIVATE);

	fill(at, 4 * PAGE, 1);
	if (prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, at, 4 * PAGE, "stasis test") < 0)
		skip("PR_SET_VMA_ANON_NAME: %s", strerror(errno));
	hold();
	CHECK(filled(at, 4 * PAGE, 1));
}

KIND(mlock, "a locked area")
{
	char *at = map_anon(4 * PAGE, RW, MAP_PRIVATE);

	MUST(mlock(at, 4 * PAGE));
	fill(at, 4 * PAGE, 1);
	hold();
	CHECK(filled(at, 4 * PAGE, 1));
	CHECK_EQ(munlock(at, 4 * PAGE), 0);
}

KIND(mlock_onfault, "an area whose pages are locked when they come (MLOCK_ONFAULT)",
     .no_criu = "CRIU 4.2 locks all pages of such an area")
{
	char *at = map_anon(16 * PAGE, RW, MAP_PRIVATE);

	MUST(mlock2(at, 16 * PAGE, MLOCK_ONFAULT));
	fill(at, PAGE, 2);
	hold();
	CHECK(filled(at, PAGE, 2));
}

/* Whether a new mapping is locked, and its pages there at once. */
static void check_future(bool locked, bool populated)
{
	unsigned char there = 0;
	char *at = map_anon(PAGE, RW, MAP_PRIVATE);

	CHECK_EQ(msync(at, PAGE, MS_INVALIDATE), locked ? -1 : 0);
	MUST(mincore(at, PAGE, &there));
	CHECK_EQ(there & 1, populated);
	munmap(at, PAGE);
}

KIND(mlockall, "all memory locked, also what is yet to come",
     .no_criu = "CRIU 4.2 doesn't keep MCL_FUTURE")
{
	char *at = map_anon(4 * PAGE, RW, MAP_PRIVATE);

	MUST(mlockall(MCL_CURRENT | MCL_FUTURE));
	fill(at, 4 * PAGE, 1);
	check_future(true, true);
	hold();
	CHECK(filled(at, 4 * PAGE, 1));
	check_future(true, true);
	CHECK_EQ(munlockall(), 0);
	check_future(false, false);
}

KIND(mlockall_onfault, "all memory locked when it comes, also what is yet to come",
     .no_criu = "CRIU 4.2 doesn't keep MCL_FUTURE")
{
	char *at = map_anon(4 * PAGE, RW, MAP_PRIVATE);

	MUST(mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT));
	fill(at, 2 * PAGE, 1);
	check_future(true, false);
	hold();
	CHECK(filled(at, 2 * PAGE, 1));
	check_future(true, false);
	CHECK_EQ(munlockall(), 0);
}

KIND(huge_pages, "transparent huge pages, possible again afterwards")
{
	char *room = map_anon(8 << 20, RW, MAP_PRIVATE);
	char *at = (char *)(((unsigned long)room + (2 << 20) - 1) & ~((2ul << 20) - 1));

	madvise(at, 4 << 20, MADV_HUGEPAGE);
	fill(at, 4 << 20, 1);
	hold();
	CHECK(filled(at, 4 << 20, 1));
	/* EINVAL: not possible there; anything else is a matter of memory. */
	if (madvise(at, 2 << 20, MADV_COLLAPSE) < 0)
		CHECK(errno != EINVAL);
	CHECK(filled(at, 4 << 20, 1));
}

KIND(thp_disabled, "huge pages switched off for the process (PR_SET_THP_DISABLE)")
{
	MUST(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	hold();
	CHECK_EQ(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 1);
}

/* CRIU gives shared ones another name, and may. */
KIND(hugetlb, "private and shared huge pages (MAP_HUGETLB)", .lost = "map")
{
	size_t n = 2 << 20;
	char *a, *b;

	/* Four pages for this run; the pool is put back by whoever reads it next: it stays as
	 * large. */
	if (system("n=$(cat /proc/sys/vm/nr_hugepages); [ $n -ge 12 ] || "
		   "echo 12 2>/dev/null >/proc/sys/vm/nr_hugepages") < 0)
		skip("no shell");
	a = mmap(NULL, n, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	b = mmap(NULL, n, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (a == MAP_FAILED || b == MAP_FAILED)
		skip("no huge pages can be had: %s", strerror(errno));
	fill(a, n, 1);
	fill(b, n, 2);
	hold();
	CHECK(filled(a, n, 1));
	CHECK(filled(b, n, 2));
}

KIND(droppable, "memory that the kernel may drop (MAP_DROPPABLE)", .later = "MAP_DROPPABLE",
     .no_criu = "CRIU 4.2 doesn't know MAP_DROPPABLE")
{
	char *at = mmap(NULL, 4 * PAGE, RW, MAP_DROPPABLE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		skip("MAP_DROPPABLE: %s", strerror(errno));
	hold();
	at[0] = 1;
}

KIND(low_address, "a mapping at the lowest address that is allowed")
{
	char *at = mmap((void *)(16 * PAGE), 4 * PAGE, RW,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	if (at == MAP_FAILED)
		skip("map at 64 KiB: %s", strerror(errno));
	fill(at, 4 * PAGE, 1);
	hold();
	CHECK(filled(at, 4 * PAGE, 1));
}

KIND(dev_zero, "private and shared mappings of /dev/zero")
{
	int fd = MUST(open("/dev/zero", O_RDWR | O_CLOEXEC));
	char *a = MUST(mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE, fd, 0));
	char *b = MUST(mmap(NULL, 4 * PAGE, RW, MAP_SHARED, fd, 0));

	close(fd);
	fill(a, 4 * PAGE, 1);
	fill(b, 4 * PAGE, 2);
	hold();
	CHECK(filled(a, 4 * PAGE, 1));
	CHECK(filled(b, 4 * PAGE, 2));
}
