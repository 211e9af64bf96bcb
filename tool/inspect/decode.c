// SPDX-License-Identifier: GPL-2.0-only
/* protobuf messages to JSON, by their descriptors. */
#include <string.h>

#include "inspect/encoding.h"
#include "inspect/fields.h"
#include "inspect/json.h"

static json_object *object_of(const ProtobufCMessage *msg, int flags, struct field_style inherited);

/* The integer at @at, sign-extended where it has a sign. */
static uint64_t read_number(ProtobufCType type, const void *at)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_ENUM:
		return (int64_t) * (const int32_t *)at;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return *(const uint32_t *)at;
	case PROTOBUF_C_TYPE_BOOL:
		return *(const protobuf_c_boolean *)at;
	default:
		return *(const uint64_t *)at;
	}
}

static bool is_signed(ProtobufCType type)
{
	return type == PROTOBUF_C_TYPE_INT32 || type == PROTOBUF_C_TYPE_SINT32 ||
	       type == PROTOBUF_C_TYPE_SFIXED32 || type == PROTOBUF_C_TYPE_INT64 ||
	       type == PROTOBUF_C_TYPE_SINT64 || type == PROTOBUF_C_TYPE_SFIXED64 ||
	       type == PROTOBUF_C_TYPE_ENUM;
}

static json_object *number_to_json(ProtobufCType type, uint64_t value, struct field_style style,
				   int flags)
{
	char text[FIELD_TEXT_MAX];

	if (flags & DECODE_PRETTY && field_to_text(style, value, text))
		return json_object_new_string(text);
	return is_signed(type) ? json_object_new_int64(value) : json_object_new_uint64(value);
}

static json_object *enum_to_json(const ProtobufCEnumDescriptor *desc, int32_t value)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(desc, value);

	return v ? json_object_new_string(v->name) : json_object_new_int(value);
}

/* JSON has only Unicode: other text (file names may be anything) becomes {"base64": ...}. */
static json_object *string_to_json(const char *text)
{
	const size_t len = strlen(text);
	json_object *obj, *bytes;

	if (is_utf8(text, len))
		return json_object_new_string_len(text, len);
	obj = json_object_new_object();
	bytes = bytes_to_json(text, len);
	if (!obj || !bytes) {
		json_object_put(obj);
		json_object_put(bytes);
		return NULL;
	}
	json_object_object_add(obj, "base64", bytes);
	return obj;
}

static json_object *binary_to_json(const ProtobufCBinaryData *data, struct field_style style)
{
	json_object *obj;
	char *text;
	size_t n;

	if (style.form != FORM_UNIX_NAME)
		return bytes_to_json(data->data, data->len);
	text = quoted_encode(data->data, data->len, &n);
	obj = text ? json_object_new_string_len(text, n) : NULL;
	free(text);
	return obj;
}

static json_object *value_to_json(const ProtobufCFieldDescriptor *field, const void *at, int flags,
				  struct field_style style)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		return object_of(*(ProtobufCMessage *const *)at, flags, style);
	case PROTOBUF_C_TYPE_STRING:
		return string_to_json(*(char *const *)at);
	case PROTOBUF_C_TYPE_BYTES:
		return binary_to_json(at, style);
	case PROTOBUF_C_TYPE_BOOL:
		return json_object_new_boolean(*(const protobuf_c_boolean *)at);
	case PROTOBUF_C_TYPE_ENUM:
		return enum_to_json(field->descriptor, *(const int32_t *)at);
	case PROTOBUF_C_TYPE_FLOAT:
		return json_object_new_double(*(const float *)at);
	case PROTOBUF_C_TYPE_DOUBLE:
		return json_object_new_double(*(const double *)at);
	default:
		return number_to_json(field->type, read_number(field->type, at), style, flags);
	}
}

static size_t value_size(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_MESSAGE:
	case PROTOBUF_C_TYPE_STRING:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_ENUM:
		return sizeof(uint32_t);
	default:
		return sizeof(uint64_t);
	}
}

