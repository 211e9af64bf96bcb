// SPDX-License-Identifier: GPL-2.0-only
/* Whole images as JSON: {"magic": KIND, "entries": [...]}. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "inspect/json.h"
#include "proto/stasis.pb-c.h"

#define INDENT 4

static bool has_chunks(const ProtobufCMessage *msg)
{
	return msg->descriptor == &ghost_file_entry__descriptor &&
	       ((const GhostFileEntry *)msg)->chunks;
}

/*
 * protobuf lets writers encode one message in several ways, and no program for
 * images writes but one of them. Another comes back from JSON with other bytes.
 */
static void note_other_encoding(const struct image_reader *r, const ProtobufCMessage *msg,
				uint64_t start, size_t index, FILE *notes)
{
	const uint64_t len = image_offset(r) - start - sizeof(uint32_t);

	if (notes && protobuf_c_message_get_packed_size(msg) != len)
		fprintf(notes,
			"note: entry %zu is encoded in an unusual way and will have other bytes "
			"when it is encoded again\n",
			index);
}

static int entry_to_json(struct image_reader *r, const ProtobufCMessage *msg, int flags,
			 struct error *err, json_object **ret)
{
	json_object *obj = message_to_json(msg, flags);
	int code;

	if (!obj)
		return fail(err, -ENOMEM, "cannot hold an entry");
	code = payload_to_json(r, msg, flags, err, obj);
	if (code) {
		json_object_put(obj);
		return code;
	}
	*ret = obj;
	return 0;
}

/* A raw file has no entries: its bytes are the extra of one. */
static int raw_to_json(struct image_reader *r, int flags, struct error *err, json_object **ret)
{
	const uint64_t len = image_left(r);
	uint8_t *data = malloc(len + 1);
	json_object *obj = NULL, *bytes;
	int code;

	if (!data)
		return fail(err, -ENOMEM, "a raw file of %" PRIu64 " bytes", len);
	code = image_read_raw(r, data, len);
	if (!code) {
		obj = json_object_new_object();
		bytes = bytes_to_json(data, len);
		if (!obj || !bytes)
			code = fail(err, -ENOMEM, "a raw file of %" PRIu64 " bytes", len);
		else
			json_object_object_add(obj, "extra", bytes);
	}
	free(data);
	if (!code)
		*ret = obj;
	return code;
}

static void print_entry(FILE *out, json_object *entry, int indent, size_t index)
{
	if (index)
		fputs(indent ? "," : ", ", out);
	if (indent)
		fprintf(out, "\n%*s", 2 * indent, "");
	json_print(out, entry, indent, 2);
}

static int entries_to_json(struct image_reader *r, int flags, FILE *notes, struct error *err,
			   FILE *out, size_t *n)
{
	const int indent = flags & DECODE_PRETTY ? INDENT : 0;
	json_object *entry = NULL;
	ProtobufCMessage *msg;
	uint64_t start;
	int ret;

	for (;; ++*n) {
		start = image_offset(r);
		ret = image_read(r, &msg);
		if (ret <= 0)
			return ret;
		note_other_encoding(r, msg, start, *n, notes);
		ret = entry_to_json(r, msg, flags, err, &entry);
		protobuf_c_message_free_unpacked(msg, NULL);
		if (ret)
			return ret;
		print_entry(out, entry, indent, *n);
		json_object_put(entry);
	}
}

int image_to_json(struct image_reader *r, int flags, FILE *notes, struct error *err, FILE *out)
{
	const struct image_kind *kind = image_reader_kind(r);
	const int indent = flags & DECODE_PRETTY ? INDENT : 0;
	json_object *entry = NULL;
	size_t n = 0;
	int ret;

	if (indent)
		fprintf(out, "{\n%*s\"magic\": \"%s\",\n%*s\"entries\": [", indent, "", kind->id,
			indent, "");
	else
		fprintf(out, "{\"magic\": \"%s\", \"entries\": [", kind->id);
	if (kind->entry) {
		ret = entries_to_json(r, flags, notes, err, out, &n);
	} else {
		ret = raw_to_json(r, flags, err, &entry);
		if (!ret) {
			print_entry(out, entry, indent, n++);
			json_object_put(entry);
		}
	}
	if (ret)
		return ret;
	if (indent && n)
		fprintf(out, "\n%*s", indent, "");
	fputs(indent ? "]\n}" : "]}", out);
	return 0;
}

