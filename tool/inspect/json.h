/* SPDX-License-Identifier: GPL-2.0-only */
/* Images as JSON, in crit's form, and back. Trees and parsing are json-c's. */
#ifndef STASIS_INSPECT_JSON_H
#define STASIS_INSPECT_JSON_H

#include <json-c/json.h>
#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdio.h>

#include "image/image.h"
#include "lib/error.h"
#include "lib/vec.h"

/* The key under which fields that our messages lack are kept: their bytes on the wire. */
#define JSON_UNKNOWN "@unknown"

/*
 * Where in the tree an error is. Built on the stack, one link per level: a key,
 * or an index where @key is NULL.
 */
struct json_path {
	const struct json_path *up;
	const char *key;
	size_t index;
};

/* "entry 3, vmas[2].start: " + text; -EINVAL. */
int json_bad(struct error *err, const struct json_path *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Print in the layout of Python's json.dump(): one line, or with @indent blanks
 * per level; @level is the depth that @obj is at. ASCII only. Errors show in ferror().
 */
void json_print(FILE *out, json_object *obj, int indent, int level);

/* Parse a whole file, @text[@len] being NUL. The error has line and column. */
int json_parse(const char *name, const char *text, size_t len, struct error *err,
	       json_object **ret);

enum decode_flag {
	DECODE_PRETTY = 1,     /* fields in the form people read */
	DECODE_NO_PAYLOAD = 2, /* sizes instead of raw bytes */
};

/* A message as an object; NULL: no memory. */
json_object *message_to_json(const ProtobufCMessage *msg, int flags);

typedef VEC(uint8_t) bytes_vec;

/* Append the message on the wire. */
int message_from_json(const ProtobufCMessageDescriptor *desc, json_object *obj,
		      const struct json_path *at, struct error *err, bytes_vec *out);

/* Add "extra", the raw bytes that follow @msg in @r, to its object. */
int payload_to_json(struct image_reader *r, const ProtobufCMessage *msg, int flags,
		    struct error *err, json_object *entry);
/* Append them. @msg is the entry as it is written. */
int payload_from_json(const struct image_kind *kind, const ProtobufCMessage *msg,
		      json_object *entry, const struct json_path *at, struct error *err,
		      bytes_vec *out);

/* A whole image. Notes about what JSON cannot show go to @notes. */
int image_to_json(struct image_reader *r, int flags, FILE *notes, struct error *err, FILE *out);
/* The kind of a decoded image, and its entries. */
int json_image_kind(json_object *image, struct error *err, const struct image_kind **ret);
/* *@at is the entry that was last looked at. */
int image_from_json(json_object *image, struct error *err, struct image_writer *w, size_t *at);
/* The line on which an entry of a decoded image begins, its text being known to be JSON. */
size_t json_line_of_entry(const char *text, size_t entry);

/* bytes <-> base64 in JSON; NULL: no memory. */
json_object *bytes_to_json(const void *data, size_t len);
int bytes_from_json(json_object *obj, const struct json_path *at, struct error *err,
		    bytes_vec *out);

#endif
