// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "image/image.h"
#include "proto/stasis.pb-c.h"

/* What a raw file's row names as its message. */
#define none__descriptor (*(const ProtobufCMessageDescriptor *)NULL)

const struct image_kind image_kinds[IMG_COUNT] = {
#define IMAGE(_id, _name, _format, _magic, _head, _payload, _entry, _once) \
	[IMG_##_id] = {                                                    \
		.id = _name,                                               \
		.format = _format,                                         \
		.magic = _magic,                                           \
		.head = HEAD_##_head,                                      \
		.payload = PAYLOAD_##_payload,                             \
		.entry = &_entry##__descriptor,                            \
		.once = _once,                                             \
	},
#include "image/kinds.h"
#undef IMAGE
};

void image_name(enum image_id id, uint64_t n, char *buf, size_t size)
{
	const char *format = image_kinds[id].format;
	const char *conv = strchr(format, '%'), *rest;

	if (!conv) {
		snprintf(buf, size, "%s", format);
		return;
	}
	rest = strpbrk(conv, "udx") + 1;
	if (rest[-1] == 'x')
		snprintf(buf, size, "%.*s%" PRIx64 "%s", (int)(conv - format), format, n, rest);
	else
		snprintf(buf, size, "%.*s%" PRIu64 "%s", (int)(conv - format), format, n, rest);
}

const struct image_kind *image_kind_of_magic(enum image_head head, uint32_t magic)
{
	for (int i = 0; i < IMG_COUNT; i++)
		if (image_kinds[i].magic == magic && image_kinds[i].head == head &&
		    image_kinds[i].entry)
			return &image_kinds[i];
	return NULL;
}

/* Does @name come out of @format? */
static bool is_name_of(const char *format, const char *name)
{
	const char *conv = strchr(format, '%'), *rest, *digits;
	size_t n = 0;

	if (!conv)
		return !strcmp(format, name);
	if (strncmp(format, name, conv - format))
		return false;
	rest = strpbrk(conv, "udx") + 1;
	digits = name + (conv - format);
	while (rest[-1] == 'x' ? isxdigit((unsigned char)digits[n])
			       : isdigit((unsigned char)digits[n]))
		n++;
	return n && !strcmp(digits + n, rest);
}

const struct image_kind *image_kind_of_name(const char *name)
{
	for (int i = 0; i < IMG_COUNT; i++)
		if (is_name_of(image_kinds[i].format, name))
			return &image_kinds[i];
	return NULL;
}
