/* SPDX-License-Identifier: GPL-2.0-only */
/* What readers and writers of images share and nobody else needs. */
#ifndef STASIS_IMAGE_MAGIC_H
#define STASIS_IMAGE_MAGIC_H

#include <stdint.h>
#include <stdio.h>

#define MAGIC_COMMON  0x54564319u
#define MAGIC_SERVICE 0x55105940u

/* The longest name that messages show; longer paths lose their start. */
#define IMAGE_NAME_MAX 128

/*
 * No entry that a kernel object can need comes near: the largest is an mm_entry,
 * 60 bytes a mapping. What claims to be longer is damaged.
 */
#define IMAGE_ENTRY_MAX (256u << 20)

static inline void image_copy_name(char dst[IMAGE_NAME_MAX], const char *name)
{
	size_t len = strlen(name);

	if (len < IMAGE_NAME_MAX)
		memcpy(dst, name, len + 1);
	else
		snprintf(dst, IMAGE_NAME_MAX, "...%s", name + len - (IMAGE_NAME_MAX - 4));
}

#endif
