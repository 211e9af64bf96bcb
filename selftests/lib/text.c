// SPDX-License-Identifier: GPL-2.0-only
#include "lib/text.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void make_room(struct text *t, size_t more)
{
	if (t->n + more + 1 <= t->room)
		return;
	t->room = (t->n + more + 1) * 2;
	t->at = realloc(t->at, t->room);
	if (!t->at)
		err(1, "out of memory");
}

void text_bytes(struct text *t, const void *bytes, size_t n)
{
	make_room(t, n);
	memcpy(t->at + t->n, bytes, n);
	t->n += n;
	t->at[t->n] = '\0';
}

static void text_vadd(struct text *t, const char *fmt, va_list args)
{
	char *line;
	int n = vasprintf(&line, fmt, args);

	if (n < 0)
		err(1, "out of memory");
	text_bytes(t, line, n);
	free(line);
}

void text_add(struct text *t, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	text_vadd(t, fmt, args);
	va_end(args);
}

void text_free(struct text *t)
{
	free(t->at);
	*t = (struct text){};
}

static bool read_all(struct text *t, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	text_bytes(t, "", 0);
	if (fd < 0)
		return false;
	do {
		make_room(t, 65536);
		got = read(fd, t->at + t->n, 65536);
		if (got > 0)
			t->n += got;
	} while (got > 0);
	t->at[t->n] = '\0';
	close(fd);
	return got == 0;
}

bool text_read(struct text *t, const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	return read_all(t, path);
}

void text_link(struct text *t, const char *fmt, ...)
{
	char path[PATH_MAX], target[PATH_MAX];
	va_list args;
	ssize_t n;

	va_start(args, fmt);
	vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	n = readlink(path, target, sizeof(target));
	if (n < 0)
		text_add(t, "?%s", strerrorname_np(errno));
	else
		text_bytes(t, target, n);
}

long read_long(long otherwise, const char *fmt, ...)
{
	struct text t = {};
	char path[PATH_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	if (read_all(&t, path) && t.n > 0)
		otherwise = strtol(t.at, NULL, 0);
	text_free(&t);
	return otherwise;
}

bool write_file(const char *path, const void *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	bool good;

	if (fd < 0)
		return false;
	good = write(fd, bytes, n) == (ssize_t)n;
	return close(fd) == 0 && good;
}

uint64_t fnv(uint64_t hash, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ p[i]) * 0x100000001b3ull;
	return hash;
}
