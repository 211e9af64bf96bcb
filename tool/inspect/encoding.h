/* SPDX-License-Identifier: GPL-2.0-only */
/* Bytes as text: base64 in lines (RFC 2045), quoted-printable, and whether text is UTF-8. */
#ifndef STASIS_INSPECT_ENCODING_H
#define STASIS_INSPECT_ENCODING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 76 characters a line, each ended by a newline; nothing for nothing. NULL: no memory. */
char *base64_encode(const void *data, size_t len, size_t *ret_len);
/* Blanks are skipped. -EINVAL when malformed, -ENOMEM. */
int base64_decode(const char *text, size_t len, uint8_t **ret, size_t *ret_len);

/* As Python's quopri.encodestring(): lines of 76 at most. */
char *quoted_encode(const void *data, size_t len, size_t *ret_len);
int quoted_decode(const char *text, size_t len, uint8_t **ret, size_t *ret_len);

/* Well-formed, without surrogates and NULs. */
bool is_utf8(const char *text, size_t len);
/* Decode one character of well-formed UTF-8 and step over it. */
uint32_t utf8_next(const char **text);

#endif
