/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STASIS_RESOURCE_MEMFD_H
#define STASIS_RESOURCE_MEMFD_H

#include "resource/resource.h"

/* Bytes of the inode behind a loaded description. */
uint64_t memfd_size(const struct file *f);
uint64_t secretmem_size(const struct file *f);

#endif
