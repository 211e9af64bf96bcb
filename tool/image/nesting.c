// SPDX-License-Identifier: GPL-2.0-only
#include "image/nesting.h"

/* Cgroup directories and AppArmor namespaces nest as deep as their users made them. */
#define NESTING_MAX 256

/* A level takes two bytes at least and about 1 KiB of stack: this little cannot hurt. */
#define NESTING_HARMLESS 2048

/* Deeper than any message that does not contain itself. */
#define DESCRIPTORS_MAX 16

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_LEN = 2, WIRE_32 = 5 };

static bool may_contain_itself(const ProtobufCMessageDescriptor *desc, int depth)
{
	if (depth > DESCRIPTORS_MAX)
		return true;
	for (unsigned int i = 0; i < desc->n_fields; i++)
		if (desc->fields[i].type == PROTOBUF_C_TYPE_MESSAGE &&
		    may_contain_itself(desc->fields[i].descriptor, depth + 1))
			return true;
	return false;
}

/* Bytes used, 0 when the number is cut off or too long. */
static size_t varint(const uint8_t *data, size_t len, uint64_t *value)
{
	*value = 0;
	for (size_t i = 0; i < len && i < 10; i++) {
		*value |= (uint64_t)(data[i] & 0x7f) << (7 * i);
		if (!(data[i] & 0x80))
			return i + 1;
	}
	return 0;
}

/* Length of the field's value, or SIZE_MAX when it is malformed; *skip bytes come before it. */
static size_t value_length(const uint8_t *data, size_t len, unsigned int wire, size_t *skip)
{
	uint64_t value;
	size_t used;

	*skip = 0;
	switch (wire) {
	case WIRE_VARINT:
		used = varint(data, len, &value);
		return used ? used : SIZE_MAX;
	case WIRE_64:
		return 8;
	case WIRE_32:
		return 4;
	case WIRE_LEN:
		*skip = varint(data, len, &value);
		return *skip && value <= len - *skip ? value : SIZE_MAX;
	default:
		return SIZE_MAX;
	}
}

/* Malformed input counts as sane: unpacking refuses it. */
static bool walk(const ProtobufCMessageDescriptor *desc, const uint8_t *data, size_t len, int depth)
{
	const ProtobufCFieldDescriptor *field;
	uint64_t tag;
	size_t used, skip;

	if (depth > NESTING_MAX)
		return false;
	while (len) {
		used = varint(data, len, &tag);
		if (!used)
			return true;
		data += used;
		len -= used;
		used = value_length(data, len, tag & 7, &skip);
		if (used > len || skip > len - used)
			return true;
		field = protobuf_c_message_descriptor_get_field(desc, tag >> 3);
		if (field && field->type == PROTOBUF_C_TYPE_MESSAGE && (tag & 7) == WIRE_LEN &&
		    !walk(field->descriptor, data + skip, used, depth + 1))
			return false;
		data += skip + used;
		len -= skip + used;
	}
	return true;
}

bool nesting_is_sane(const ProtobufCMessageDescriptor *desc, const uint8_t *data, size_t len)
{
	return len <= NESTING_HARMLESS || !may_contain_itself(desc, 0) || walk(desc, data, len, 0);
}
