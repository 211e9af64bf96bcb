/* SPDX-License-Identifier: GPL-2.0-only */
/* The build-ID of an ELF file: what the linker noted to tell one build from another. */
#ifndef STASIS_LIB_BUILDID_H
#define STASIS_LIB_BUILDID_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Linkers make 8, 16 or 20 bytes; a user may have them note others. */
#define BUILD_ID_MAX 64

/*
 * Read the build-ID of @fd, which need not be an ELF file and need not be well
 * formed: any class and byte order, any number of note segments. Its length in
 * bytes; 0: there is none; a negative errno if reading failed.
 */
ssize_t build_id_read(int fd, uint8_t id[BUILD_ID_MAX]);

#endif
