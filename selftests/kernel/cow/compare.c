// SPDX-License-Identifier: GPL-2.0-only
/* kcmp(KCMP_COW): is the anonymous page at this address the one at that address? */
#define _GNU_SOURCE
#include "cow.h"

#include "../kselftest_harness.h"

#define N 16

static int compare(pid_t pid1, void *addr1, pid_t pid2, void *addr2)
{
	long ret = syscall(SYS_kcmp, pid1, pid2, KCMP_TYPE_COW, addr1, addr2);

	return ret < 0 ? -errno : ret;
}

FIXTURE(compare)
{
	struct scan *scan;
	struct sharer child;
	struct changes changes;
	int pagemap;
	pid_t me;
	char *p;
};

FIXTURE_SETUP(compare)
{
	const char *why = no_kcmp_cow();

	if (why)
		SKIP(return, "%s", why);
	self->me = getpid();
	self->p = map_anon(N * PAGE);
	self->pagemap = open_pagemap(self->me);
	self->scan = mmap(NULL, sizeof(*self->scan), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->scan);
	write_pages(self->p, N * PAGE);
	ASSERT_EQ(0, sharer_start(&self->child));
}

FIXTURE_TEARDOWN(compare)
{
	sharer_stop(&self->child);
	undo_changes(&self->changes);
	close(self->pagemap);
}

TEST_F(compare, equal_until_written)
{
	for (int i = 0; i < N; i++)
		EXPECT_EQ(0, compare(self->me, self->p + i * PAGE, self->child.pid,
				     self->p + i * PAGE));
	ASSERT_TRUE(sharer_do(&self->child, JOB_WRITE, self->p + 3 * PAGE, PAGE, NULL));
	for (int i = 0; i < N; i++) {
		int ret = compare(self->me, self->p + i * PAGE, self->child.pid,
				  self->p + i * PAGE);

		EXPECT_EQ(i == 3, ret == 1 || ret == 2);
		EXPECT_EQ(i != 3, ret == 0);
	}
}

TEST_F(compare, anywhere_in_the_page)
{
	EXPECT_EQ(0, compare(self->me, self->p + 17, self->child.pid, self->p + PAGE - 1));
	EXPECT_LT(0, compare(self->me, self->p + PAGE, self->child.pid, self->p + PAGE - 1));
}

TEST_F(compare, one_process_with_itself)
{
	EXPECT_EQ(0, compare(self->me, self->p, self->me, self->p));
	EXPECT_LT(0, compare(self->me, self->p, self->me, self->p + PAGE));
}

static int compare_with_parent(void *data)
{
	return compare(getpid(), data, getppid(), data) ||
	       compare(getppid(), data, getpid(), data) ||
	       compare(getpid(), data, getppid(), (char *)data + PAGE) <= 0;
}

/* Two processes, of which either is found by its own pid, and one address space that both lock */
TEST_F(compare, two_processes_with_one_address_space)
{
	const size_t size = 16 * PAGE;
	char *stack = map_anon(size);
	int status;
	pid_t pid;

	ASSERT_NE(NULL, stack);
	pid = clone(compare_with_parent, stack + size, CLONE_VM | CLONE_VFORK | SIGCHLD, self->p);
	ASSERT_LT(0, pid);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status));
}

TEST_F(compare, pages_of_its_own)
{
	char *own = map_anon(2 * PAGE);

	write_pages(own, 2 * PAGE);
	EXPECT_EQ(0, compare(self->me, own, self->me, own));
	EXPECT_LT(0, compare(self->me, own, self->me, own + PAGE));
	EXPECT_LT(0, compare(self->me, own, self->child.pid, self->p));
}

TEST_F(compare, at_another_address)
{
	char *to = map_anon(N * PAGE);

	ASSERT_TRUE(sharer_do(&self->child, JOB_MOVE, self->p, N * PAGE, to));
	for (int i = 0; i < N; i++)
		EXPECT_EQ(0, compare(self->me, self->p + i * PAGE, self->child.pid, to + i * PAGE));
	EXPECT_EQ(-EFAULT, compare(self->me, self->p, self->child.pid, self->p));
}

TEST_F(compare, order_is_one)
{
	for (int i = 0; i < N; i++) {
		for (int j = 0; j < N; j++) {
			int ij = compare(self->me, self->p + i * PAGE, self->child.pid,
					 self->p + j * PAGE);
			int ji = compare(self->child.pid, self->p + j * PAGE, self->me,
					 self->p + i * PAGE);

			EXPECT_EQ(i == j, ij == 0);
			EXPECT_EQ(ij ? 3 - ij : 0, ji);
			for (int k = 0; k < N; k++) {
				int jk = compare(self->me, self->p + j * PAGE, self->me,
						 self->p + k * PAGE);

				if (ij == 1 && jk == 1)
					EXPECT_EQ(1, compare(self->me, self->p + i * PAGE, self->me,
							     self->p + k * PAGE));
			}
		}
	}
}

