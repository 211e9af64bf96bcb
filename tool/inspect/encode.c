// SPDX-License-Identifier: GPL-2.0-only
/* JSON to protobuf messages on the wire, by their descriptors. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "inspect/encoding.h"
#include "inspect/fields.h"
#include "inspect/json.h"

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LEN = 2, WIRE_32 = 5 };

struct encoder {
	struct error *err;
	bytes_vec *out;
};

static int object_into(struct encoder *e, const ProtobufCMessageDescriptor *desc, json_object *obj,
		       const struct json_path *at, struct field_style inherited);

static int put_bytes(struct encoder *e, const void *data, size_t len)
{
	if (vec_reserve(e->out, len))
		return fail(e->err, -ENOMEM, "cannot encode an entry");
	if (len)
		memcpy(e->out->at + e->out->n, data, len);
	e->out->n += len;
	return 0;
}

static int put_varint(struct encoder *e, uint64_t value)
{
	uint8_t bytes[10];
	size_t n = 0;

	while (value >= 0x80) {
		bytes[n++] = value | 0x80;
		value >>= 7;
	}
	bytes[n++] = value;
	return put_bytes(e, bytes, n);
}

/* What was appended since @start gets its length put in front. */
static int put_length_at(struct encoder *e, size_t start)
{
	const size_t len = e->out->n - start;
	size_t width;
	int ret = put_varint(e, len);
	uint8_t prefix[10];

	if (ret)
		return ret;
	width = e->out->n - start - len;
	memcpy(prefix, e->out->at + start + len, width);
	memmove(e->out->at + start + width, e->out->at + start, len);
	memcpy(e->out->at + start, prefix, width);
	return 0;
}

static enum wire wire_type(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		return WIRE_LEN;
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return WIRE_32;
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return WIRE_64;
	default:
		return WIRE_VARINT;
	}
}

/* Magnitudes that the type can hold, above and below zero. */
static void range_of(ProtobufCType type, uint64_t *max, uint64_t *min)
{
	*min = 0;
	switch (type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_ENUM:
		*max = INT32_MAX;
		*min = 1ull << 31;
		break;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		*max = INT64_MAX;
		*min = 1ull << 63;
		break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		*max = UINT32_MAX;
		break;
	case PROTOBUF_C_TYPE_BOOL:
		*max = 1;
		break;
	default:
		*max = UINT64_MAX;
	}
}

/* The number that @obj stands for, as 64 bits in two's complement. */
static int number_from_json(struct encoder *e, ProtobufCType type, json_object *obj,
			    const struct json_path *at, struct field_style style, uint64_t *ret)
{
	uint64_t value, max, min;
	bool negative = false;

	switch (json_object_get_type(obj)) {
	case json_type_boolean:
		value = json_object_get_boolean(obj);
		break;
	case json_type_int:
		negative = json_object_get_int64(obj) < 0;
		value = negative ? -(uint64_t)json_object_get_int64(obj)
				 : json_object_get_uint64(obj);
		break;
	case json_type_string:
		if (field_from_text(style, json_object_get_string(obj), &negative, &value))
			break;
		return json_bad(e->err, at, "'%.100s' is not understood",
				json_object_get_string(obj));
	default:
		return json_bad(e->err, at, "not a number");
	}
	range_of(type, &max, &min);
	if (value > (negative ? min : max))
		return json_bad(e->err, at, "%s%" PRIu64 " is out of range", negative ? "-" : "",
				value);
	*ret = negative ? -value : value;
	return 0;
}

static int put_number(struct encoder *e, ProtobufCType type, json_object *obj,
		      const struct json_path *at, struct field_style style)
{
	uint64_t value;
	int ret = number_from_json(e, type, obj, at, style, &value);

	if (ret)
		return ret;
	switch (type) {
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SINT64:
		value = value << 1 ^ (uint64_t)((int64_t)value >> 63);
		return put_varint(e, value);
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_SFIXED32:
		return put_bytes(e, &value, 4);
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return put_bytes(e, &value, 8);
	default:
		return put_varint(e, value);
	}
}

static int put_enum(struct encoder *e, const ProtobufCEnumDescriptor *desc, json_object *obj,
		    const struct json_path *at)
{
	const ProtobufCEnumValue *v = NULL;

	if (json_object_is_type(obj, json_type_string)) {
		v = protobuf_c_enum_descriptor_get_value_by_name(desc, json_object_get_string(obj));
		if (!v)
			return json_bad(e->err, at, "'%.100s' is no %s",
					json_object_get_string(obj), desc->name);
		return put_varint(e, (int64_t)v->value);
	}
	return put_number(e, PROTOBUF_C_TYPE_ENUM, obj, at, (struct field_style){});
}

static int put_string(struct encoder *e, json_object *obj, const struct json_path *at)
{
	json_object *bytes;

	if (json_object_is_type(obj, json_type_string))
		return put_bytes(e, json_object_get_string(obj), json_object_get_string_len(obj));
	if (json_object_object_get_ex(obj, "base64", &bytes))
		return bytes_from_json(bytes, at, e->err, e->out);
	return json_bad(e->err, at, "not a string");
}

