/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How people write the fields of images: addresses in hex, flags by name ...
 * One table, used in both directions; a field without a row is a plain value.
 */
#ifndef STASIS_INSPECT_FIELDS_H
#define STASIS_INSPECT_FIELDS_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_form {
	FORM_PLAIN,
	FORM_HEX,	/* "0x1f"; of a message: of the numbers in it */
	FORM_FLAGS,	/* "NAME | NAME | 0x8" */
	FORM_NAME,	/* "NAME", or the number when it has none */
	FORM_DEV,	/* "major:minor" out of the kernel's own dev_t */
	FORM_STAT_DEV,	/* "major:minor" out of stat(2)'s */
	FORM_ADDRESS,	/* one or four words: ["127.0.0.1"], ["::1"] */
	FORM_UNIX_NAME, /* bytes as quoted-printable, also when not for people */
};

struct value_name {
	const char *name;
	uint32_t value;
};

struct field_style {
	enum field_form form;
	const struct value_name *names; /* FLAGS and NAME; ends with a NULL name */
};

/* @inherited: the style of the message that @field is in. */
struct field_style field_style(const ProtobufCMessageDescriptor *desc,
			       const ProtobufCFieldDescriptor *field, struct field_style inherited);

#define FIELD_TEXT_MAX 512

/* A number as text; false when the style writes it as a number after all. */
bool field_to_text(struct field_style style, uint64_t value, char text[FIELD_TEXT_MAX]);
/* The value of a field that is known to be a number, for people. */
void field_show(const ProtobufCMessageDescriptor *desc, const char *field, uint64_t value,
		char text[FIELD_TEXT_MAX]);
/* The reverse: takes what field_to_text() gives, and plain numbers of any base. */
bool field_from_text(struct field_style style, const char *text, bool *negative, uint64_t *value);

/* @n words (1 or 4) in network byte order. */
void address_to_text(const uint32_t *words, size_t n, char text[FIELD_TEXT_MAX]);
/* Number of words, 0 when it is no address. */
size_t address_from_text(const char *text, uint32_t words[4]);

#endif
