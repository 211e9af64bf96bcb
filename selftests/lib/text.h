/* SPDX-License-Identifier: GPL-2.0-only */
/* A growing text, and small files read whole. Running out of memory ends the program. */
#ifndef SELFTEST_TEXT_H
#define SELFTEST_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct text {
	char *at; /* NUL-terminated; never NULL after the first add */
	size_t n;
	size_t room;
};

void text_add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_bytes(struct text *t, const void *bytes, size_t n);
void text_free(struct text *t);

/* The whole of a file; false (and an empty text) when it can't be read. */
bool text_read(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The target of a symbolic link; "?" with the errno when it can't be read. */
void text_link(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* One number out of a file; @otherwise when it can't be read. */
long read_long(long otherwise, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

bool write_file(const char *path, const void *bytes, size_t n);

#define FNV_START 0xcbf29ce484222325ull
uint64_t fnv(uint64_t hash, const void *bytes, size_t n);

#endif
