// SPDX-License-Identifier: GPL-2.0-only
#include "lib/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void log_start(struct log *log, int fd, int level)
{
	log->fd = fd;
	log->level = level;
	clock_gettime(CLOCK_MONOTONIC, &log->start);
}

static int head(char *buf, size_t size, const struct log *log, int level, const char *file,
		int line)
{
	struct timespec now;
	long us;

	clock_gettime(CLOCK_MONOTONIC, &now);
	us = (now.tv_sec - log->start.tv_sec) * 1000000L +
	     (now.tv_nsec - log->start.tv_nsec) / 1000;
	switch (level) {
	case LOG_ERROR:
		return snprintf(buf, size, "(%02ld.%06ld) Error (%s:%d): ", us / 1000000,
				us % 1000000, file, line);
	case LOG_WARN:
		return snprintf(buf, size, "(%02ld.%06ld) Warn  (%s:%d): ", us / 1000000,
				us % 1000000, file, line);
	default:
		return snprintf(buf, size, "(%02ld.%06ld) ", us / 1000000, us % 1000000);
	}
}

void log_write(const struct log *log, int level, const char *file, int line, const char *fmt, ...)
{
	int saved = errno;
	char buf[1400];
	va_list ap;
	size_t len;

	if (log->fd < 0 || level > log->level)
		return;
	len = head(buf, sizeof(buf), log, level, file, line);
	va_start(ap, fmt);
	vsnprintf(buf + len, sizeof(buf) - len - 1, fmt, ap);
	va_end(ap);
	len = strlen(buf);
	buf[len++] = '\n';
	/* A log that cannot be written must not stop the work it tells of. */
	if (write(log->fd, buf, len) < 0)
		errno = 0;
	errno = saved;
}
