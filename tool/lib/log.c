// SPDX-License-Identifier: GPL-2.0-only
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
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

static void put(const struct log *log, int fd, int level, const char *file, int line,
		const char *fmt, va_list ap)
{
	char buf[1400];
	size_t len;

	len = head(buf, sizeof(buf), log, level, file, line);
	vsnprintf(buf + len, sizeof(buf) - len - 1, fmt, ap);
	len = strlen(buf);
	buf[len++] = '\n';
	/* A log that cannot be written must not stop the work it tells of. */
	if (write(fd, buf, len) < 0)
		errno = 0;
}

void log_write(const struct log *log, int level, const char *file, int line, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	if (log->fd < 0 || level > log->level)
		return;
	va_start(ap, fmt);
	put(log, log->fd, level, file, line, fmt, ap);
	va_end(ap);
	errno = saved;
}

void log_task_write(const struct log *log, pid_t pid, int level, const char *file, int line,
		    const char *fmt, ...)
{
	int saved = errno, fd = -1;
	char name[4096];
	va_list ap;

	if (log->fd < 0 || level > log->level)
		return;
	if (log->task_name) {
		snprintf(name, sizeof(name), "%s.%d", log->task_name, pid);
		fd = openat(log->task_dirfd, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	}
	va_start(ap, fmt);
	put(log, fd < 0 ? log->fd : fd, level, file, line, fmt, ap);
	va_end(ap);
	if (fd >= 0)
		close(fd);
	errno = saved;
}
