// SPDX-License-Identifier: GPL-2.0-only
/* The checksum and the build-ID parser by themselves. */
#include <elf.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/uapi.h"
#include "lib/buildid.h"
#include "lib/crc32c.h"
#include "lib/tap.h"

/* --- CRC-32C ---------------------------------------------------------------- */

static uint32_t checksum(const void *data, size_t len, bool table)
{
	static struct crc32c c; /* big */

	crc32c_start(&c, table);
	crc32c_add(&c, data, len);
	return crc32c_value(&c);
}

/* RFC 3720, B.4; there the bytes of the checksum are in the order in which they are sent. */
static void vectors(struct tap *t, bool table)
{
	static const uint8_t read_pdu[48] = {[0] = 0x01,  0xc0,	       [16] = 0x14, [22] = 0x04,
					     [27] = 0x14, [31] = 0x18, [32] = 0x28, [40] = 0x02};
	uint8_t zeros[32] = {}, ones[32], up[32], down[32];
	struct {
		const char *name;
		const uint8_t *data;
		size_t len;
		uint32_t want;
	} rows[] = {{"32 bytes of zeros", zeros, 32, 0x8a9136aa},
		    {"32 bytes of ones", ones, 32, 0x62a8ab43},
		    {"32 bytes from 0 up", up, 32, 0x46dd794e},
		    {"32 bytes from 31 down", down, 32, 0x113fdb5c},
		    {"an iSCSI read command", read_pdu, 48, 0xd9963a56},
		    {"nothing", zeros, 0, 0}};
	uint32_t got;
	size_t i;

	memset(ones, 255, 32);
	for (i = 0; i < 32; i++) {
		up[i] = i;
		down[i] = 31 - i;
	}
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		got = checksum(rows[i].data, rows[i].len, table);
		if (got != rows[i].want)
			tap_note("%08x, want %08x", got, rows[i].want);
		tap_result(t, got == rows[i].want, "RFC 3720 %s: %s",
			   table ? "by table" : "in hardware", rows[i].name);
	}
}

