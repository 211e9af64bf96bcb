// SPDX-License-Identifier: GPL-2.0-only
/*
 * The vDSO. Every task gets it from the seed, which has it from the tool; it
 * is parked in the hole until each task moves it to its place. It and its data
 * mappings ([vvar], [vvar_vclock]; how many there are depends on the kernel)
 * refer to each other by distance and move together.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/cleanup.h"
#include "restore/memory.h"

static bool is_vdso_part(const char *name)
{
	return !strncmp(name, "[vvar", 5) || !strcmp(name, "[vdso]");
}

static int add_part(struct vdso *v, const char *name, uint64_t start, uint64_t end)
{
	if (v->n_parts == VDSO_PARTS || (v->n_parts && v->end != start))
		return -EPROTO;
	if (!v->n_parts)
		v->start = start;
	v->part[v->n_parts].start = start;
	v->part[v->n_parts++].len = end - start;
	v->end = end;
	if (!strcmp(name, "[vdso]"))
		v->text = start;
	return 0;
}

static int find_syscall(struct vdso *v)
{
	static const uint8_t insn[2] = {0x0f, 0x05};
	const uint8_t *text = (const uint8_t *)v->text;
	const uint8_t *at = memmem(text, v->end - v->text, insn, sizeof(insn));

	if (!at)
		return -ENOENT;
	v->syscall_at = at - text;
	return 0;
}

int plan_read_self(struct plan *p)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/maps", "re");
	_cleanup_free_ char *line = NULL;
	size_t room = 0;
	int ret = 0;

	if (!f)
		return fail(&p->run->err, -errno, "/proc/self/maps");
	while (!ret && getline(&line, &room, f) > 0) {
		char name[64] = "";
		uint64_t start, end;

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %*s %63s", &start, &end,
			   name) < 2)
			return fail(&p->run->err, -EPROTO, "/proc/self/maps");
		if (vec_push(&p->used, ((struct range){start, end})))
			return fail(&p->run->err, -ENOMEM, "restore plan");
		if (is_vdso_part(name))
			ret = add_part(&p->vdso, name, start, end);
	}
	if (ret || !p->vdso.text)
		return fail(&p->run->err, ret ? ret : -ENOENT, "the tool's own vDSO");
	ret = find_syscall(&p->vdso);
	if (ret)
		return fail(&p->run->err, ret, "no system call instruction in the vDSO");
	p->vdso_room = p->vdso.end - p->vdso.start;
	return 0;
}

void plan_move_vdso(struct plan *p, struct plan_slot *slot, uint64_t from, uint64_t to)
{
	int i;

	for (i = 0; i < p->vdso.n_parts; i++) {
		uint64_t off = p->vdso.part[i].start - p->vdso.start;

		plan_call_expect(p, slot, "vDSO to %#lx", to + off, __NR_mremap, to + off,
				 imm(from + off), imm(p->vdso.part[i].len),
				 imm(p->vdso.part[i].len), imm(MREMAP_MAYMOVE | MREMAP_FIXED),
				 imm(to + off));
	}
}

/* --- a vDSO of another kernel ------------------------------------------- */

#define VDSO_MAX (1u << 20)

/* The bytes of the mapping [start, end) that the checkpoint holds; 1 when it holds none. */
static int read_contents(struct plan *p, const stored_vec *extents, uint64_t start, uint64_t end,
			 uint8_t *buf)
{
	const struct stored *e;
	bool any = false;

	vec_for_each (extents, e) {
		uint64_t from = e->start > start ? e->start : start;
		uint64_t to = e->start + e->len < end ? e->start + e->len : end;
		_cleanup_close_ int fd = -1;
		char name[64];

		if (from >= to)
			continue;
		image_name(IMG_PAGES, e->pages_id, name, sizeof(name));
		fd = openat(p->chain.dirs.at[e->depth], name, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || pread(fd, buf + (from - start), to - from,
				    e->offset + (from - e->start)) != (ssize_t)(to - from))
			return fail(&p->run->err, fd < 0 ? -errno : -EIO, "image %s", name);
		any = true;
	}
	return any ? 0 : 1;
}

/* The same functions at the same places: ours can stand in for it. */
static bool same_places(const struct vdso_symbols *old, const struct vdso_symbols *now)
{
	int i;

	for (i = 0; i < old->n; i++)
		if (vdso_symbol(now, old->symbol[i].name) != (int64_t)old->symbol[i].at)
			return false;
	return true;
}

static bool runs_in(const struct task *t, uint64_t start, uint64_t end)
{
	const struct thread *th;

	vec_for_each (&t->threads, th) {
		uint64_t ip = th->core->thread_info->gpregs->ip;

		if (ip >= start && ip < end)
			return true;
	}
	return false;
}

