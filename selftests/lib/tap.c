// SPDX-License-Identifier: GPL-2.0-only
#include "lib/tap.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tap_note(const char *fmt, ...)
{
	char *text, *line, *save = NULL;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	if (n < 0)
		return;
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		printf("# %.500s\n", line);
	fflush(stdout);
	free(text);
}

bool tap_result(struct tap *t, bool good, const char *fmt, ...)
{
	va_list args;

	t->failed += !good;
	printf("%s %d ", good ? "ok" : "not ok", ++t->n);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	return good;
}

void tap_skip(struct tap *t, const char *name, const char *why)
{
	printf("ok %d %s # SKIP %s\n", ++t->n, name, why);
	fflush(stdout);
}

int tap_end(const struct tap *t)
{
	printf("1..%d\n", t->n);
	return t->failed ? 1 : 0;
}
