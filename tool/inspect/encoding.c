// SPDX-License-Identifier: GPL-2.0-only
#include "inspect/encoding.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_CHARS 76

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const void *data, size_t len, size_t *ret_len)
{
	const size_t chars = (len + 2) / 3 * 4;
	const size_t lines = (chars + LINE_MAX_CHARS - 1) / LINE_MAX_CHARS;
	const uint8_t *in = data;
	char *text = malloc(chars + lines + 1), *out = text;

	if (!text)
		return NULL;
	for (size_t i = 0; i < len; i += 3) {
		const size_t n = len - i < 3 ? len - i : 3;
		const uint32_t v = in[i] << 16 | (n > 1 ? in[i + 1] << 8 : 0) |
				   (n > 2 ? in[i + 2] : 0);

		*out++ = alphabet[v >> 18];
		*out++ = alphabet[v >> 12 & 63];
		*out++ = n > 1 ? alphabet[v >> 6 & 63] : '=';
		*out++ = n > 2 ? alphabet[v & 63] : '=';
		if ((i / 3 + 1) % (LINE_MAX_CHARS / 4) == 0 || i + 3 >= len)
			*out++ = '\n';
	}
	*out = 0;
	*ret_len = out - text;
	return text;
}

static int base64_digit(char c)
{
	const char *at = c ? strchr(alphabet, c) : NULL;

	return at ? at - alphabet : -1;
}

int base64_decode(const char *text, size_t len, uint8_t **ret, size_t *ret_len)
{
	uint8_t *data = malloc(len / 4 * 3 + 4);
	size_t n = 0, digits = 0, padding = 0;
	uint32_t v = 0;

	if (!data)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++) {
		const int digit = base64_digit(text[i]);

		if (isspace((unsigned char)text[i]))
			continue;
		if (text[i] == '=' && padding < 2 && digits % 4 >= 2) {
			padding++;
			continue;
		}
		if (digit < 0 || padding)
			goto malformed;
		v = v << 6 | digit;
		if (++digits % 4 == 0) {
			data[n++] = v >> 16;
			data[n++] = v >> 8;
			data[n++] = v;
		}
	}
	if (digits % 4 && digits % 4 + padding != 4)
		goto malformed;
	if (digits % 4 == 2)
		data[n++] = v >> 4;
	if (digits % 4 == 3) {
		data[n++] = v >> 10;
		data[n++] = v >> 2;
	}
	*ret = data;
	*ret_len = n;
	return 0;
malformed:
	free(data);
	return -EINVAL;
}

/* How ends of lines inside the data are written. */
enum line_ends { ENDS_LF, ENDS_CRLF, ENDS_QUOTED };

/*
 * The codec takes the first end of a line for the style of all of them. Where
 * that would change the data, ends of lines are quoted instead.
 */
static enum line_ends line_ends(const uint8_t *in, size_t len)
{
	bool crlf = false, lf = false;

	for (size_t i = 0; i < len; i++) {
		if (in[i] != '\n')
			continue;
		if (i && in[i - 1] == '\r')
			crlf = true;
		else
			lf = true;
	}
	return crlf && lf ? ENDS_QUOTED : crlf ? ENDS_CRLF : ENDS_LF;
}

/* Must the byte at @i be written as =XX? */
static bool must_quote(const uint8_t *in, size_t len, size_t i, size_t column, enum line_ends ends)
{
	const uint8_t c = in[i];

	if (c == '\n' || c == '\r')
		return ends == ENDS_QUOTED;
	if (c == '.' && !column)
		return i + 1 == len || in[i + 1] == '\n' || in[i + 1] == '\r' || !in[i + 1];
	/* Blanks only where they would be the last of the line, and get lost. */
	if (c == ' ' || c == '\t')
		return i + 1 == len;
	return c > 126 || c < 33 || c == '=';
}

char *quoted_encode(const void *data, size_t len, size_t *ret_len)
{
	const uint8_t *in = data;
	const enum line_ends ends = line_ends(in, len);
	/* Every byte at most three characters and a soft break. */
	char *text = malloc(len * 6 + 1), *out = text;
	size_t column = 0;

	if (!text)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		const bool quote = must_quote(in, len, i, column, ends);
		const size_t width = quote ? 3 : 1;
		const bool last = i + 1 == len || in[i + 1] == '\n';
		const bool cr = in[i] == '\r' && i + 1 < len && in[i + 1] == '\n';

		if (!quote && (in[i] == '\n' || cr)) {
			if (out > text && (out[-1] == ' ' || out[-1] == '\t'))
				out += sprintf(out - 1, "=%02X", out[-1]) - 1;
			*out++ = in[i];
			column = 0;
			continue;
		}
		/* The last place of a line is for the soft break, unless the line ends there. */
		if (column + width >= LINE_MAX_CHARS && !(last && !quote)) {
			out = stpcpy(out, ends == ENDS_CRLF ? "=\r\n" : "=\n");
			column = 0;
		}
		if (quote)
			out += sprintf(out, "=%02X", in[i]);
		else
			*out++ = in[i];
		column += width;
	}
	*out = 0;
	*ret_len = out - text;
	return text;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int quoted_decode(const char *text, size_t len, uint8_t **ret, size_t *ret_len)
{
	uint8_t *data = malloc(len + 1);
	size_t n = 0;

	if (!data)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++) {
		if (text[i] != '=') {
			data[n++] = text[i];
		} else if (i + 1 < len && text[i + 1] == '\n') {
			i++;
		} else if (i + 2 < len && text[i + 1] == '\r' && text[i + 2] == '\n') {
			i += 2;
		} else if (i + 2 < len && hex_digit(text[i + 1]) >= 0 &&
			   hex_digit(text[i + 2]) >= 0) {
			data[n++] = hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]);
			i += 2;
		} else {
			free(data);
			return -EINVAL;
		}
	}
	*ret = data;
	*ret_len = n;
	return 0;
}

/* Length of the sequence that starts with @c, 0 when none does. */
static size_t utf8_length(uint8_t c)
{
	if (c < 0x80)
		return 1;
	if (c >= 0xc2 && c < 0xe0)
		return 2;
	if (c >= 0xe0 && c < 0xf0)
		return 3;
	return c >= 0xf0 && c < 0xf5 ? 4 : 0;
}

uint32_t utf8_next(const char **text)
{
	const uint8_t *at = (const uint8_t *)*text;
	const size_t n = utf8_length(*at);
	uint32_t c = n == 1 ? *at : *at & (0x7f >> n);

	for (size_t i = 1; i < n; i++)
		c = c << 6 | (at[i] & 0x3f);
	*text += n;
	return c;
}

bool is_utf8(const char *text, size_t len)
{
	const char *end = text + len, *at;
	uint32_t c;
	size_t n;

	while (text < end) {
		n = utf8_length(*text);
		if (!n || !*text || n > (size_t)(end - text))
			return false;
		for (size_t i = 1; i < n; i++)
			if ((text[i] & 0xc0) != 0x80)
				return false;
		at = text;
		c = utf8_next(&at);
		/* Overlong forms, surrogates and what lies beyond Unicode. */
		if ((n == 3 && c < 0x800) || (n == 4 && (c < 0x10000 || c > 0x10ffff)) ||
		    (c >= 0xd800 && c < 0xe000))
			return false;
		text += n;
	}
	return true;
}
