// SPDX-License-Identifier: GPL-2.0-only
/*
 * synth SEED FOLDER: an image of every kind, its fields filled at random by the
 * message descriptors, its raw bytes as the entries promise them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/image.h"
#include "proto/stasis.pb-c.h"

struct synth {
	uint64_t state;
	struct error err;
};

/* splitmix64: the same everywhere for one seed. */
static uint64_t next(struct synth *s)
{
	uint64_t z = (s->state += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static uint64_t below(struct synth *s, uint64_t n)
{
	return next(s) % n;
}

/* Small numbers, single bits and all lengths of varints are all likely. */
static uint64_t number(struct synth *s)
{
	switch (below(s, 4)) {
	case 0:
		return below(s, 20);
	case 1:
		return 1ull << below(s, 64);
	default:
		return next(s) >> below(s, 64);
	}
}

static void *need(void *p)
{
	if (!p) {
		perror("synth");
		exit(1);
	}
	return p;
}

/* Valid UTF-8 of all lengths, with what JSON escapes. */
static char *text(struct synth *s)
{
	static const char *const parts[] = {"a",  "/",	"dev",	  " ",	    "\"", "\\",
					    "\n", "\t", "\x01",	  "\x7f",   "é",  "€",
					    "😀",  "%s", "</tag>", "\r\f\b", "=",  "名"};
	const size_t n = below(s, 12);
	char *t = need(calloc(n + 1, 16));

	for (size_t i = 0; i < n; i++)
		strcat(t, parts[below(s, sizeof(parts) / sizeof(parts[0]))]);
	return t;
}

static ProtobufCBinaryData binary(struct synth *s)
{
	ProtobufCBinaryData b = {.len = below(s, 4) ? below(s, 200) : 0};

	b.data = need(malloc(b.len + 1));
	for (size_t i = 0; i < b.len; i++)
		b.data[i] = below(s, 3) ? next(s) : 'a' + below(s, 26);
	return b;
}

static ProtobufCMessage *message(struct synth *s, const ProtobufCMessageDescriptor *desc,
				 int depth);

static void value(struct synth *s, const ProtobufCFieldDescriptor *f, void *at, int depth)
{
	const ProtobufCEnumDescriptor *e = f->descriptor;

	switch (f->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		*(ProtobufCMessage **)at = message(s, f->descriptor, depth + 1);
		break;
	case PROTOBUF_C_TYPE_STRING:
		*(char **)at = text(s);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		*(ProtobufCBinaryData *)at = binary(s);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)at = below(s, 2);
		break;
	case PROTOBUF_C_TYPE_ENUM:
		*(int32_t *)at = e->values[below(s, e->n_values)].value;
		break;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		*(uint32_t *)at = number(s);
		break;
	default:
		*(uint64_t *)at = number(s);
	}
}

static size_t size_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_ENUM:
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return 4;
	default:
		return 8;
	}
}

/* Addresses of one or four words: crit can show no others. */
static bool is_address(const ProtobufCFieldDescriptor *f)
{
	return strstr(f->name, "_addr") || !strcmp(f->name, "local") ||
	       !strcmp(f->name, "remote") || strstr(f->name, "_prefix");
}

static void repeated(struct synth *s, const ProtobufCFieldDescriptor *f, uint8_t *base, int depth)
{
	const size_t size = size_of(f->type);
	size_t n = below(s, 5);
	uint8_t *array;

	if (is_address(f))
		n = (size_t[]){0, 1, 4}[below(s, 3)];
	if (depth > 4 && f->type == PROTOBUF_C_TYPE_MESSAGE)
		n = 0;
	array = need(calloc(n + 1, size));
	for (size_t i = 0; i < n; i++)
		value(s, f, array + i * size, depth);
	*(size_t *)(base + f->quantifier_offset) = n;
	*(void **)(base + f->offset) = array;
}

static ProtobufCMessage *message(struct synth *s, const ProtobufCMessageDescriptor *desc, int depth)
{
	ProtobufCMessage *m = need(calloc(1, desc->sizeof_message));
	uint8_t *base = (uint8_t *)m;

	protobuf_c_message_init(desc, m);
	for (unsigned int i = 0; i < desc->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &desc->fields[i];

		if (f->id >= 1000)
			continue; /* ours: crit would lose it */
		if (f->label == PROTOBUF_C_LABEL_REPEATED) {
			repeated(s, f, base, depth);
			continue;
		}
		if (f->label == PROTOBUF_C_LABEL_OPTIONAL) {
			if (below(s, 3) == 0)
				continue;
			if (f->type != PROTOBUF_C_TYPE_MESSAGE && f->type != PROTOBUF_C_TYPE_STRING)
				*(protobuf_c_boolean *)(base + f->quantifier_offset) = 1;
		}
		value(s, f, base + f->offset, depth);
		if (f->type == PROTOBUF_C_TYPE_ENUM && *(int32_t *)(base + f->offset) >= 1000 &&
		    *(int32_t *)(base + f->offset) < 2000)
			*(int32_t *)(base + f->offset) = 1;
	}
	return m;
}