/*
 * Every function of the old vDSO goes on in the present one, which stays where
 * it is parked; one that there is no more says ENOSYS, as an old kernel would.
 */
int plan_redirect_vdso(struct plan *p, struct plan_slot *slot, const VmaEntry *text,
		       const struct vdso_symbols *old)
{
	static const uint8_t enosys[] = {0xb8, 0xda, 0xff, 0xff, 0xff, 0xc3};
	uint8_t jump[12] = {0x48, 0xb8, [10] = 0xff, 0xe0}; /* movabs $to, %rax; jmp *%rax */
	struct vdso_symbols now;
	int i, ret;

	ret = vdso_symbols((const uint8_t *)p->vdso.text, p->vdso.end - p->vdso.text, &now);
	if (ret)
		return fail(&p->run->err, ret, "the tool's own vDSO");
	for (i = 0; i < old->n; i++) {
		int64_t at = vdso_symbol(&now, old->symbol[i].name);
		uint64_t to = p->hole + (p->vdso.text - p->vdso.start) + at;
		uint64_t from = text->start + old->symbol[i].at;

		if (old->symbol[i].at + sizeof(jump) > text->end - text->start)
			continue;
		memcpy(jump + 2, &to, sizeof(to));
		plan_call(p, slot, "old vDSO function at %#lx", from, STUB_COPY, imm(from),
			  at < 0 ? plan_data(p, enosys, sizeof(enosys))
				 : plan_data(p, jump, sizeof(jump)),
			  imm(at < 0 ? sizeof(enosys) : sizeof(jump)));
	}
	return 0;
}

static int refuse_vdso(struct plan *p, const struct plan_slot *slot, const VmaEntry *text,
		       const char *why)
{
	fail_text(&p->run->err, -EOPNOTSUPP, "task %d: its vDSO at %#" PRIx64 " %s", slot->tid,
		  text->start, why);
	return fail_hint(&p->run->err, "restore it on the kernel that it was dumped on");
}

/* 1: ours can take its place; 0: it is kept and redirected; or an error. */
static int compare_vdso(struct plan *p, struct plan_slot *slot, struct mm *mm, const VmaEntry *text,
			bool same_layout, const stored_vec *extents, struct vdso_symbols *old)
{
	size_t len = text->end - text->start;
	_cleanup_free_ uint8_t *bytes = NULL;
	struct vdso_symbols now;
	int ret;

	if (len > VDSO_MAX)
		return refuse_vdso(p, slot, text, "is too large");
	bytes = calloc(1, len);
	if (!bytes)
		return fail(&p->run->err, -ENOMEM, "restore plan");
	ret = read_contents(p, extents, text->start, text->end, bytes);
	if (ret < 0)
		return ret;
	if (ret == 1)
		return same_layout ? 1
				   : refuse_vdso(p, slot, text,
						 "is not this kernel's, and not in the images");
	if (same_layout && !memcmp(bytes, (void *)p->vdso.text, len))
		return 1;
	if (runs_in(mm->owner, text->start, text->end))
		return refuse_vdso(p, slot, text,
				   "is not this kernel's, and a thread is running in it");
	if (vdso_symbols(bytes, len, old) ||
	    vdso_symbols((const uint8_t *)p->vdso.text, p->vdso.end - p->vdso.text, &now))
		return refuse_vdso(p, slot, text, "is not this kernel's, and malformed");
	return same_layout && same_places(old, &now);
}

int plan_vdso(struct plan *p, struct plan_slot *slot, struct mm *mm, const stored_vec *extents,
	      const VmaEntry **ret_old, struct vdso_symbols *old)
{
	struct plan_task *pt = plan_task(mm->owner);
	const VmaEntry *text = NULL;
	uint64_t data = 0, first = UINT64_MAX;
	struct vma *vma;
	bool same_layout;
	int ret;

	vec_for_each (&mm->vmas, vma) {
		const VmaEntry *v = vma->msg;

		if (v->status & VMA_VDSO)
			text = v;
		if (v->status & VMA_VVAR) {
			data += v->end - v->start;
			first = v->start < first ? v->start : first;
		}
	}
	/* A task without one, or with an old one: it stays where it is parked. */
	pt->vdso = p->hole + (p->vdso.text - p->vdso.start);
	*ret_old = NULL;
	if (!text)
		return 0;
	same_layout = text->end - text->start == p->vdso.end - p->vdso.text &&
		      data == p->vdso.text - p->vdso.start && first + data == text->start;
	ret = compare_vdso(p, slot, mm, text, same_layout, extents, old);
	if (ret < 0)
		return ret;
	if (ret) {
		plan_move_vdso(p, slot, p->hole, first);
		pt->vdso = text->start;
	} else {
		*ret_old = text;
	}
	return 0;
}
