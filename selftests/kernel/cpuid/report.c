// SPDX-License-Identifier: GPL-2.0-only
/* Executed by the tests: exit status 0 if CPUID's magic leaf answers the number in the first
 * argument, else 1; 2 if the effective user is not that of the second one. */
#define _GNU_SOURCE
#include "cpuid_test.h"

int main(int argc, char **argv)
{
	if (argc > 2 && geteuid() != strtoul(argv[2], NULL, 0))
		return 2;
	return argc < 2 || magic() != strtoul(argv[1], NULL, 0);
}
