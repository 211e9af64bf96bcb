// SPDX-License-Identifier: GPL-2.0-only
#include "lib/crc32c.h"

#include <string.h>

#define POLYNOMIAL 0x82f63b78u /* its bits reversed, as those of the checksum are */

/* --- by table: eight bytes a step ----------------------------------------- */

static void fill_table(uint32_t table[8][256])
{
	uint32_t i, k, v;

	for (i = 0; i < 256; i++) {
		for (v = i, k = 0; k < 8; k++)
			v = v >> 1 ^ (POLYNOMIAL & -(v & 1));
		table[0][i] = v;
	}
	for (k = 1; k < 8; k++) {
		for (i = 0; i < 256; i++) {
			v = table[k - 1][i];
			table[k][i] = v >> 8 ^ table[0][v & 255];
		}
	}
}

static uint32_t by_table(const uint32_t table[8][256], uint32_t crc, const uint8_t *p, size_t len)
{
	size_t i;

	for (; len >= 8; p += 8, len -= 8) {
		uint32_t next = 0;

		for (i = 0; i < 4; i++)
			next ^= table[7 - i][(p[i] ^ crc >> 8 * i) & 255] ^ table[3 - i][p[4 + i]];
		crc = next;
	}
	for (; len; p++, len--)
		crc = crc >> 8 ^ table[0][(crc ^ *p) & 255];
	return crc;
}

/* --- in hardware ---------------------------------------------------------- */

#ifdef __x86_64__
#include <immintrin.h>

#define HARDWARE __attribute__((target("sse4.2,pclmul")))

/* The instruction's result is there only two instructions later: three strands keep it busy. */
#define STRAND 4096
/* x^(8 n - 33) modulo the polynomial, n the length of one and of two strands. */
#define OVER_ONE_STRAND	 0x82f89c77u
#define OVER_TWO_STRANDS 0x54a86326u

bool crc32c_in_hardware(void)
{
	return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}

static inline uint64_t word(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* What @crc becomes when as many zeros follow as @constant says. */
HARDWARE static inline uint32_t over_zeros(uint32_t crc, uint32_t constant)
{
	__m128i v = _mm_clmulepi64_si128(_mm_cvtsi32_si128(crc), _mm_cvtsi32_si128(constant), 0);

	return _mm_crc32_u64(0, _mm_cvtsi128_si64(v));
}

HARDWARE static uint32_t in_hardware(uint32_t crc, const uint8_t *p, size_t len)
{
	uint64_t a = crc, b, c;
	size_t i;

	for (; len >= 3 * STRAND; p += 3 * STRAND, len -= 3 * STRAND) {
		for (i = 0, b = 0, c = 0; i < STRAND; i += 8) {
			a = _mm_crc32_u64(a, word(p + i));
			b = _mm_crc32_u64(b, word(p + STRAND + i));
			c = _mm_crc32_u64(c, word(p + 2 * STRAND + i));
		}
		a = over_zeros(a, OVER_TWO_STRANDS) ^ over_zeros(b, OVER_ONE_STRAND) ^ c;
	}
	for (; len >= 8; p += 8, len -= 8)
		a = _mm_crc32_u64(a, word(p));
	for (; len; p++, len--)
		a = _mm_crc32_u8(a, *p);
	return a;
}
#else
bool crc32c_in_hardware(void)
{
	return false;
}

static uint32_t in_hardware(uint32_t crc, const uint8_t *p, size_t len)
{
	return crc;
}
#endif

/* -------------------------------------------------------------------------- */

void crc32c_start(struct crc32c *c, bool table)
{
	c->state = ~0u;
	c->hardware = !table && crc32c_in_hardware();
	if (!c->hardware)
		fill_table(c->table);
}

void crc32c_add(struct crc32c *c, const void *data, size_t len)
{
	c->state = c->hardware ? in_hardware(c->state, data, len)
			       : by_table(c->table, c->state, data, len);
}

uint32_t crc32c_value(const struct crc32c *c)
{
	return ~c->state;
}