TEST_F(compare, order_is_that_of_the_identities)
{
	if (no_cow_ids() || !may_have_ids())
		SKIP(return, "no identities, or not for us (EPERM)");
	ASSERT_EQ(1, scan_ids(self->pagemap, self->p, N * PAGE, self->scan));
	for (int i = 1; i < N; i++)
		EXPECT_EQ(
			self->scan->ids[i - 1] < self->scan->ids[i] ? 1 : 2,
			compare(self->me, self->p + (i - 1) * PAGE, self->me, self->p + i * PAGE));
}

TEST_F(compare, huge_page)
{
	char *p = map_aligned(HUGE_SIZE);

	sharer_stop(&self->child);
	madvise(p, HUGE_SIZE, MADV_HUGEPAGE);
	write_pages(p, HUGE_SIZE);
	madvise(p, HUGE_SIZE, MADV_COLLAPSE);
	ASSERT_LE(0, scan_pages(self->pagemap, p, HUGE_SIZE, self->scan));
	if (!(self->scan->categories[0] & PAGE_IS_HUGE))
		SKIP(return, "got no transparent huge page");
	ASSERT_EQ(0, sharer_start(&self->child));
	EXPECT_EQ(0, compare(self->me, p + 9 * PAGE, self->child.pid, p + 9 * PAGE));
	EXPECT_LT(0, compare(self->me, p + 9 * PAGE, self->child.pid, p + 8 * PAGE));
	ASSERT_TRUE(sharer_do(&self->child, JOB_WRITE, p + 9 * PAGE, PAGE, NULL));
	EXPECT_LT(0, compare(self->me, p + 9 * PAGE, self->child.pid, p + 9 * PAGE));
	EXPECT_EQ(0, compare(self->me, p + 8 * PAGE, self->child.pid, p + 8 * PAGE));
}

TEST_F(compare, private_hugetlb)
{
	char *p;

	sharer_stop(&self->child);
	more_huge_pages(&self->changes, 4);
	p = mmap(NULL, HUGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB,
		 -1, 0);
	if (p == MAP_FAILED)
		SKIP(return, "no hugetlb pages: %s", strerror(errno));
	write_pages(p, PAGE);
	ASSERT_EQ(0, sharer_start(&self->child));
	EXPECT_EQ(0, compare(self->me, p + 9 * PAGE, self->child.pid, p + 9 * PAGE));
	EXPECT_LT(0, compare(self->me, p + 9 * PAGE, self->child.pid, p + 8 * PAGE));
	ASSERT_TRUE(sharer_do(&self->child, JOB_WRITE, p, PAGE, NULL));
	EXPECT_LT(0, compare(self->me, p + 9 * PAGE, self->child.pid, p + 9 * PAGE));
	munmap(p, HUGE_SIZE);
}

TEST_F(compare, in_swap)
{
	const char *why = swap_start(&self->changes);
	char *p = map_anon(N * PAGE);

	sharer_stop(&self->child);
	if (why)
		SKIP(return, "%s", why);
	write_pages(p, N * PAGE);
	if (!swap_out(self->pagemap, p, N * PAGE, self->scan))
		SKIP(return, "the pages didn't go to swap");
	ASSERT_EQ(0, sharer_start(&self->child));
	EXPECT_EQ(0, compare(self->me, p, self->child.pid, p));
	EXPECT_LT(0, compare(self->me, p, self->child.pid, p + PAGE));
	ASSERT_TRUE(sharer_do(&self->child, JOB_READ, p, PAGE, NULL));
	EXPECT_EQ(0, compare(self->me, p, self->child.pid, p));
	ASSERT_TRUE(sharer_do(&self->child, JOB_WRITE, p, PAGE, NULL));
	EXPECT_LT(0, compare(self->me, p, self->child.pid, p));
	/* Nothing was brought back for asking. */
	ASSERT_LE(0, scan_pages(self->pagemap, p, N * PAGE, self->scan));
	EXPECT_EQ(N, count_pages(self->scan, N, PAGE_IS_SWAPPED));
}

TEST_F(compare, where_no_anonymous_page_is)
{
	char *empty = map_anon(PAGE), *zero = map_anon(PAGE);
	char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fd = memfd_create("file", MFD_CLOEXEC);
	char *file;

	ASSERT_EQ(0, ftruncate(fd, PAGE));
	file = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	read_pages(zero, PAGE);
	read_pages(file, PAGE);
	write_pages(shared, PAGE);

	EXPECT_EQ(-ENOENT, compare(self->me, empty, self->me, empty));
	EXPECT_EQ(-ENOENT, compare(self->me, zero, self->me, zero));
	EXPECT_EQ(-ENOENT, compare(self->me, shared, self->me, shared));
	EXPECT_EQ(-ENOENT, compare(self->me, file, self->me, file));
	EXPECT_EQ(-ENOENT, compare(self->me, self->p, self->me, empty));
	EXPECT_EQ(-ENOENT, compare(self->me, empty, self->me, self->p));
	write_pages(file, PAGE);
	EXPECT_EQ(0, compare(self->me, file, self->me, file));
	close(fd);
}