int json_image_kind(json_object *image, struct error *err, const struct image_kind **ret)
{
	json_object *magic, *entries;

	if (!json_object_is_type(image, json_type_object) ||
	    !json_object_object_get_ex(image, "magic", &magic) ||
	    !json_object_object_get_ex(image, "entries", &entries) ||
	    !json_object_is_type(magic, json_type_string) ||
	    !json_object_is_type(entries, json_type_array) || json_object_object_length(image) != 2)
		return fail_text(err, -EINVAL,
				 "not a decoded image: an object of 'magic' and a list 'entries'");
	for (int i = 0; i < IMG_COUNT; i++) {
		if (strcmp(image_kinds[i].id, json_object_get_string(magic)))
			continue;
		*ret = &image_kinds[i];
		return 0;
	}
	return fail_text(err, -EINVAL, "magic '%.100s': no such kind of image",
			 json_object_get_string(magic));
}

/* Append the entry, with its length in front, and what follows it. */
static int entry_from_json(const struct image_kind *kind, const ProtobufCMessageDescriptor *desc,
			   json_object *obj, const struct json_path *at, struct error *err,
			   bytes_vec *out, bool *chunks)
{
	ProtobufCMessage *msg;
	uint32_t len;
	int ret;

	if (vec_reserve(out, sizeof(len)))
		return fail(err, -ENOMEM, "cannot encode an entry");
	out->n = sizeof(len);
	ret = message_from_json(desc, obj, at, err, out);
	if (ret)
		return ret;
	len = out->n - sizeof(len);
	memcpy(out->at, &len, sizeof(len));
	/* Only an image that can be read is written. */
	msg = protobuf_c_message_unpack(desc, NULL, len, out->at + sizeof(len));
	if (!msg)
		return json_bad(err, at, "is no valid %s", desc->name);
	if (!at->index)
		*chunks = has_chunks(msg);
	ret = payload_from_json(kind, msg, obj, at, err, out);
	protobuf_c_message_free_unpacked(msg, NULL);
	return ret;
}

static int raw_from_json(json_object *entry, const struct json_path *at, struct error *err,
			 bytes_vec *out)
{
	json_object *extra;

	if (!json_object_object_get_ex(entry, "extra", &extra))
		return json_bad(err, at, "no 'extra' with the bytes of a raw file");
	return bytes_from_json(extra, at, err, out);
}

static const ProtobufCMessageDescriptor *entry_descriptor(const struct image_kind *kind,
							  size_t index)
{
	if (kind->payload == PAYLOAD_PAGEMAP && !index)
		return &pagemap_head__descriptor;
	if (kind->payload == PAYLOAD_GHOST && index)
		return &ghost_chunk_entry__descriptor;
	return kind->entry;
}

int image_from_json(json_object *image, struct error *err, struct image_writer *w, size_t *at_entry)
{
	const struct image_kind *kind;
	json_object *entries;
	bytes_vec bytes = {};
	bool chunks = false;
	size_t n;
	int ret = json_image_kind(image, err, &kind);

	if (ret)
		return ret;
	json_object_object_get_ex(image, "entries", &entries);
	n = json_object_array_length(entries);
	for (size_t i = 0; !ret && i < n; i++) {
		const struct json_path at = {.index = i};
		json_object *obj = json_object_array_get_idx(entries, i);

		*at_entry = i;
		bytes.n = 0;
		if (i && (!kind->entry || (kind->once && !chunks)))
			ret = json_bad(err, &at, "a %s image has only one", kind->id);
		else if (!kind->entry)
			ret = raw_from_json(obj, &at, err, &bytes);
		else
			ret = entry_from_json(kind, entry_descriptor(kind, i), obj, &at, err,
					      &bytes, &chunks);
		if (!ret)
			ret = image_write_raw(w, bytes.at, bytes.n);
	}
	vec_free(&bytes);
	return ret;
}
