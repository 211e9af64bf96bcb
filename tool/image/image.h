/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Image files: CRIU's framing (images version 1.1) over protobuf-c messages.
 *
 * Every kind of file is one row of image_kinds[]: its name, its magic, the
 * message of its entries and what raw bytes follow them. Readers treat their
 * input as hostile: a length beyond the file, a message that does not parse or
 * a wrong magic is an error that names file and offset, never a crash.
 */
#ifndef STASIS_IMAGE_IMAGE_H
#define STASIS_IMAGE_IMAGE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

enum image_id {
#define IMAGE(id, ...) IMG_##id,
#include "image/kinds.h"
#undef IMAGE
	IMG_COUNT
};

/* What raw bytes follow an entry (images.md of the format; table in kinds.h). */
enum image_payload {
	PAYLOAD_NONE,
	PAYLOAD_PIPE,	 /* pipes-data, fifo-data: `bytes` bytes */
	PAYLOAD_QUEUE,	 /* sk-queues: `length` bytes */
	PAYLOAD_TCP,	 /* tcp-stream: inq_len, then outq_len bytes */
	PAYLOAD_GHOST,	 /* ghost-file: to the end, or chunk entries with theirs */
	PAYLOAD_SHM,	 /* ipcns-shm: size bytes padded to 4, unless in_pagemaps */
	PAYLOAD_SEM,	 /* ipcns-sem: nsems u16 padded to 8 */
	PAYLOAD_MSG,	 /* ipcns-msg: qnum messages */
	PAYLOAD_BPFMAP,	 /* bpfmap-data: keys, values */
	PAYLOAD_PAGEMAP, /* first entry is a pagemap_head, the others pagemap_entry */
	PAYLOAD_RAW,	 /* no magic, no entries: bytes */
};

enum image_head { HEAD_NONE, HEAD_COMMON, HEAD_SERVICE };

struct image_kind {
	const char *id;	    /* CRIU's name of the kind: "PSTREE" */
	const char *format; /* file name with one conversion or none: "core-%u.img" */
	uint32_t magic;	    /* 0 for raw files */
	enum image_head head;
	enum image_payload payload;
	const ProtobufCMessageDescriptor *entry; /* NULL for raw files */
	bool once;				 /* exactly one entry per file */
};

extern const struct image_kind image_kinds[IMG_COUNT];

/* File name of image @id with number @n (ignored where the name has none). */
void image_name(enum image_id id, uint64_t n, char *buf, size_t size);

/* The kind whose files start so, never a raw one; NULL when there is none. */
const struct image_kind *image_kind_of_magic(enum image_head head, uint32_t magic);
/* The kind that has files of this name (without folder); NULL when there is none. */
const struct image_kind *image_kind_of_name(const char *name);

/* --- writing ---------------------------------------------------------- */

struct image_writer;

/*
 * Create an image in @dirfd with mode 0600, replacing a file of its name, and
 * write its magics. Entries are buffered; nothing is complete before
 * image_close() returned 0. After a failure the later calls do nothing and
 * return the same, so that only image_close() needs to be looked at.
 */
int image_create(int dirfd, enum image_id id, uint64_t n, struct error *err,
		 struct image_writer **ret);
/* The same on @fd, which is taken over (also on failure); @name is for messages. */
int image_writer_new(int fd, const struct image_kind *kind, const char *name, struct error *err,
		     struct image_writer **ret);
int image_write(struct image_writer *w, const ProtobufCMessage *msg);
/* Raw bytes after an entry. */
int image_write_raw(struct image_writer *w, const void *data, size_t len);
/* The descriptor, flushed, for large payloads written past the buffer; its position is the end. */
int image_writer_fd(struct image_writer *w);
/* Errors go to @err from now on. */
void image_writer_error(struct image_writer *w, struct error *err);
/* Flush, close, free; 0 or the first error that writing met. NULL is fine. */
int image_close(struct image_writer *w);

/* Create, write one message, close. */
int image_put(int dirfd, enum image_id id, uint64_t n, const ProtobufCMessage *msg,
	      struct error *err);

/* --- reading ---------------------------------------------------------- */

struct image_reader;
struct pool;

/* Open and check the magics. -ENOENT (err untouched) when the file is missing and @optional. */
int image_open(int dirfd, enum image_id id, uint64_t n, bool optional, struct error *err,
	       struct image_reader **ret);
/* The same for a file of any name. @kind NULL: whatever its magics say. */
int image_open_path(int dirfd, const char *path, const struct image_kind *kind, bool optional,
		    struct error *err, struct image_reader **ret);
/* The same on @fd, which is taken over (also on failure); @name is for messages. */
int image_reader_new(int fd, const struct image_kind *kind, const char *name, struct error *err,
		     struct image_reader **ret);
/* Messages that are read from here on belong to @pool: they are not freed by themselves. */
void image_reader_into(struct image_reader *r, struct pool *pool);
const struct image_kind *image_reader_kind(const struct image_reader *r);
/*
 * The next entry. 1: *ret is a message owned by the caller
 * (protobuf_c_message_free_unpacked); 0: end of file; negative: error.
 * Raw bytes after an entry must be read or skipped first.
 */
int image_read(struct image_reader *r, ProtobufCMessage **ret);
/*
 * Ghost files in chunks go on with ghost_chunk_entry messages, page maps begin
 * with a pagemap_head; both come from image_read() as well.
 */
/* As image_read, for files whose entries differ: read one message of @desc. */
int image_read_as(struct image_reader *r, const ProtobufCMessageDescriptor *desc,
		  ProtobufCMessage **ret);
/* Step over an entry without a look into it. 1: done; 0: end of file; negative: error. */
int image_pass(struct image_reader *r);
/* Exactly @len raw bytes, or an error. @buf NULL skips them. */
int image_read_raw(struct image_reader *r, void *buf, uint64_t len);
/* Bytes from here to the end of the file; offset of the next byte. */
uint64_t image_left(const struct image_reader *r);
uint64_t image_offset(const struct image_reader *r);
/*
 * The descriptor (owned by the reader), for payloads that are moved in the
 * kernel. Its own position means nothing: pass image_offset().
 */
int image_reader_fd(const struct image_reader *r);
void image_reader_free(struct image_reader *r);

/* Open, read the one entry, close. *ret owned by the caller; -ENOENT quietly when @optional. */
int image_get(int dirfd, enum image_id id, uint64_t n, bool optional, struct error *err,
	      ProtobufCMessage **ret);

/* --- raw bytes after entries ------------------------------------------ */

struct image_extent {
	uint64_t len;
	unsigned int align; /* what they are padded to */
	bool any;	    /* false: nothing follows, or not one run of bytes */
};

/* What follows @msg, where that is one run of bytes whose length it says. */
struct image_extent image_extent(const struct image_kind *kind, const ProtobufCMessage *msg);
/* With padding; the largest number when there is none so large. */
uint64_t image_padded(struct image_extent x);
/* Step over all that follows @msg, the entry read last. */
int image_skip(struct image_reader *r, const ProtobufCMessage *msg);
/* Number of entries from here to the end; the head of a page map is none. */
int image_count(struct image_reader *r, uint64_t *ret);

/*
 * @msg or the first message in it with fields that our descriptors lack: a newer
 * program wrote it. NULL when all is known.
 */
const ProtobufCMessage *message_with_unknown(const ProtobufCMessage *msg);

#endif