static void raw(struct synth *s, struct image_writer *w, uint64_t len, unsigned int align)
{
	uint8_t byte;

	for (uint64_t i = 0; i < len; i++) {
		byte = next(s);
		image_write_raw(w, &byte, 1);
	}
	for (byte = 0; len % align; len++)
		image_write_raw(w, &byte, 1);
}

/* Make the entry's lengths ones that can be written, write it and what it promises. */
static void entry(struct synth *s, struct image_writer *w, enum image_payload payload,
		  ProtobufCMessage *m)
{
	PipeDataEntry *pipe = (void *)m;
	SkPacketEntry *packet = (void *)m;
	TcpStreamEntry *tcp = (void *)m;
	IpcShmEntry *shm = (void *)m;
	IpcSemEntry *sem = (void *)m;
	IpcMsgEntry *queue = (void *)m;
	BpfmapDataEntry *map = (void *)m;

	switch (payload) {
	case PAYLOAD_PIPE:
		pipe->bytes = below(s, 300);
		image_write(w, m);
		raw(s, w, pipe->bytes, 1);
		break;
	case PAYLOAD_QUEUE:
		packet->length = below(s, 300);
		image_write(w, m);
		raw(s, w, packet->length, 1);
		break;
	case PAYLOAD_TCP:
		tcp->inq_len = below(s, 100);
		tcp->outq_len = below(s, 100);
		image_write(w, m);
		raw(s, w, tcp->inq_len + tcp->outq_len, 1);
		break;
	case PAYLOAD_SHM:
		shm->has_in_pagemaps = false;
		shm->size = below(s, 300);
		image_write(w, m);
		raw(s, w, shm->size, 4);
		break;
	case PAYLOAD_SEM:
		sem->nsems = below(s, 20);
		image_write(w, m);
		raw(s, w, 2 * sem->nsems, 8);
		break;
	case PAYLOAD_MSG:
		queue->qnum = below(s, 4);
		image_write(w, m);
		for (uint32_t i = 0; i < queue->qnum; i++) {
			IpcMsg *msg = (IpcMsg *)message(s, &ipc_msg__descriptor, 0);

			msg->msize = below(s, 50);
			image_write(w, &msg->base);
			raw(s, w, msg->msize, 8);
			ipc_msg__free_unpacked(msg, NULL);
		}
		break;
	case PAYLOAD_BPFMAP:
		map->keys_bytes = below(s, 100);
		map->values_bytes = below(s, 100);
		image_write(w, m);
		raw(s, w, map->keys_bytes + map->values_bytes, 1);
		break;
	default:
		image_write(w, m);
	}
}

static void ghost(struct synth *s, struct image_writer *w, GhostFileEntry *e)
{
	e->has_chunks = true;
	e->chunks = below(s, 2);
	image_write(w, &e->base);
	if (!e->chunks) {
		raw(s, w, below(s, 1000), 1);
		return;
	}
	for (size_t n = below(s, 5); n; n--) {
		GhostChunkEntry c = GHOST_CHUNK_ENTRY__INIT;

		c.len = below(s, 200);
		c.off = number(s);
		image_write(w, &c.base);
		raw(s, w, c.len, 1);
	}
}

static void contents(struct synth *s, struct image_writer *w, const struct image_kind *kind)
{
	size_t n = kind->once ? 1 : below(s, 6);
	ProtobufCMessage *m;

	if (!kind->entry) {
		raw(s, w, below(s, 5000), 1);
		return;
	}
	if (kind->payload == PAYLOAD_PAGEMAP) {
		m = message(s, &pagemap_head__descriptor, 0);
		image_write(w, m);
		protobuf_c_message_free_unpacked(m, NULL);
	}
	for (; n; n--) {
		m = message(s, kind->entry, 0);
		if (kind->payload == PAYLOAD_GHOST)
			ghost(s, w, (GhostFileEntry *)m);
		else
			entry(s, w, kind->payload, m);
		protobuf_c_message_free_unpacked(m, NULL);
	}
}

int main(int argc, char **argv)
{
	struct synth s = {0};
	struct image_writer *w;
	int dir;

	if (argc != 3) {
		fprintf(stderr, "usage: %s SEED FOLDER\n", argv[0]);
		return 2;
	}
	mkdir(argv[2], 0700);
	dir = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) {
		perror(argv[2]);
		return 1;
	}
	for (int i = 0; i < IMG_COUNT; i++) {
		s.state = strtoull(argv[1], NULL, 0) * IMG_COUNT + i;
		if (image_create(dir, i, 7, &s.err, &w))
			break;
		contents(&s, w, &image_kinds[i]);
		if (image_close(w))
			break;
	}
	if (s.err.code)
		fprintf(stderr, "%s\n", s.err.text);
	return s.err.code ? 1 : 0;
}
