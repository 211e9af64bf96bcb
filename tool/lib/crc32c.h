/* SPDX-License-Identifier: GPL-2.0-only */
/* CRC-32C (Castagnoli), as RFC 3720 defines it: of iSCSI, ext4, and checkpoints. */
#ifndef STASIS_LIB_CRC32C_H
#define STASIS_LIB_CRC32C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A checksum that is being computed. */
struct crc32c {
	uint32_t state;
	bool hardware;
	uint32_t table[8][256]; /* filled only where the CPU cannot do it */
};

/* Does this CPU have the instructions (SSE4.2 and PCLMULQDQ)? */
bool crc32c_in_hardware(void);

/* Start; @table: by table even where the CPU could do it. */
void crc32c_start(struct crc32c *c, bool table);
void crc32c_add(struct crc32c *c, const void *data, size_t len);
uint32_t crc32c_value(const struct crc32c *c);

#endif
