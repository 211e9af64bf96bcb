// SPDX-License-Identifier: GPL-2.0-only
/* The raw bytes that follow entries, as the "extra" of an entry in JSON. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "inspect/json.h"
#include "proto/stasis.pb-c.h"

static uint64_t padded(uint64_t len, unsigned int align)
{
	return image_padded((struct image_extent){len, align, true});
}

/* "... <12B>", "... <1.5KB>" */
static json_object *size_to_json(uint64_t len)
{
	static const char *const units[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
	double size = len;
	unsigned int unit = 0;
	char text[64];

	for (; size >= 1024; unit++)
		size /= 1024;
	if (size == (uint64_t)size)
		snprintf(text, sizeof(text), "... <%" PRIu64 "%s>", (uint64_t)size, units[unit]);
	else
		snprintf(text, sizeof(text), "... <%.1f%s>", size, units[unit]);
	return json_object_new_string(text);
}

/* @len bytes from here as base64, then the padding. */
static int read_bytes(struct image_reader *r, uint64_t len, unsigned int align, struct error *err,
		      json_object **ret)
{
	uint8_t *data;
	int code;

	/* Before memory is taken for a length that the file cannot have. */
	if (len > image_left(r) || padded(len, align) > image_left(r))
		return image_read_raw(r, NULL, len > image_left(r) ? len : padded(len, align));
	data = malloc(len + 1);
	if (!data)
		return fail(err, -ENOMEM, "%" PRIu64 " bytes of contents", len);
	code = image_read_raw(r, data, len);
	if (!code)
		code = image_read_raw(r, NULL, padded(len, align) - len);
	if (!code) {
		*ret = bytes_to_json(data, len);
		if (!*ret)
			code = fail(err, -ENOMEM, "%" PRIu64 " bytes of contents", len);
	}
	free(data);
	return code;
}

static int read_extent(struct image_reader *r, struct image_extent x, int flags, struct error *err,
		       json_object **ret)
{
	if (!(flags & DECODE_NO_PAYLOAD))
		return read_bytes(r, x.len, x.align, err, ret);
	*ret = size_to_json(x.len);
	return image_read_raw(r, NULL, padded(x.len, x.align));
}

static int read_tcp(struct image_reader *r, const TcpStreamEntry *e, int flags, struct error *err,
		    json_object **ret)
{
	json_object *in, *out;
	int code;

	if (flags & DECODE_NO_PAYLOAD) {
		*ret = size_to_json((uint64_t)e->inq_len + e->outq_len);
		return image_read_raw(r, NULL, (uint64_t)e->inq_len + e->outq_len);
	}
	code = read_bytes(r, e->inq_len, 1, err, &in);
	if (code)
		return code;
	code = read_bytes(r, e->outq_len, 1, err, &out);
	if (code) {
		json_object_put(in);
		return code;
	}
	*ret = json_object_new_object();
	json_object_object_add(*ret, "inq", in);
	json_object_object_add(*ret, "outq", out);
	return 0;
}

static int read_sem(struct image_reader *r, const IpcSemEntry *e, int flags, struct error *err,
		    json_object **ret)
{
	const uint64_t len = 2ull * e->nsems;
	uint16_t value;
	int code = 0;

	if (flags & DECODE_NO_PAYLOAD || padded(len, 8) > image_left(r)) {
		*ret = size_to_json(len);
		return image_read_raw(r, NULL, padded(len, 8));
	}
	*ret = json_object_new_array();
	for (uint32_t i = 0; !code && i < e->nsems; i++) {
		code = image_read_raw(r, &value, sizeof(value));
		json_object_array_add(*ret, json_object_new_int(value));
	}
	if (!code)
		code = image_read_raw(r, NULL, padded(len, 8) - len);
	return code;
}

/* One message of a queue: its header, then its text. */
static int read_msg(struct image_reader *r, json_object *array, uint64_t *size, int flags,
		    struct error *err)
{
	ProtobufCMessage *msg;
	json_object *text;
	int code = image_read_as(r, &ipc_msg__descriptor, &msg);

	if (!code)
		return image_read_raw(r, NULL, 4); /* reports the end of the file */
	if (code < 0)
		return code;
	code = read_bytes(r, ((IpcMsg *)msg)->msize, 8, err, &text);
	if (!code) {
		*size += protobuf_c_message_get_packed_size(msg) + ((IpcMsg *)msg)->msize;
		json_object_array_add(array, message_to_json(msg, flags));
		json_object_array_add(array, text);
	}
	protobuf_c_message_free_unpacked(msg, NULL);
	return code;
}

static int read_queue(struct image_reader *r, const IpcMsgEntry *e, int flags, struct error *err,
		      json_object **ret)
{
	json_object *array = json_object_new_array();
	uint64_t size = 0;
	int code = 0;

	for (uint32_t i = 0; !code && i < e->qnum; i++)
		code = read_msg(r, array, &size, flags, err);
	if (!code && !(flags & DECODE_NO_PAYLOAD)) {
		*ret = array;
		return 0;
	}
	json_object_put(array);
	if (!code)
		*ret = size_to_json(size);
	return code;
}

int payload_to_json(struct image_reader *r, const ProtobufCMessage *msg, int flags,
		    struct error *err, json_object *entry)
{
	const enum image_payload payload = image_reader_kind(r)->payload;
	json_object *extra = NULL;
	struct image_extent x;
	int ret;

	switch (payload) {
	case PAYLOAD_TCP:
		ret = read_tcp(r, (const TcpStreamEntry *)msg, flags, err, &extra);
		break;
	case PAYLOAD_SEM:
		ret = read_sem(r, (const IpcSemEntry *)msg, flags, err, &extra);
		break;
	case PAYLOAD_MSG:
		ret = read_queue(r, (const IpcMsgEntry *)msg, flags, err, &extra);
		break;
	case PAYLOAD_GHOST:
		if (msg->descriptor == &ghost_file_entry__descriptor &&
		    ((const GhostFileEntry *)msg)->chunks)
			return 0;
		x = (struct image_extent){image_left(r), 1, true};
		if (msg->descriptor == &ghost_chunk_entry__descriptor)
			x.len = ((const GhostChunkEntry *)msg)->len;
		if (flags & DECODE_NO_PAYLOAD)
			return image_read_raw(r, NULL, x.len);
		ret = read_extent(r, x, flags, err, &extra);
		break;
	default:
		x = image_extent(image_reader_kind(r), msg);
		if (!x.any)
			return 0;
		ret = read_extent(r, x, flags, err, &extra);
	}
	if (ret)
		json_object_put(extra); /* what was read before the failure */
	else
		json_object_object_add(entry, "extra", extra);
	return ret;
}

static int pad_to(bytes_vec *out, size_t start, unsigned int align, struct error *err)
{
	const size_t more = padded(out->n - start, align) - (out->n - start);

	if (vec_reserve(out, more))
		return fail(err, -ENOMEM, "cannot encode an entry");
	if (more)
		memset(out->at + out->n, 0, more);
	out->n += more;
	return 0;
}

/* base64 that must stand for @len bytes, then padding. */
static int write_bytes(json_object *extra, uint64_t len, unsigned int align,
		       const struct json_path *at, struct error *err, bytes_vec *out)
{
	const size_t start = out->n;
	int ret = bytes_from_json(extra, at, err, out);

	if (ret)
		return ret;
	if (out->n - start != len)
		return json_bad(err, at, "%zu bytes where the entry says %" PRIu64, out->n - start,
				len);
	return pad_to(out, start, align, err);
}

static int write_tcp(json_object *extra, const TcpStreamEntry *e, const struct json_path *at,
		     struct error *err, bytes_vec *out)
{
	const struct json_path in_at = {.up = at, .key = "inq"};
	const struct json_path out_at = {.up = at, .key = "outq"};
	json_object *in, *outq;
	int ret;

	if (!json_object_object_get_ex(extra, "inq", &in) ||
	    !json_object_object_get_ex(extra, "outq", &outq))
		return json_bad(err, at, "not an object with 'inq' and 'outq'");
	ret = write_bytes(in, e->inq_len, 1, &in_at, err, out);
	return ret ?: write_bytes(outq, e->outq_len, 1, &out_at, err, out);
}

static int write_sem(json_object *extra, const IpcSemEntry *e, const struct json_path *at,
		     struct error *err, bytes_vec *out)
{
	const size_t start = out->n;

	if (!json_object_is_type(extra, json_type_array))
		return json_bad(err, at, "not a list");
	if (json_object_array_length(extra) != e->nsems)
		return json_bad(err, at, "%zu values where the entry says %u",
				json_object_array_length(extra), e->nsems);
	for (uint32_t i = 0; i < e->nsems; i++) {
		const struct json_path here = {.up = at, .index = i};
		json_object *v = json_object_array_get_idx(extra, i);
		const int64_t value = json_object_get_int64(v);
		const uint16_t sem = value;

		if (!json_object_is_type(v, json_type_int) || value != sem)
			return json_bad(err, &here, "not a number of 16 bits");
		if (vec_reserve(out, sizeof(sem)))
			return fail(err, -ENOMEM, "cannot encode an entry");
		memcpy(out->at + out->n, &sem, sizeof(sem));
		out->n += sizeof(sem);
	}
	return pad_to(out, start, 8, err);
}

/* A header with its length in front, then the text. */
static int write_msg(json_object *header, json_object *text, const struct json_path *at,
		     struct error *err, bytes_vec *out)
{
	const size_t start = out->n;
	IpcMsg *msg;
	uint32_t len = 0, size;
	int ret;

	if (vec_reserve(out, sizeof(len)))
		return fail(err, -ENOMEM, "cannot encode an entry");
	out->n += sizeof(len);
	ret = message_from_json(&ipc_msg__descriptor, header, at, err, out);
	if (ret)
		return ret;
	len = out->n - start - sizeof(len);
	memcpy(out->at + start, &len, sizeof(len));
	msg = ipc_msg__unpack(NULL, len, out->at + start + sizeof(len));
	if (!msg)
		return json_bad(err, at, "cannot be packed");
	size = msg->msize;
	ipc_msg__free_unpacked(msg, NULL);
	return write_bytes(text, size, 8, at, err, out);
}

static int write_queue(json_object *extra, const IpcMsgEntry *e, const struct json_path *at,
		       struct error *err, bytes_vec *out)
{
	int ret = 0;

	if (!json_object_is_type(extra, json_type_array))
		return json_bad(err, at, "not a list");
	if (json_object_array_length(extra) != 2ull * e->qnum)
		return json_bad(err, at, "%zu elements where the entry says %u messages",
				json_object_array_length(extra), e->qnum);
	for (uint32_t i = 0; !ret && i < e->qnum; i++) {
		const struct json_path here = {.up = at, .index = 2 * i};

		ret = write_msg(json_object_array_get_idx(extra, 2 * i),
				json_object_array_get_idx(extra, 2 * i + 1), &here, err, out);
	}
	return ret;
}

int payload_from_json(const struct image_kind *kind, const ProtobufCMessage *msg,
		      json_object *entry, const struct json_path *at, struct error *err,
		      bytes_vec *out)
{
	const struct json_path here = {.up = at, .key = "extra"};
	const bool chunk = msg->descriptor == &ghost_chunk_entry__descriptor;
	const bool ghost = kind->payload == PAYLOAD_GHOST &&
			   (chunk || !((const GhostFileEntry *)msg)->chunks);
	const struct image_extent x = image_extent(kind, msg);
	json_object *extra;
	bool wanted = x.any || ghost || kind->payload == PAYLOAD_TCP ||
		      kind->payload == PAYLOAD_SEM || kind->payload == PAYLOAD_MSG;

	if (!json_object_object_get_ex(entry, "extra", &extra))
		return wanted ? json_bad(err, &here, "missing: shown without payload?") : 0;
	if (!wanted)
		return json_bad(err, &here, "nothing can follow this entry");
	switch (kind->payload) {
	case PAYLOAD_TCP:
		return write_tcp(extra, (const TcpStreamEntry *)msg, &here, err, out);
	case PAYLOAD_SEM:
		return write_sem(extra, (const IpcSemEntry *)msg, &here, err, out);
	case PAYLOAD_MSG:
		return write_queue(extra, (const IpcMsgEntry *)msg, &here, err, out);
	case PAYLOAD_GHOST:
		if (!chunk)
			return bytes_from_json(extra, &here, err, out);
		return write_bytes(extra, ((const GhostChunkEntry *)msg)->len, 1, &here, err, out);
	default:
		return write_bytes(extra, x.len, x.align, &here, err, out);
	}
}
