// SPDX-License-Identifier: GPL-2.0-only
#include "inspect/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "inspect/encoding.h"

/* Two levels of JSON for a level of messages, of which images may have 256. */
#define JSON_DEPTH 600

static size_t path_text(const struct json_path *at, char *buf, size_t size)
{
	size_t len;

	if (!at->up) {
		len = snprintf(buf, size, "entry %zu", at->index);
		return len < size ? len : size - 1;
	}
	len = path_text(at->up, buf, size);
	if (at->key)
		len += snprintf(buf + len, size - len, "%s%s", at->up->up ? "." : ", ", at->key);
	else
		len += snprintf(buf + len, size - len, "[%zu]", at->index);
	return len < size ? len : size - 1;
}

int json_bad(struct error *err, const struct json_path *at, const char *fmt, ...)
{
	char where[256], what[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	path_text(at, where, sizeof(where));
	return fail_text(err, -EINVAL, "%s: %s", where, what);
}

static void print_string(FILE *out, const char *text)
{
	static const char special[] = "\"\\\n\r\t\b\f", letter[] = "\"\\nrtbf";

	putc_unlocked('"', out);
	while (*text) {
		const uint32_t c = utf8_next(&text);
		const char *at = c < 128 ? strchr(special, c) : NULL;

		if (at)
			fprintf(out, "\\%c", letter[at - special]);
		else if (c >= 32 && c < 127)
			putc_unlocked(c, out);
		else if (c < 0x10000)
			fprintf(out, "\\u%04x", c);
		else
			fprintf(out, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
				0xdc00 + (c & 0x3ff));
	}
	putc_unlocked('"', out);
}

static void new_line(FILE *out, int indent, int level)
{
	if (indent)
		fprintf(out, "\n%*s", indent * level, "");
}

static void print_array(FILE *out, json_object *obj, int indent, int level)
{
	const size_t n = json_object_array_length(obj);

	putc_unlocked('[', out);
	for (size_t i = 0; i < n; i++) {
		if (i)
			fputs(indent ? "," : ", ", out);
		new_line(out, indent, level + 1);
		json_print(out, json_object_array_get_idx(obj, i), indent, level + 1);
	}
	if (n)
		new_line(out, indent, level);
	putc_unlocked(']', out);
}

static void print_object(FILE *out, json_object *obj, int indent, int level)
{
	bool first = true;

	putc_unlocked('{', out);
	json_object_object_foreach(obj, key, value)
	{
		if (!first)
			fputs(indent ? "," : ", ", out);
		first = false;
		new_line(out, indent, level + 1);
		print_string(out, key);
		fputs(": ", out);
		json_print(out, value, indent, level + 1);
	}
	if (!first)
		new_line(out, indent, level);
	putc_unlocked('}', out);
}

void json_print(FILE *out, json_object *obj, int indent, int level)
{
	switch (json_object_get_type(obj)) {
	case json_type_array:
		print_array(out, obj, indent, level);
		break;
	case json_type_object:
		print_object(out, obj, indent, level);
		break;
	case json_type_string:
		print_string(out, json_object_get_string(obj));
		break;
	default:
		fputs(json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN), out);
	}
}

static int bad_syntax(const char *name, const char *text, size_t len, size_t at, const char *what,
		      struct error *err)
{
	size_t line = 1, column = 1;

	for (size_t i = 0; i < at && i < len; i++) {
		column++;
		if (text[i] == '\n') {
			line++;
			column = 1;
		}
	}
	return fail_text(err, -EINVAL, "%s:%zu:%zu: %s", name, line, column, what);
}

/* Where a number stands that 64 bits cannot hold: json-c would take the nearest one. */
static const char *find_large_number(const char *text)
{
	char *end;

	for (; *text; text++) {
		if (*text == '"') {
			for (text++; *text && *text != '"'; text++)
				if (*text == '\\' && text[1])
					text++;
			if (!*text)
				return NULL;
		} else if (*text == '-' || (*text >= '0' && *text <= '9')) {
			errno = 0;
			if (*text == '-')
				strtoll(text, &end, 10);
			else
				strtoull(text, &end, 10);
			if (errno == ERANGE)
				return text;
			text = end > text ? end - 1 : text;
		}
	}
	return NULL;
}

int json_parse(const char *name, const char *text, size_t len, struct error *err, json_object **ret)
{
	struct json_tokener *tok = json_tokener_new_ex(JSON_DEPTH);
	const char *large;
	json_object *obj;
	enum json_tokener_error code;
	size_t end;

	if (!tok)
		return fail(err, -ENOMEM, "%s", name);
	if (len > INT32_MAX - 1) {
		json_tokener_free(tok);
		return fail(err, -EFBIG, "%s: cannot parse", name);
	}
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8 |
					    JSON_TOKENER_ALLOW_TRAILING_CHARS);
	obj = json_tokener_parse_ex(tok, text, len);
	code = json_tokener_get_error(tok);
	end = json_tokener_get_parse_end(tok);
	json_tokener_free(tok);
	if (code == json_tokener_continue)
		return bad_syntax(name, text, len, len, "unexpected end of the JSON text", err);
	if (code != json_tokener_success)
		return bad_syntax(name, text, len, end, json_tokener_error_desc(code), err);
	end += strspn(text + end, " \t\r\n");
	if (end < len) {
		json_object_put(obj);
		return bad_syntax(name, text, len, end, "something follows the JSON text", err);
	}
	large = find_large_number(text);
	if (large) {
		json_object_put(obj);
		return bad_syntax(name, text, len, large - text, "number is out of range", err);
	}
	*ret = obj;
	return 0;
}

json_object *bytes_to_json(const void *data, size_t len)
{
	size_t n;
	char *text = base64_encode(data, len, &n);
	json_object *obj = text ? json_object_new_string_len(text, n) : NULL;

	free(text);
	return obj;
}

int bytes_from_json(json_object *obj, const struct json_path *at, struct error *err, bytes_vec *out)
{
	uint8_t *data;
	size_t n;
	int ret;

	if (!json_object_is_type(obj, json_type_string))
		return json_bad(err, at, "not a string of base64");
	ret = base64_decode(json_object_get_string(obj), json_object_get_string_len(obj), &data,
			    &n);
	if (ret == -EINVAL)
		return json_bad(err, at, "malformed base64");
	if (!ret && vec_reserve(out, n))
		ret = -ENOMEM;
	if (!ret && n) {
		memcpy(out->at + out->n, data, n);
		out->n += n;
	}
	if (ret != -ENOMEM)
		free(data);
	return ret ? fail(err, ret, "cannot decode base64") : 0;
}

/* The quote that ends the string that begins at @s. */
static const char *end_of_string(const char *s)
{
	while (*++s != '"')
		s += *s == '\\';
	return s;
}

size_t json_line_of_entry(const char *text, size_t entry)
{
	size_t line = 1, depth = 0;
	bool in_entries = false;

	for (; *text; text++) {
		if (in_entries && depth == 2 && !entry && !strchr(" \t\r\n", *text))
			break;
		if (*text == '\n') {
			line++;
		} else if (*text == '"') {
			if (depth == 1)
				in_entries = !strncmp(text, "\"entries\"", 9);
			text = end_of_string(text);
		} else if (strchr("[{", *text)) {
			depth++;
		} else if (strchr("]}", *text)) {
			depth--;
		} else if (*text == ',' && depth == 2) {
			entry -= in_entries;
		}
	}
	return line;
}
