// SPDX-License-Identifier: GPL-2.0-only
/*
 * The vDSO. Every task gets it from the seed, which has it from the tool; it
 * is parked in the hole until each task moves it to its place. It and its data
 * mappings ([vvar], [vvar_vclock]; how many there are depends on the kernel)
 * refer to each other by distance and move together.
 */
#include <errno.h>
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

int plan_vdso(struct plan *p, struct plan_slot *slot, struct mm *mm)
{
	struct plan_task *pt = plan_task(mm->owner);
	const VmaEntry *text = NULL;
	uint64_t data = 0, first = UINT64_MAX;
	struct vma *vma;

	vec_for_each (&mm->vmas, vma) {
		const VmaEntry *v = vma->msg;

		if (v->status & VMA_VDSO)
			text = v;
		if (v->status & VMA_VVAR) {
			data += v->end - v->start;
			first = v->start < first ? v->start : first;
		}
	}
	/* A task without one: it stays where it is parked. */
	pt->vdso = p->hole + (p->vdso.text - p->vdso.start);
	if (!text)
		return 0;
	if (text->end - text->start != p->vdso.end - p->vdso.text ||
	    data != p->vdso.text - p->vdso.start || first + data != text->start) {
		fail_text(&p->run->err, -EOPNOTSUPP,
			  "task %d: its vDSO at %#" PRIx64 " has another layout than this kernel's",
			  slot->tid, text->start);
		return fail_hint(&p->run->err, "restore it on the kernel that it was dumped on");
	}
	plan_move_vdso(p, slot, p->hole, first);
	pt->vdso = text->start;
	return 0;
}