static int put_binary(struct encoder *e, json_object *obj, const struct json_path *at,
		      struct field_style style)
{
	uint8_t *data;
	size_t n;
	int ret;

	if (style.form != FORM_UNIX_NAME)
		return bytes_from_json(obj, at, e->err, e->out);
	if (!json_object_is_type(obj, json_type_string))
		return json_bad(e->err, at, "not a string");
	ret = quoted_decode(json_object_get_string(obj), json_object_get_string_len(obj), &data,
			    &n);
	if (ret == -EINVAL)
		return json_bad(e->err, at, "malformed quoted-printable text");
	if (ret)
		return fail(e->err, ret, "cannot encode an entry");
	ret = put_bytes(e, data, n);
	free(data);
	return ret;
}

static int put_value(struct encoder *e, const ProtobufCFieldDescriptor *field, json_object *obj,
		     const struct json_path *at, struct field_style style)
{
	size_t start;
	int ret = put_varint(e, (uint64_t)field->id << 3 | wire_type(field->type));

	if (ret)
		return ret;
	start = e->out->n;
	switch (field->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		ret = object_into(e, field->descriptor, obj, at, style);
		break;
	case PROTOBUF_C_TYPE_STRING:
		ret = put_string(e, obj, at);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		ret = put_binary(e, obj, at, style);
		break;
	case PROTOBUF_C_TYPE_ENUM:
		return put_enum(e, field->descriptor, obj, at);
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE:
		return json_bad(e->err, at, "no image has fields with fractions");
	default:
		return put_number(e, field->type, obj, at, style);
	}
	return ret ?: put_length_at(e, start);
}

/* ["127.0.0.1"]: one string that stands for one or four words. */
static int put_address(struct encoder *e, const ProtobufCFieldDescriptor *field, json_object *obj,
		       const struct json_path *at)
{
	uint32_t words[4];
	const size_t n = address_from_text(json_object_get_string(obj), words);
	int ret;

	if (!n)
		return json_bad(e->err, at, "'%.100s' is no address", json_object_get_string(obj));
	for (size_t i = 0; i < n; i++) {
		ret = put_varint(e, (uint64_t)field->id << 3 | WIRE_VARINT);
		if (!ret)
			ret = put_varint(e, words[i]);
		if (ret)
			return ret;
	}
	return 0;
}

static int put_repeated(struct encoder *e, const ProtobufCFieldDescriptor *field, json_object *obj,
			const struct json_path *at, struct field_style style)
{
	size_t n;
	int ret;

	if (!json_object_is_type(obj, json_type_array))
		return json_bad(e->err, at, "not a list");
	n = json_object_array_length(obj);
	for (size_t i = 0; i < n; i++) {
		const struct json_path here = {.up = at, .index = i};
		json_object *value = json_object_array_get_idx(obj, i);

		if (style.form == FORM_ADDRESS && json_object_is_type(value, json_type_string))
			ret = put_address(e, field, value, &here);
		else
			ret = put_value(e, field, value, &here, style);
		if (ret)
			return ret;
	}
	return 0;
}

/* "extra" belongs to an entry, not to its message; there is one only at the top. */
static bool is_known(const ProtobufCMessageDescriptor *desc, const char *key, bool top)
{
	return protobuf_c_message_descriptor_get_field_by_name(desc, key) ||
	       !strcmp(key, JSON_UNKNOWN) || (top && !strcmp(key, "extra"));
}

static int put_unknown(struct encoder *e, json_object *obj, const struct json_path *at)
{
	const struct json_path here = {.up = at, .key = JSON_UNKNOWN};
	json_object *value;

	if (!json_object_object_get_ex(obj, JSON_UNKNOWN, &value))
		return 0;
	return bytes_from_json(value, &here, e->err, e->out);
}

static int object_into(struct encoder *e, const ProtobufCMessageDescriptor *desc, json_object *obj,
		       const struct json_path *at, struct field_style inherited)
{
	int ret;

	if (!json_object_is_type(obj, json_type_object))
		return json_bad(e->err, at, "not an object (%s)", desc->name);
	json_object_object_foreach(obj, key, unused)
	{
		(void)unused;
		if (!is_known(desc, key, !at->up))
			return json_bad(e->err, at, "%s has no field '%.100s'", desc->name, key);
	}
	for (unsigned int i = 0; i < desc->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &desc->fields[i];
		const struct json_path here = {.up = at, .key = field->name};
		const struct field_style style = field_style(desc, field, inherited);
		json_object *value;

		if (!json_object_object_get_ex(obj, field->name, &value)) {
			if (field->label == PROTOBUF_C_LABEL_REQUIRED)
				return json_bad(e->err, &here, "missing");
			continue;
		}
		if (field->label == PROTOBUF_C_LABEL_REPEATED)
			ret = put_repeated(e, field, value, &here, style);
		else
			ret = put_value(e, field, value, &here, style);
		if (ret)
			return ret;
	}
	return put_unknown(e, obj, at);
}

int message_from_json(const ProtobufCMessageDescriptor *desc, json_object *obj,
		      const struct json_path *at, struct error *err, bytes_vec *out)
{
	struct encoder e = {.err = err, .out = out};

	return object_into(&e, desc, obj, at, (struct field_style){});
}
