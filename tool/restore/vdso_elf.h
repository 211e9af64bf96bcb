/* SPDX-License-Identifier: GPL-2.0-only */
/* The functions of a vDSO, by name. Its bytes may come from an image: hostile. */
#ifndef STASIS_RESTORE_VDSO_ELF_H
#define STASIS_RESTORE_VDSO_ELF_H

#include <stddef.h>
#include <stdint.h>

#define VDSO_SYMBOLS 64

struct vdso_symbols {
	int n;
	struct {
		char name[48];
		uint64_t at; /* offset in the image */
	} symbol[VDSO_SYMBOLS];
};

/* Defined functions of the ELF image; -EBADMSG when it is none. */
int vdso_symbols(const uint8_t *image, size_t len, struct vdso_symbols *ret);
/* Offset of @name, or -1. */
int64_t vdso_symbol(const struct vdso_symbols *s, const char *name);

#endif
