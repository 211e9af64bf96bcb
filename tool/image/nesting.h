/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * protobuf-c unpacks nested messages by recursion, without a limit: an entry of
 * a message that can contain itself could use up the stack.
 */
#ifndef STASIS_IMAGE_NESTING_H
#define STASIS_IMAGE_NESTING_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False when @data holds messages inside messages beyond what any image needs. */
bool nesting_is_sane(const ProtobufCMessageDescriptor *desc, const uint8_t *data, size_t len);

#endif
