// SPDX-License-Identifier: GPL-2.0-only
#include "image/image.h"
#include "proto/stasis.pb-c.h"

struct image_extent image_extent(const struct image_kind *kind, const ProtobufCMessage *msg)
{
	const BpfmapDataEntry *map = (const BpfmapDataEntry *)msg;
	const IpcShmEntry *shm = (const IpcShmEntry *)msg;

	switch (kind->payload) {
	case PAYLOAD_PIPE:
		return (struct image_extent){((const PipeDataEntry *)msg)->bytes, 1, true};
	case PAYLOAD_QUEUE:
		return (struct image_extent){((const SkPacketEntry *)msg)->length, 1, true};
	case PAYLOAD_BPFMAP:
		return (struct image_extent){(uint64_t)map->keys_bytes + map->values_bytes, 1,
					     true};
	case PAYLOAD_SHM:
		return (struct image_extent){shm->size, 4, !shm->in_pagemaps};
	default:
		return (struct image_extent){0, 1, false};
	}
}

uint64_t image_padded(struct image_extent x)
{
	if (x.len > UINT64_MAX - x.align)
		return UINT64_MAX;
	return (x.len + x.align - 1) / x.align * x.align;
}

static int skip_extent(struct image_reader *r, uint64_t len, unsigned int align)
{
	return image_read_raw(r, NULL, image_padded((struct image_extent){len, align, true}));
}

static int skip_queue(struct image_reader *r, const IpcMsgEntry *e)
{
	ProtobufCMessage *msg;
	int ret = 0;

	for (uint32_t i = 0; !ret && i < e->qnum; i++) {
		ret = image_read_as(r, &ipc_msg__descriptor, &msg);
		if (!ret)
			return image_read_raw(r, NULL, 1); /* reports the end of the file */
		if (ret < 0)
			return ret;
		ret = skip_extent(r, ((const IpcMsg *)msg)->msize, 8);
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	return ret;
}

static int skip_ghost(struct image_reader *r, const ProtobufCMessage *msg)
{
	if (msg->descriptor == &ghost_chunk_entry__descriptor)
		return image_read_raw(r, NULL, ((const GhostChunkEntry *)msg)->len);
	if (((const GhostFileEntry *)msg)->chunks)
		return 0;
	return image_read_raw(r, NULL, image_left(r));
}

int image_skip(struct image_reader *r, const ProtobufCMessage *msg)
{
	const struct image_kind *kind = image_reader_kind(r);
	const TcpStreamEntry *tcp = (const TcpStreamEntry *)msg;
	struct image_extent x;

	switch (kind->payload) {
	case PAYLOAD_TCP:
		return skip_extent(r, (uint64_t)tcp->inq_len + tcp->outq_len, 1);
	case PAYLOAD_SEM:
		return skip_extent(r, 2ull * ((const IpcSemEntry *)msg)->nsems, 8);
	case PAYLOAD_MSG:
		return skip_queue(r, (const IpcMsgEntry *)msg);
	case PAYLOAD_GHOST:
		return skip_ghost(r, msg);
	default:
		x = image_extent(kind, msg);
		return x.any ? image_read_raw(r, NULL, image_padded(x)) : 0;
	}
}

/* Entries that nothing follows need not be understood to be counted. */
static int count_plain(struct image_reader *r, bool has_head, uint64_t *ret)
{
	uint64_t n = 0;
	int code;

	while ((code = image_pass(r)) == 1)
		n++;
	if (!code)
		*ret = n - (has_head && n);
	return code;
}

int image_count(struct image_reader *r, uint64_t *ret)
{
	const enum image_payload payload = image_reader_kind(r)->payload;
	ProtobufCMessage *msg;
	uint64_t n = 0;
	int code;

	if (payload == PAYLOAD_NONE || payload == PAYLOAD_PAGEMAP)
		return count_plain(r, payload == PAYLOAD_PAGEMAP, ret);
	while ((code = image_read(r, &msg)) == 1) {
		n++;
		code = image_skip(r, msg);
		protobuf_c_message_free_unpacked(msg, NULL);
		if (code)
			return code;
	}
	if (!code)
		*ret = n;
	return code;
}
