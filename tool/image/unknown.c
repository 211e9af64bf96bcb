// SPDX-License-Identifier: GPL-2.0-only
#include "image/image.h"

static const ProtobufCMessage *in_field(const ProtobufCMessage *msg,
					const ProtobufCFieldDescriptor *f)
{
	const uint8_t *base = (const uint8_t *)msg;
	const ProtobufCMessage *const *array, *found = NULL, *child;
	size_t n;

	if (f->label != PROTOBUF_C_LABEL_REPEATED) {
		child = *(const ProtobufCMessage *const *)(base + f->offset);
		return child ? message_with_unknown(child) : NULL;
	}
	n = *(const size_t *)(base + f->quantifier_offset);
	array = *(const ProtobufCMessage *const *const *)(base + f->offset);
	for (size_t i = 0; !found && i < n; i++)
		found = message_with_unknown(array[i]);
	return found;
}

const ProtobufCMessage *message_with_unknown(const ProtobufCMessage *msg)
{
	const ProtobufCMessageDescriptor *desc = msg->descriptor;
	const ProtobufCMessage *found = msg->n_unknown_fields ? msg : NULL;

	for (unsigned int i = 0; !found && i < desc->n_fields; i++)
		if (desc->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
			found = in_field(msg, &desc->fields[i]);
	return found;
}