static json_object *repeated_to_json(const ProtobufCFieldDescriptor *field, const uint8_t *values,
				     size_t n, int flags, struct field_style style)
{
	json_object *array = json_object_new_array_ext(n), *value;
	char text[FIELD_TEXT_MAX];

	if (!array)
		return NULL;
	if (flags & DECODE_PRETTY && style.form == FORM_ADDRESS && (n == 1 || n == 4)) {
		address_to_text((const uint32_t *)values, n, text);
		json_object_array_add(array, json_object_new_string(text));
		return array;
	}
	for (size_t i = 0; i < n; i++) {
		value = value_to_json(field, values + i * value_size(field->type), flags, style);
		if (!value || json_object_array_add(array, value)) {
			json_object_put(array);
			return NULL;
		}
	}
	return array;
}

static bool is_set(const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *field)
{
	const uint8_t *base = (const uint8_t *)msg;
	const void *pointer;

	if (field->label == PROTOBUF_C_LABEL_REQUIRED)
		return true;
	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)(base + field->quantifier_offset);
	if (field->type == PROTOBUF_C_TYPE_MESSAGE || field->type == PROTOBUF_C_TYPE_STRING) {
		pointer = *(void *const *)(base + field->offset);
		return pointer && pointer != field->default_value;
	}
	return *(const protobuf_c_boolean *)(base + field->quantifier_offset);
}

static json_object *field_to_json(const ProtobufCMessage *msg,
				  const ProtobufCFieldDescriptor *field, int flags,
				  struct field_style style)
{
	const uint8_t *at = (const uint8_t *)msg + field->offset;

	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return repeated_to_json(
			field, *(const uint8_t *const *)at,
			*(const size_t *)((const uint8_t *)msg + field->quantifier_offset), flags,
			style);
	return value_to_json(field, at, flags, style);
}

static size_t put_varint(uint8_t *out, uint64_t value)
{
	size_t n = 0;

	while (value >= 0x80) {
		out[n++] = value | 0x80;
		value >>= 7;
	}
	out[n++] = value;
	return n;
}

/* No field has number 0, which protobuf-c takes in a roundabout encoding. */
static bool has_unknown(const ProtobufCMessage *msg)
{
	for (unsigned int i = 0; i < msg->n_unknown_fields; i++)
		if (msg->unknown_fields[i].tag)
			return true;
	return false;
}

/* As they are on the wire, one after the other. */
static json_object *unknown_to_json(const ProtobufCMessage *msg)
{
	json_object *obj;
	size_t size = 0, n = 0;
	uint8_t *data;

	for (unsigned int i = 0; i < msg->n_unknown_fields; i++)
		size += 10 + msg->unknown_fields[i].len;
	data = malloc(size);
	if (!data)
		return NULL;
	for (unsigned int i = 0; i < msg->n_unknown_fields; i++) {
		const ProtobufCMessageUnknownField *f = &msg->unknown_fields[i];

		if (!f->tag)
			continue;
		n += put_varint(data + n, (uint64_t)f->tag << 3 | f->wire_type);
		if (f->len)
			memcpy(data + n, f->data, f->len);
		n += f->len;
	}
	obj = bytes_to_json(data, n);
	free(data);
	return obj;
}

static json_object *object_of(const ProtobufCMessage *msg, int flags, struct field_style inherited)
{
	const ProtobufCMessageDescriptor *desc = msg->descriptor;
	json_object *obj = json_object_new_object(), *value;

	for (unsigned int i = 0; obj && i < desc->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &desc->fields[i];

		if (!is_set(msg, field))
			continue;
		value = field_to_json(msg, field, flags, field_style(desc, field, inherited));
		if (!value || json_object_object_add_ex(obj, field->name, value,
							JSON_C_OBJECT_ADD_KEY_IS_NEW |
								JSON_C_OBJECT_ADD_CONSTANT_KEY)) {
			json_object_put(obj);
			return NULL;
		}
	}
	if (obj && has_unknown(msg)) {
		value = unknown_to_json(msg);
		if (!value || json_object_object_add(obj, JSON_UNKNOWN, value)) {
			json_object_put(obj);
			return NULL;
		}
	}
	return obj;
}

json_object *message_to_json(const ProtobufCMessage *msg, int flags)
{
	return object_of(msg, flags, (struct field_style){FORM_PLAIN, NULL});
}