TEST_F(compare, outside_of_any_mapping)
{
	char *gone = map_anon(PAGE);

	munmap(gone, PAGE);
	EXPECT_EQ(-EFAULT, compare(self->me, gone, self->me, self->p));
	EXPECT_EQ(-EFAULT, compare(self->me, self->p, self->me, gone));
	EXPECT_EQ(-EFAULT, compare(self->me, NULL, self->me, self->p));
	EXPECT_EQ(-EFAULT, compare(self->me, (void *)-1L, self->me, self->p));
	EXPECT_EQ(-EFAULT, compare(self->me, (void *)(1UL << 63), self->me, self->p));
}

TEST_F(compare, no_such_process_or_no_memory)
{
	pid_t zombie = fork();

	if (!zombie)
		_exit(0);
	ASSERT_LT(0, zombie);
	ASSERT_EQ(0, waitid(P_PID, zombie, &(siginfo_t){}, WEXITED | WNOWAIT));
	EXPECT_EQ(-ESRCH, compare(self->me, self->p, zombie, self->p));
	EXPECT_EQ(-ESRCH, compare(zombie, self->p, self->me, self->p));
	waitpid(zombie, NULL, 0);
	EXPECT_EQ(-ESRCH, compare(self->me, self->p, zombie, self->p));
	/* A kernel thread, unless there is none in this namespace, or it is not for us. */
	if (access("/proc/2/exe", F_OK) && compare(2, self->p, self->me, self->p) != -EPERM) {
		EXPECT_EQ(-ESRCH, compare(2, self->p, self->me, self->p));
		EXPECT_EQ(-ESRCH, compare(self->me, self->p, 2, self->p));
	}
}

#define SKIP_NO_USER "needs root, to become another user"

struct compare_call {
	pid_t pid;
	char *p;
};

static int compare_unprivileged(void *data)
{
	struct compare_call *call = data;

	if (geteuid() == 65534 || setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		return 127;
	/* Access to oneself is not enough, on either side. */
	if (compare(getpid(), call->p, getpid(), call->p))
		return 126;
	if (compare(getpid(), call->p, call->pid, call->p) != -EPERM)
		return 125;
	if (compare(call->pid, call->p, getpid(), call->p) != -EPERM)
		return 124;
	return compare(call->pid, call->p, call->pid, call->p) != -EPERM;
}

static int compare_own_children(void *data)
{
	struct compare_call *call = data;
	struct sharer child = {};
	int ret;

	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		return 127;
	/* A program becomes dumpable again by execve; here a word must do. */
	prctl(PR_SET_DUMPABLE, 1);
	if (sharer_start(&child))
		return 126;
	ret = compare(getpid(), call->p, child.pid, call->p);
	sharer_stop(&child);
	return ret < 0 ? -ret : ret;
}

static int compare_in_userns(void *data)
{
	struct compare_call *call = data;

	if (unshare(CLONE_NEWUSER))
		return 127;
	/* The parent is in the namespace above. */
	if (compare(call->pid, call->p, getpid(), call->p) != -EPERM)
		return 126;
	if (compare(getpid(), call->p, call->pid, call->p) != -EPERM)
		return 125;
	return compare(getpid(), call->p, getpid(), call->p) ? 124 : 0;
}

TEST_F(compare, needs_access_to_both)
{
	struct compare_call call = {self->me, self->p};
	int ret = in_child(compare_unprivileged, &call);

	if (ret == 127)
		SKIP(return, SKIP_NO_USER);
	EXPECT_EQ(0, ret);
}

TEST_F(compare, needs_no_capability)
{
	struct compare_call call = {self->me, self->p};
	int ret = in_child(compare_own_children, &call);

	if (ret == 127)
		SKIP(return, SKIP_NO_USER);
	EXPECT_EQ(0, ret);
}

TEST_F(compare, access_ends_at_the_user_namespace)
{
	struct compare_call call = {self->me, self->p};
	int ret = in_child(compare_in_userns, &call);

	if (ret == 127)
		SKIP(return, "no user namespaces");
	EXPECT_EQ(0, ret);
}

TEST_F(compare, the_type_behind_is_still_unknown)
{
	EXPECT_EQ(-1, syscall(SYS_kcmp, self->me, self->me, KCMP_TYPE_COW + 1, self->p, self->p));
	EXPECT_EQ(EINVAL, errno);
}

TEST_HARNESS_MAIN
