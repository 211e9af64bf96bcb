/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One error per run: filled where the failure is, printed once at the top.
 *
 * Functions that can fail return 0 (or a non-negative result) or a negative
 * errno. Whoever first knows what went wrong calls fail(); callers above only
 * pass the value on. Output parameters are untouched on failure.
 */
#ifndef STASIS_LIB_ERROR_H
#define STASIS_LIB_ERROR_H

struct error {
	int code;	  /* negative errno, 0 while nothing failed */
	const char *file; /* where it was noticed */
	int line;
	char text[768]; /* object, what was tried */
	char hint[384]; /* what to do next; may be empty */
};

/*
 * Record a failure and return @code (a negative errno). The text names the
 * object and the action; ": strerror" is added. Only the first failure of a
 * run is kept: what follows from it is noise.
 */
#define fail(err, code, ...) error_set(err, code, __FILE__, __LINE__, __VA_ARGS__)

/* The same for malformed input, where errno's text would say nothing. */
#define fail_text(err, code, ...) error_set_text(err, code, __FILE__, __LINE__, __VA_ARGS__)

int error_set(struct error *err, int code, const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
int error_set_text(struct error *err, int code, const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* Add what the user can do about it; keeps the first hint given. Returns err->code. */
int fail_hint(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Forget a failure that was expected and dealt with. */
void error_clear(struct error *err);

#endif
