/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A whole checkpoint as one input: images one after the other, each a line
 * `NAME LENGTH`, then that many bytes.
 */
#ifndef SELFTESTS_FUZZ_FOLDER_H
#define SELFTESTS_FUZZ_FOLDER_H

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "selftests/fuzz/fuzz.h"

#define FOLDER_NAME_MAX	 40
#define FOLDER_FILES_MAX 64

struct folder {
	int dirfd;
	char names[FOLDER_FILES_MAX][FOLDER_NAME_MAX + 1];
	size_t n;
};

/* A folder in FUZZ_TMP, which whoever runs the target removes. */
static inline int folder_create(void)
{
	const char *top = getenv("FUZZ_TMP");
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/XXXXXX", top ? top : "/dev/shm");
	must(mkdtemp(path));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(fd >= 0);
	return fd;
}

static inline bool folder_name_ok(const char *name, size_t len)
{
	return len && len <= FOLDER_NAME_MAX && name[0] != '.' && !memchr(name, '/', len) &&
	       !memchr(name, 0, len);
}

/* Write the files; what makes no sense ends the list. */
static inline void folder_fill(struct folder *f, const uint8_t *data, size_t size)
{
	f->n = 0;
	while (size && f->n < FOLDER_FILES_MAX) {
		const uint8_t *line = memchr(data, '\n', size);
		const uint8_t *blank = line ? memchr(data, ' ', line - data) : NULL;
		char *name = f->names[f->n];
		size_t len;
		int fd;

		if (!blank || !folder_name_ok((const char *)data, blank - data))
			return;
		memcpy(name, data, blank - data);
		name[blank - data] = 0;
		len = strtoul((const char *)blank + 1, NULL, 10);
		size -= line + 1 - data;
		data = line + 1;
		if (len > size)
			len = size;
		fd = openat(f->dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		must(fd >= 0);
		must(write(fd, data, len) == (ssize_t)len);
		close(fd);
		f->n++;
		data += len;
		size -= len;
	}
}

static inline void folder_empty(struct folder *f)
{
	while (f->n)
		unlinkat(f->dirfd, f->names[--f->n], 0);
}

#endif
