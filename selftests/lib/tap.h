/* SPDX-License-Identifier: GPL-2.0-only */
/* Results in TAP, for programs whose list of tests is made at run time. */
#ifndef SELFTEST_TAP_H
#define SELFTEST_TAP_H

#include <stdbool.h>

struct tap {
	int n, failed;
};

/* A remark; every line of it becomes a comment. */
void tap_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A result; @good false makes the program's status 1. Returns @good. */
bool tap_result(struct tap *t, bool good, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void tap_skip(struct tap *t, const char *name, const char *why);
/* The plan, and the exit status. */
int tap_end(const struct tap *t);

#endif
