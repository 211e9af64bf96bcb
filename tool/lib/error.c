// SPDX-License-Identifier: GPL-2.0-only
#include "lib/error.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int set(struct error *err, int code, const char *file, int line, bool with_errno,
	       const char *fmt, va_list ap)
{
	size_t len;

	if (err->code)
		return code;
	err->code = code;
	err->file = file;
	err->line = line;
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	len = strlen(err->text);
	if (with_errno)
		snprintf(err->text + len, sizeof(err->text) - len, ": %s", strerror(-code));
	return code;
}

int error_set(struct error *err, int code, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set(err, code, file, line, true, fmt, ap);
	va_end(ap);
	return code;
}

int error_set_text(struct error *err, int code, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set(err, code, file, line, false, fmt, ap);
	va_end(ap);
	return code;
}

int fail_hint(struct error *err, const char *fmt, ...)
{
	va_list ap;

	if (!err->hint[0]) {
		va_start(ap, fmt);
		vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
		va_end(ap);
	}
	return err->code;
}

void error_clear(struct error *err)
{
	memset(err, 0, sizeof(*err));
}
