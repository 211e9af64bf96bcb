// SPDX-License-Identifier: GPL-2.0-only
/* faulty overflow|overflow_int|null|leak: do what a sanitizer has to report. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile char sink;

static int overflow(void)
{
	volatile size_t past = 16;
	char *p = calloc(1, 16);

	if (p)
		sink = p[past];
	free(p);
	return 0;
}

static int overflow_int(void)
{
	volatile int n = INT_MAX;

	sink = (char)(n + 1);
	return 0;
}

static int null(void)
{
	char *volatile p = NULL;
	volatile size_t zero = 0;

	sink = p + zero != NULL;
	return 0;
}

static int leak(void)
{
	char *volatile p = strdup("nobody frees this");

	sink = p ? p[0] : 0;
	p = NULL;
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*f)(void);
	} faults[] = {{"overflow", overflow},
		      {"overflow_int", overflow_int},
		      {"null", null},
		      {"leak", leak}};
	size_t i;

	for (i = 0; argc == 2 && i < sizeof(faults) / sizeof(faults[0]); i++)
		if (!strcmp(argv[1], faults[i].name))
			return faults[i].f();
	fprintf(stderr, "usage: faulty overflow|overflow_int|null|leak\n");
	return 2;
}
