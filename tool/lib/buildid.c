// SPDX-License-Identifier: GPL-2.0-only
#include "lib/buildid.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* Of hostile files only that much is read, whatever their headers say. */
#define SEGMENTS_MAX 512
#define NOTES_MAX    4096
#define SEGMENT_MAX  (1u << 24) /* bytes */

/* No errno of a read. */
#define FILE_ENDS (-4096)

struct elf {
	int fd;
	bool wide;    /* ELFCLASS64 */
	bool swapped; /* of the other byte order */
	size_t notes; /* seen so far */
};

struct segment {
	uint32_t type;
	uint64_t at, len, align;
};

/* All of it, or FILE_ENDS where the file ends before. */
static int read_at(const struct elf *e, void *buf, size_t len, uint64_t at)
{
	size_t done = 0;
	ssize_t n;

	if (at > INT64_MAX - len)
		return FILE_ENDS;
	for (; done < len; done += n) {
		n = pread(e->fd, (char *)buf + done, len - done, at + done);
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return n ? -errno : FILE_ENDS;
	}
	return 0;
}

/* A number of @size bytes in the file's byte order. */
static uint64_t number(const struct elf *e, const void *p, size_t size)
{
	uint64_t v8;
	uint32_t v4;
	uint16_t v2;

	switch (size) {
	case 2:
		memcpy(&v2, p, 2);
		return e->swapped ? __builtin_bswap16(v2) : v2;
	case 4:
		memcpy(&v4, p, 4);
		return e->swapped ? __builtin_bswap32(v4) : v4;
	default:
		memcpy(&v8, p, 8);
		return e->swapped ? __builtin_bswap64(v8) : v8;
	}
}

#define FIELD(e, p, kind, field)                                    \
	((e)->wide ? number(e, (p) + offsetof(Elf64_##kind, field), \
			    sizeof(((Elf64_##kind *)0)->field))     \
		   : number(e, (p) + offsetof(Elf32_##kind, field), \
			    sizeof(((Elf32_##kind *)0)->field)))

/*
 * The notes of one segment: name, then descriptor, each padded. A descriptor
 * is padded to eight bytes only in segments that say so.
 */
static ssize_t search_notes(struct elf *e, const struct segment *s, uint8_t *id)
{
	uint64_t pad = s->align == 8 ? 7 : 3, at = 0,
		 len = s->len < SEGMENT_MAX ? s->len : SEGMENT_MAX;
	uint64_t name_len, id_len, name_at, id_at;
	uint8_t head[sizeof(Elf64_Nhdr)];
	char name[4];
	int ret;

	for (; at + sizeof(head) <= len && e->notes++ < NOTES_MAX;
	     at = (id_at + id_len + pad) & ~pad) {
		ret = read_at(e, head, sizeof(head), s->at + at);
		if (ret)
			return ret;
		name_len = number(e, head, 4);
		id_len = number(e, head + 4, 4);
		name_at = at + sizeof(head);
		id_at = (name_at + name_len + pad) & ~pad;
		if (id_at + id_len > len)
			return 0;
		if (number(e, head + 8, 4) != NT_GNU_BUILD_ID || name_len != sizeof(ELF_NOTE_GNU) ||
		    !id_len || id_len > BUILD_ID_MAX)
			continue;
		ret = read_at(e, name, sizeof(name), s->at + name_at);
		if (!ret && !memcmp(name, ELF_NOTE_GNU, sizeof(name)))
			ret = read_at(e, id, id_len, s->at + id_at) ?: (int)id_len;
		if (ret)
			return ret;
	}
	return 0;
}

static ssize_t search_segments(struct elf *e, const uint8_t *header, uint8_t *id)
{
	uint64_t table = FIELD(e, header, Ehdr, e_phoff);
	size_t entry = FIELD(e, header, Ehdr, e_phentsize);
	size_t n = FIELD(e, header, Ehdr, e_phnum), i;
	uint8_t p[sizeof(Elf64_Phdr)];
	ssize_t ret = 0;

	if (entry != (e->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)))
		return 0;
	for (i = 0; !ret && i < n && i < SEGMENTS_MAX; i++) {
		struct segment s;

		if (table > INT64_MAX - (i + 1) * entry)
			return 0;
		ret = read_at(e, p, entry, table + i * entry);
		if (ret)
			break;
		s.type = FIELD(e, p, Phdr, p_type);
		s.at = FIELD(e, p, Phdr, p_offset);
		s.len = FIELD(e, p, Phdr, p_filesz);
		s.align = FIELD(e, p, Phdr, p_align);
		if (s.type == PT_NOTE && s.at < INT64_MAX - SEGMENT_MAX)
			ret = search_notes(e, &s, id);
		/* A segment beyond the end says nothing of the next. */
		if (ret == FILE_ENDS)
			ret = 0;
	}
	return ret;
}

ssize_t build_id_read(int fd, uint8_t id[BUILD_ID_MAX])
{
	const unsigned char own = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB
									    : ELFDATA2MSB;
	uint8_t header[sizeof(Elf64_Ehdr)];
	struct elf e = {.fd = fd};
	ssize_t ret = read_at(&e, header, EI_NIDENT, 0);

	if (!ret && memcmp(header, ELFMAG, SELFMAG))
		return 0;
	if (!ret && ((header[EI_CLASS] != ELFCLASS32 && header[EI_CLASS] != ELFCLASS64) ||
		     (header[EI_DATA] != ELFDATA2LSB && header[EI_DATA] != ELFDATA2MSB)))
		return 0;
	e.wide = header[EI_CLASS] == ELFCLASS64;
	e.swapped = header[EI_DATA] != own;
	if (!ret)
		ret = read_at(&e, header, e.wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr), 0);
	if (!ret)
		ret = search_segments(&e, header, id);
	return ret == FILE_ENDS ? 0 : ret;
}
