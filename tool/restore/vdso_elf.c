// SPDX-License-Identifier: GPL-2.0-only
#include "restore/vdso_elf.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* An ELF image, and what its dynamic section says; offsets, as the image is linked at @base. */
struct image {
	const uint8_t *bytes;
	size_t len;
	uint64_t base;
	uint64_t symtab, strtab, strsz, hash, gnu_hash;
};

/* [at, at + len) as part of the image, or NULL. */
static const void *part(const struct image *im, uint64_t at, uint64_t len)
{
	return at <= im->len && len <= im->len - at ? im->bytes + at : NULL;
}

static int read_dynamic(struct image *im, const Elf64_Phdr *ph)
{
	const Elf64_Dyn *d = part(im, ph->p_offset, ph->p_filesz);
	size_t i, n = ph->p_filesz / sizeof(*d);

	if (!d || ph->p_offset % _Alignof(Elf64_Dyn))
		return -EBADMSG;
	for (i = 0; i < n && d[i].d_tag != DT_NULL; i++) {
		uint64_t at = d[i].d_un.d_ptr - im->base;

		if (d[i].d_tag == DT_SYMTAB)
			im->symtab = at;
		else if (d[i].d_tag == DT_STRTAB)
			im->strtab = at;
		else if (d[i].d_tag == DT_STRSZ)
			im->strsz = d[i].d_un.d_val;
		else if (d[i].d_tag == DT_HASH)
			im->hash = at;
		else if (d[i].d_tag == DT_GNU_HASH)
			im->gnu_hash = at;
	}
	return im->symtab && im->strtab && part(im, im->strtab, im->strsz) ? 0 : -EBADMSG;
}

static int read_headers(struct image *im)
{
	const Elf64_Ehdr *eh = part(im, 0, sizeof(*eh));
	const Elf64_Phdr *ph, *dynamic = NULL;
	bool have_base = false;
	int i;

	if (!eh || memcmp(eh->e_ident, ELFMAG, SELFMAG) || eh->e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh->e_phentsize != sizeof(*ph) || eh->e_phoff % _Alignof(Elf64_Phdr))
		return -EBADMSG;
	ph = part(im, eh->e_phoff, (uint64_t)eh->e_phnum * sizeof(*ph));
	if (!ph)
		return -EBADMSG;
	for (i = 0; i < eh->e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD && !have_base) {
			im->base = ph[i].p_vaddr - ph[i].p_offset;
			have_base = true;
		}
		if (ph[i].p_type == PT_DYNAMIC)
			dynamic = &ph[i];
	}
	return have_base && dynamic ? read_dynamic(im, dynamic) : -EBADMSG;
}

/*
 * How many symbols there are, which only the hash tables tell. The string
 * table follows the symbols in every vDSO: good enough where there is but a GNU hash.
 */
static uint64_t count_symbols(const struct image *im)
{
	const uint32_t *hash = im->hash ? part(im, im->hash, 8) : NULL;

	if (hash && !(im->hash % 4))
		return hash[1];
	return im->strtab > im->symtab ? (im->strtab - im->symtab) / sizeof(Elf64_Sym) : 0;
}

static void add_symbol(const struct image *im, const Elf64_Sym *sym, struct vdso_symbols *ret)
{
	const char *name;
	size_t len;

	if (sym->st_shndx == SHN_UNDEF || ELF64_ST_TYPE(sym->st_info) != STT_FUNC ||
	    sym->st_name >= im->strsz || ret->n == VDSO_SYMBOLS)
		return;
	name = (const char *)im->bytes + im->strtab + sym->st_name;
	len = strnlen(name, im->strsz - sym->st_name);
	if (len >= sizeof(ret->symbol[0].name) || sym->st_value - im->base >= im->len)
		return;
	memcpy(ret->symbol[ret->n].name, name, len);
	ret->symbol[ret->n].name[len] = 0;
	ret->symbol[ret->n++].at = sym->st_value - im->base;
}

int vdso_symbols(const uint8_t *image, size_t len, struct vdso_symbols *ret)
{
	struct image im = {.bytes = image, .len = len};
	const Elf64_Sym *sym;
	uint64_t n, i;
	int code = read_headers(&im);

	if (code)
		return code;
	n = count_symbols(&im);
	if (n > len / sizeof(*sym) || im.symtab % _Alignof(Elf64_Sym))
		return -EBADMSG;
	sym = part(&im, im.symtab, n * sizeof(*sym));
	if (!sym)
		return -EBADMSG;
	ret->n = 0;
	for (i = 0; i < n; i++)
		add_symbol(&im, &sym[i], ret);
	return ret->n ? 0 : -EBADMSG;
}

int64_t vdso_symbol(const struct vdso_symbols *s, const char *name)
{
	int i;

	for (i = 0; i < s->n; i++)
		if (!strcmp(s->symbol[i].name, name))
			return s->symbol[i].at;
	return -1;
}
