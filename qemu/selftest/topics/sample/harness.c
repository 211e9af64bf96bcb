// SPDX-License-Identifier: GPL-2.0-only
/* Known results for qemu/selftest/run: a pass, a failure and a skip of the kernel's harness. */
#include "../kselftest_harness.h"
#include <linux/pidfd.h>

TEST(good)
{
	ASSERT_EQ(1, 1);
}

TEST(bad)
{
	EXPECT_EQ(1, 2);
}

TEST(absent)
{
	SKIP(return, "nothing here");
}

TEST_HARNESS_MAIN
