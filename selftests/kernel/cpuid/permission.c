// SPDX-License-Identifier: GPL-2.0-only
/* Who may set a table, who may replace it, and what the others get. */
#define _GNU_SOURCE
#include "cpuid_test.h"

#include <sys/mount.h>
#include <sys/stat.h>

#include "../kselftest_harness.h"

struct caller {
	uint64_t keep;
	bool no_new_privs, user_ns, has_table, other_user;
};

FIXTURE(permission)
{
	struct caller caller;
};

#define WANTED (CAP(CAP_SYS_ADMIN) | CAP(CAP_CHECKPOINT_RESTORE))
#define OTHERS (~0ULL & ~WANTED)

FIXTURE_SETUP(permission)
{
	const char *why = unsupported();
	uint64_t now;

	if (why)
		SKIP(return, "%s", why);
	if (capabilities(&now) || (now & WANTED) != WANTED)
		SKIP(return,
			   "needs CAP_SYS_ADMIN and CAP_CHECKPOINT_RESTORE, to keep one or the other");
}

FIXTURE_TEARDOWN(permission)
{
}

/* Sets a table as the caller it is told to be; the exit status is the errno, 127 for no user
 * namespaces, 125 or 126 if the caller could not be made. */
static int set_as(void *data)
{
	struct caller *c = data;

	if (c->has_table && set_magic(1))
		return 126;
	if (c->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return 125;
	if (c->other_user && setresuid(NOBODY, NOBODY, NOBODY))
		return 125;
	if (c->user_ns && unshare(CLONE_NEWUSER))
		return 127;
	if (c->keep != ~0ULL && drop_capabilities(c->keep))
		return 125;
	return -set_magic(2);
}

#define TRY(...)                                             \
	({                                                   \
		self->caller = (struct caller){__VA_ARGS__}; \
		in_child(set_as, &self->caller);             \
	})

TEST_F(permission, nobody)
{
	EXPECT_EQ(EACCES, TRY(.keep = 0));
	EXPECT_EQ(EACCES, TRY(.keep = OTHERS));
}

TEST_F(permission, either_capability)
{
	EXPECT_EQ(0, TRY(.keep = CAP(CAP_CHECKPOINT_RESTORE)));
	EXPECT_EQ(0, TRY(.keep = CAP(CAP_SYS_ADMIN)));
}

TEST_F(permission, no_new_privs)
{
	EXPECT_EQ(0, TRY(.keep = 0, .no_new_privs = true));
}

TEST_F(permission, only_a_capability_replaces)
{
	EXPECT_EQ(EPERM, TRY(.keep = 0, .has_table = true));
	EXPECT_EQ(EPERM, TRY(.keep = 0, .has_table = true, .no_new_privs = true));
	EXPECT_EQ(EPERM, TRY(.keep = OTHERS, .has_table = true, .no_new_privs = true));
	EXPECT_EQ(0, TRY(.keep = CAP(CAP_CHECKPOINT_RESTORE), .has_table = true));
	EXPECT_EQ(0, TRY(.keep = CAP(CAP_SYS_ADMIN), .has_table = true));
}

static int remove_without_capability(void *data)
{
	(void)data;
	if (set_magic(1))
		return 126;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || drop_capabilities(0))
		return 125;
	return set_table(NULL, 0) == -EPERM && magic() == 1 ? 0 : 1;
}

TEST_F(permission, only_a_capability_removes)
{
	EXPECT_EQ(0, in_child(remove_without_capability, NULL));
}

TEST_F(permission, capability_in_the_callers_user_namespace)
{
	int ret = TRY(.keep = ~0ULL, .user_ns = true);

	if (ret == 127)
		SKIP(return, "no user namespaces");
	EXPECT_EQ(0, ret);
	EXPECT_EQ(EACCES, TRY(.keep = 0, .user_ns = true));
}

/* Who makes a user namespace is privileged within it. */
TEST_F(permission, a_new_user_namespace_replaces)
{
	int ret = TRY(.keep = ~0ULL, .user_ns = true, .has_table = true);

	if (ret == 127)
		SKIP(return, "no user namespaces");
	EXPECT_EQ(0, ret);
	EXPECT_EQ(EPERM, TRY(.keep = 0, .user_ns = true, .has_table = true));
	EXPECT_EQ(EPERM, TRY(.keep = OTHERS, .user_ns = true, .has_table = true));
}

TEST_F(permission, other_users)
{
	int ret;

	EXPECT_EQ(EACCES, TRY(.keep = ~0ULL, .other_user = true));
	EXPECT_EQ(0, TRY(.keep = ~0ULL, .other_user = true, .no_new_privs = true));
	EXPECT_EQ(EPERM, TRY(.keep = ~0ULL, .other_user = true, .has_table = true));
	EXPECT_EQ(EPERM,
		  TRY(.keep = ~0ULL, .other_user = true, .no_new_privs = true, .has_table = true));
	ret = TRY(.keep = ~0ULL, .other_user = true, .user_ns = true);
	if (ret == 127)
		SKIP(return, "users other than root may not make user namespaces");
	EXPECT_EQ(0, ret);
	EXPECT_EQ(0, TRY(.keep = ~0ULL, .other_user = true, .user_ns = true, .has_table = true));
}

static int copy_program(int in, const char *to)
{
	int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	char buf[65536];
	ssize_t n = -1;

	while (out >= 0 && (n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, n) != n)
			return -1;
	if (n || fchmod(out, 04755))
		return -1;
	close(in);
	return close(out);
}

/* Somebody else's process with a table, which a capability has set, executes root's program. */
static int execute_as_root(void *data)
{
	if (set_magic(0x4755) || setresuid(NOBODY, NOBODY, NOBODY))
		return 125;
	execl(data, "report", "0x4755", "0", NULL);
	return 99;
}

TEST_F(permission, set_user_id_programs_keep_it)
{
	char path[4096];
	int report;

	ASSERT_NE(NULL, beside("report", path, sizeof(path)));
	/* Before /tmp is covered: the tests may lie below it. */
	report = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, report);
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/tmp", "tmpfs", 0, "mode=755"))
		SKIP(return, "no file system of our own can be mounted (errno %d)", errno);
	ASSERT_EQ(0, copy_program(report, "/tmp/report"));
	EXPECT_EQ(0, in_child(execute_as_root, "/tmp/report"));
}

static int get_without_capability(void *data)
{
	(void)data;
	if (set_magic(1))
		return 126;
	if (drop_capabilities(0))
		return 125;
	return get_table(NULL, 0) == 1 ? 0 : 1;
}

TEST_F(permission, everybody_reads_his_own)
{
	EXPECT_EQ(0, in_child(get_without_capability, NULL));
}

/* What is wrong with the argument comes first only where it says whether the call exists at all. */
TEST_F(permission, refusal_does_not_read_the_rows)
{
	ASSERT_EQ(0, drop_capabilities(0));
	EXPECT_EQ(-EACCES, set_table((void *)4096, 1));
	EXPECT_EQ(-E2BIG, set_table((void *)4096, ARCH_CPUID_MAX_ROWS + 1));
}

TEST_HARNESS_MAIN