static uint32_t bit_by_bit(const uint8_t *p, size_t len)
{
	uint32_t crc = ~0u;
	int k;

	for (; len; p++, len--)
		for (crc ^= *p, k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	return ~crc;
}

/* Any length, alignment and division gives what the definition gives. */
static bool pieces(unsigned int seed, bool table)
{
	static uint8_t data[100000];
	static struct crc32c c;
	size_t from, len, at, n, i;
	int round;

	srandom(seed);
	for (i = 0; i < sizeof(data); i++)
		data[i] = random();
	for (round = 0; round < 200; round++) {
		from = random() % 64;
		len = random() % (round % 2 ? 300 : sizeof(data) - 64);
		crc32c_start(&c, table);
		for (at = 0; at < len; at += n) {
			n = 1 + random() % (round % 3 ? 50000 : 40);
			n = n < len - at ? n : len - at;
			crc32c_add(&c, data + from + at, n);
		}
		if (crc32c_value(&c) == bit_by_bit(data + from, len))
			continue;
		tap_note("seed %u, round %d: %zu bytes at %zu", seed, round, len, from);
		return false;
	}
	return true;
}

static void checksums(struct tap *t)
{
	unsigned int seed = getenv("SEED") ? atoi(getenv("SEED")) : 1;

	vectors(t, true);
	tap_result(t, pieces(seed, true), "by table, in pieces, as by definition (seed %u)", seed);
	if (!crc32c_in_hardware()) {
		tap_skip(t, "RFC 3720 in hardware", "no SSE4.2 and PCLMULQDQ here");
		return;
	}
	vectors(t, false);
	tap_result(t, pieces(seed, false), "in hardware, in pieces, as by definition (seed %u)",
		   seed);
}

/* --- build-IDs ----------------------------------------------------------------- */

static const uint8_t the_id[20] = "twenty bytes of text";

struct maker {
	uint8_t data[4096];
	bool wide, big; /* 64 bits; big-endian */
	unsigned int align;
};

static void put(const struct maker *m, uint8_t *at, uint64_t v, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		at[m->big ? size - 1 - i : i] = v >> 8 * i;
}

#define PUT(m, at, kind, field, v)                                               \
	((m)->wide ? put(m, (m)->data + (at) + offsetof(Elf64_##kind, field), v, \
			 sizeof(((Elf64_##kind *)0)->field))                     \
		   : put(m, (m)->data + (at) + offsetof(Elf32_##kind, field), v, \
			 sizeof(((Elf32_##kind *)0)->field)))

static void put_header(struct maker *m, unsigned int segments)
{
	memcpy(m->data, ELFMAG, SELFMAG);
	m->data[EI_CLASS] = m->wide ? ELFCLASS64 : ELFCLASS32;
	m->data[EI_DATA] = m->big ? ELFDATA2MSB : ELFDATA2LSB;
	m->data[EI_VERSION] = EV_CURRENT;
	PUT(m, 0, Ehdr, e_phoff, 64);
	PUT(m, 0, Ehdr, e_phentsize, m->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr));
	PUT(m, 0, Ehdr, e_phnum, segments);
}

static void put_segment(struct maker *m, unsigned int i, uint32_t type, uint64_t at, uint64_t len)
{
	size_t p = 64 + i * (m->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr));

	PUT(m, p, Phdr, p_type, type);
	PUT(m, p, Phdr, p_offset, at);
	PUT(m, p, Phdr, p_filesz, len);
	PUT(m, p, Phdr, p_align, m->align);
}

/* One note at @at; where the next one goes. */
static size_t put_note(struct maker *m, size_t at, const char *name, uint32_t type,
		       const void *data, uint32_t len)
{
	size_t name_len = strlen(name) + 1, pad = m->align - 1;
	size_t data_at = (at + 12 + name_len + pad) & ~pad;

	put(m, m->data + at, name_len, 4);
	put(m, m->data + at + 4, len, 4);
	put(m, m->data + at + 8, type, 4);
	memcpy(m->data + at + 12, name, name_len);
	memcpy(m->data + data_at, data, len);
	return (data_at + len + pad) & ~pad;
}

static ssize_t id_of(const struct maker *m, size_t len, uint8_t id[BUILD_ID_MAX])
{
	int fd = memfd_create("elf", MFD_CLOEXEC);
	ssize_t ret = -1;

	if (fd >= 0 && write(fd, m->data, len) == (ssize_t)len)
		ret = build_id_read(fd, id);
	close(fd);
	return ret;
}

/* The note is the second of the second note segment, behind others of all sorts. */
static void make(struct maker *m, bool wide, bool big, unsigned int align)
{
	size_t at;

	memset(m, 0, sizeof(*m));
	m->wide = wide;
	m->big = big;
	m->align = align;
	put_header(m, 4);
	put_segment(m, 0, PT_LOAD, 0, 4096);
	at = put_note(m, 1024, "GNU", 1, "some bytes of an ABI", 16);
	at = put_note(m, at, "XYZ", NT_GNU_BUILD_ID, "not of GNU", 8);
	put_segment(m, 1, PT_NOTE, 1024, at - 1024);
	put_segment(m, 2, PT_LOAD, 2048, 100);
	at = put_note(m, 2048, "GNU", 5, "properties are odd", 17);
	at = put_note(m, at, "GNU", NT_GNU_BUILD_ID, the_id, sizeof(the_id));
	put_segment(m, 3, PT_NOTE, 2048, at - 2048);
}

static bool is_the_id(const struct maker *m)
{
	uint8_t id[BUILD_ID_MAX];

	return id_of(m, sizeof(m->data), id) == sizeof(the_id) &&
	       !memcmp(id, the_id, sizeof(the_id));
}

static void well_formed(struct tap *t)
{
	static struct maker m;
	int i;

	for (i = 0; i < 8; i++) {
		make(&m, i & 1, i & 2, i & 4 ? 8 : 4);
		tap_result(t, is_the_id(&m),
			   "build-ID in the second note of the second segment: %s, %s-endian, "
			   "aligned to %u",
			   i & 1 ? "64 bits" : "32 bits", i & 2 ? "big" : "little", m.align);
	}
	make(&m, true, false, 4);
	put_segment(&m, 3, PT_LOAD, 2048, 100);
	tap_result(t, id_of(&m, sizeof(m.data), (uint8_t[BUILD_ID_MAX]){}) == 0, "no build-ID");
}

/* Whatever is wrong: the right one, none, but no other and no error. */
static bool is_harmless(const struct maker *m, size_t len)
{
	uint8_t id[BUILD_ID_MAX];
	ssize_t n = id_of(m, len, id);

	return n == 0 || (n == sizeof(the_id) && !memcmp(id, the_id, sizeof(the_id)));
}

static void malformed(struct tap *t)
{
	static const uint64_t wild[] = {
		0,	   1,	       3,	  4095,	      4096,
		INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX, UINT64_MAX - 4095};
	static struct maker m;
	size_t i, bad = 0;
	int wide;

	for (wide = 0; wide < 2; wide++) {
		make(&m, wide, false, 4);
		for (i = 0; i < sizeof(m.data); i++)
			bad += !is_harmless(&m, i);
		for (i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
			make(&m, wide, false, 4);
			PUT(&m, 0, Ehdr, e_phoff, wild[i]);
			bad += !is_harmless(&m, sizeof(m.data));
			make(&m, wide, false, 4);
			put_segment(&m, 1, PT_NOTE, wild[i], UINT64_MAX);
			bad += !is_the_id(&m);
			put_segment(&m, 1, PT_NOTE, 1024, wild[i]);
			bad += !is_harmless(&m, sizeof(m.data));
			make(&m, wide, false, 4);
			put(&m, m.data + 1024, wild[i], 4);
			bad += !is_the_id(&m);
			put(&m, m.data + 1028, wild[i], 4);
			bad += !is_the_id(&m);
		}
	}
	tap_result(t, !bad, "cut anywhere, and wild offsets and lengths: nothing wrong is found");
}

/* What the kernel says of this program is what its file says. */
static void as_kernel(struct tap *t)
{
	uint8_t ours[BUILD_ID_MAX], kernels[BUILD_ID_MAX];
	struct procmap_query q = {.size = sizeof(q),
				  .query_addr = (uintptr_t)as_kernel,
				  .build_id_size = sizeof(kernels),
				  .build_id_addr = (uintptr_t)kernels};
	int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	ssize_t n = build_id_read(exe, ours);

	if (ioctl(maps, PROCMAP_QUERY, &q))
		tap_skip(t, "the same as the kernel", "no PROCMAP_QUERY here");
	else if (!q.build_id_size && n <= 0)
		tap_skip(t, "the same as the kernel", "linked without a build-ID");
	else
		tap_result(t, n == q.build_id_size && !memcmp(ours, kernels, n),
			   "the same as the kernel says of this program");
	close(maps);
	close(exe);
}

int main(void)
{
	struct tap t = {};

	puts("TAP version 13");
	checksums(&t);
	well_formed(&t);
	malformed(&t);
	as_kernel(&t);
	return tap_end(&t);
}
