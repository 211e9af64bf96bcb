// SPDX-License-Identifier: GPL-2.0-only
/*
 * Address spaces: the mm's fields, mappings, then contents, then what would have
 * stood in the way of the contents (protection, locks, advice).
 */
#include "restore/memory.h"
#include "resource/borrow.h"
#include "resource/sysv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/prctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

/* --- mappings ----------------------------------------------------------- */

/* One address space while it is planned. */
struct space {
	struct plan *p;
	struct plan_slot *slot;
	struct mm *mm;
	stored_vec extents;
	const VmaEntry *old_vdso; /* of another kernel; kept and redirected */
	struct vdso_symbols old_symbols;
	/* By vma: what the checkpoint holds contents for; and what is mapped readable and
	 * writable together with its neighbours. */
	bool *filled, *in_run;
	/* The mapped file that is open. */
	struct file *file;
	uint32_t file_flags;
	struct operand fd;
};

/* Not mapped by us: the kernel's own, unless the vDSO is that of another kernel. */
static bool is_special(const struct space *s, const VmaEntry *v)
{
	return v->status & (VMA_VSYSCALL | VMA_VVAR) || (v->status & VMA_VDSO && v != s->old_vdso);
}

static void find_filled(struct space *s)
{
	size_t next = 0, i;

	for (i = 0; i < s->mm->vmas.n; i++) {
		const VmaEntry *v = s->mm->vmas.at[i].msg;

		while (next < s->extents.n &&
		       s->extents.at[next].start + s->extents.at[next].len <= v->start)
			next++;
		s->filled[i] = next < s->extents.n && s->extents.at[next].start < v->end;
	}
}

static void drop_file(struct space *s)
{
	if (s->file)
		plan_close(s->p, s->slot, s->fd);
	s->file = NULL;
}

static int use_file(struct space *s, const struct vma *vma)
{
	const VmaEntry *v = vma->msg;
	uint32_t flags = O_RDONLY;
	int ret;

	if (!vma->file)
		return fail_text(&s->p->run->err, -EBADMSG,
				 "task %d: mapping at %#" PRIx64 ": its file is not in files.img",
				 s->slot->tid, v->start);
	if (v->has_fdflags)
		flags = v->fdflags & O_ACCMODE;
	else if ((v->flags & MAP_SHARED) && (v->prot & PROT_WRITE))
		flags = O_RDWR;
	if (s->file == vma->file && s->file_flags == flags)
		return 0;
	drop_file(s);
	ret = file_borrow(s->p, s->slot, vma->file, flags, &s->fd);
	if (ret)
		return ret;
	s->file = vma->file;
	s->file_flags = flags;
	return 0;
}

/* Flags of mmap(2) that an image may ask for; MAP_LOCKED comes later, by mlock. */
#define IMAGE_MAP_FLAGS                                                                           \
	(MAP_SHARED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_NORESERVE | MAP_HUGETLB | \
	 (0x3fu << 26) | MAP_STACK)

/* A segment is attached whole: a part of it takes the way over the scratch range. */
static int plan_map_sysv(struct space *s, const VmaEntry *v)
{
	uint64_t size = sysv_size(s->p->cp, v->shmid), len = v->end - v->start;
	bool whole = v->pgoff == 0 && len == size;
	bool read_only = v->has_fdflags && (v->fdflags & O_ACCMODE) == O_RDONLY;
	uint32_t prot = PROT_READ | (read_only ? 0 : PROT_WRITE) | (v->prot & PROT_EXEC);
	uint64_t at = whole ? v->start : plan_scratch(s->p);

	if (v->pgoff > size || len > size - v->pgoff)
		return fail_text(&s->p->run->err, -EBADMSG,
				 "task %d: mapping at %#" PRIx64
				 ": no such part of System V segment %" PRIu64,
				 s->slot->tid, v->start, v->shmid);
	plan_call_expect(s->p, s->slot, "attach segment %ld", v->shmid, __NR_shmat, at,
			 imm(v->shmid), imm(at),
			 imm((v->prot & PROT_EXEC ? SHM_EXEC : 0) | (read_only ? SHM_RDONLY : 0)));
	if (!whole) {
		plan_call_expect(s->p, s->slot, "part of the segment to %#lx", v->start,
				 __NR_mremap, v->start, imm(at + v->pgoff), imm(len), imm(len),
				 imm(MREMAP_MAYMOVE | MREMAP_FIXED), imm(v->start));
		plan_call(s->p, s->slot, "the rest of the segment", v->shmid, __NR_munmap, imm(at),
			  imm(size));
	}
	if (v->prot != prot)
		plan_call(s->p, s->slot, "protection at %#lx", v->start, __NR_mprotect,
			  imm(v->start), imm(len), imm(v->prot));
	return 0;
}

static int plan_map(struct space *s, const struct vma *vma, int prot)
{
	const VmaEntry *v = vma->msg;
	uint64_t flags = (v->flags & IMAGE_MAP_FLAGS) | MAP_FIXED_NOREPLACE;
	struct operand fd = imm(-1);
	int ret;

	if (v->status & VMA_SYSV)
		return plan_map_sysv(s, v);
	if (v->status & VMA_ANON_SHARED)
		return plan_map_object(s->p, s->slot, v, prot);
	if (v->status & (VMA_FILE_PRIVATE | VMA_FILE_SHARED | VMA_MEMFD)) {
		ret = use_file(s, vma);
		if (ret)
			return ret;
		fd = s->fd;
		flags &= ~(uint64_t)MAP_ANONYMOUS;
	} else if (v->status & VMA_ANON_PRIVATE) {
		flags |= MAP_ANONYMOUS;
	} else {
		fail_text(&s->p->run->err, -EOPNOTSUPP,
			  "task %d: mapping at %#" PRIx64 " of unknown kind (status %#x)",
			  s->slot->tid, v->start, v->status);
		return fail_hint(&s->p->run->err, "restore it with criu");
	}
	plan_call_expect(s->p, s->slot, "mapping at %#lx", v->start, __NR_mmap, v->start,
			 imm(v->start), imm(v->end - v->start), imm(prot), imm(flags), fd,
			 imm(fd.kind == OPERAND_IMM && (int64_t)fd.value == -1 ? 0 : v->pgoff));
	return 0;
}

static int refuse_kind(struct space *s, const VmaEntry *v)
{
	const char *what = v->status & VMA_AIO		  ? "an AIO ring"
			   : v->status & VMA_SOCKET	  ? "memory of a packet socket"
			   : v->status & VMA_SHADOW_STACK ? "a shadow stack"
			   : v->status & VMA_UPROBES	  ? "a uprobes mapping"
							  : NULL;

	if (!what)
		return 0;
	fail_text(&s->p->run->err, -EOPNOTSUPP, "task %d: mapping at %#" PRIx64 " is %s",
		  s->slot->tid, v->start, what);
	return fail_hint(&s->p->run->err, "restore it with criu");
}

/* It is or was writable, and so counts against the overcommit limit. */
static bool was_writable(struct space *s, size_t i)
{
	const VmaEntry *v = s->mm->vmas.at[i].msg;

	return v->prot & PROT_WRITE || (v->has_accounted && v->accounted) || s->filled[i];
}

static bool can_run(struct space *s, size_t i)
{
	const VmaEntry *v = s->mm->vmas.at[i].msg;

	return v->status & VMA_ANON_PRIVATE && !is_special(s, v) &&
	       !(v->flags & (MAP_GROWSDOWN | MAP_HUGETLB)) && was_writable(s, i);
}

/* The first of the neighbours of which mapping @last is the last that can be mapped as one. */
static size_t run_start(struct space *s, size_t last)
{
	const struct vma *at = s->mm->vmas.at;
	size_t i;

	for (i = last; i && can_run(s, i - 1); i--) {
		const VmaEntry *v = at[i].msg, *before = at[i - 1].msg;

		if (before->end != v->start || before->status != v->status ||
		    ((before->flags ^ v->flags) & IMAGE_MAP_FLAGS))
			break;
	}
	return i;
}

/*
 * Neighbours were mostly one mapping before mprotect(2) cut it: map them as
 * one, cut it again when it is filled. Only what was touched as a whole stays
 * accounted when a part of it loses the right to be written (since 6.5).
 * Returns how many end with mapping @last, 0 when it is to be mapped by itself.
 */
static size_t plan_run(struct space *s, size_t last)
{
	size_t first = run_start(s, last), i;
	const VmaEntry *v = s->mm->vmas.at[first].msg;
	bool contents = false, accounted = false;

	for (i = first; i <= last; i++) {
		const VmaEntry *part = s->mm->vmas.at[i].msg;

		contents |= s->filled[i];
		accounted |= part->has_accounted && part->accounted;
	}
	if (first == last && !accounted)
		return 0;
	plan_call_expect(s->p, s->slot, "mapping at %#lx", v->start, __NR_mmap, v->start,
			 imm(v->start), imm(s->mm->vmas.at[last].msg->end - v->start),
			 imm(PROT_READ | PROT_WRITE),
			 imm((v->flags & IMAGE_MAP_FLAGS) | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE),
			 imm(-1), imm(0));
	if (!contents && accounted) {
		plan_call(s->p, s->slot, "touch it", v->start, __NR_madvise, imm(v->start),
			  imm(PAGE_BYTES), imm(MADV_POPULATE_WRITE));
		plan_call(s->p, s->slot, "and leave it empty", v->start, __NR_madvise,
			  imm(v->start), imm(PAGE_BYTES), imm(MADV_DONTNEED));
	}
	memset(s->in_run + first, true, last - first + 1);
	return last - first + 1;
}

/* From the highest address down: the kernel's tree of mappings takes that a sixth faster. */
static int plan_mappings(struct space *s)
{
	size_t i, n;
	int ret;

	for (i = s->mm->vmas.n; i; i -= n) {
		const struct vma *vma = &s->mm->vmas.at[i - 1];
		const VmaEntry *v = vma->msg;

		n = 1;
		if (is_special(s, v) || (v->status & VMA_GUARD))
			continue;
		ret = refuse_kind(s, v);
		if (ret)
			return ret;
		n = can_run(s, i - 1) ? plan_run(s, i - 1) : 0;
		if (n)
			continue;
		n = 1;
		ret = plan_map(s, vma, v->prot | (s->filled[i - 1] ? PROT_WRITE : 0));
		if (ret)
			return ret;
	}
	drop_file(s);
	return 0;
}

static int contents_astray(struct space *s, uint64_t at)
{
	fail_text(&s->p->run->err, -EBADMSG,
		  "image pagemap-%d.img: contents at %#" PRIx64 ", where no mapping is",
		  task_pid(s->mm->owner), at);
	return fail_hint(&s->p->run->err, "the checkpoint is damaged; dump again");
}

/* Contents are filled in vma by vma, so that nothing is written where no mapping is. */
static int plan_contents(struct space *s)
{
	stored_vec pieces = {0};
	struct stored *e = s->extents.at, *end = vec_end(&s->extents);
	struct vma *vma = s->mm->vmas.at, *last = vec_end(&s->mm->vmas);
	int ret = 0;

	for (; e < end && !ret; e++) {
		uint64_t at = e->start, stop = e->start + e->len;

		while (at < stop && !ret) {
			uint64_t to;

			while (vma < last && vma->msg->end <= at)
				vma++;
			if (vma == last || vma->msg->start > at) {
				ret = contents_astray(s, at);
				break;
			}
			to = vma->msg->end < stop ? vma->msg->end : stop;
			if (!is_special(s, vma->msg) &&
			    vec_push(&pieces,
				     ((struct stored){.start = at,
						      .len = to - at,
						      .offset = e->offset + (at - e->start),
						      .pages_id = e->pages_id,
						      .depth = e->depth})))
				ret = fail(&s->p->run->err, -ENOMEM, "restore plan");
			at = to;
		}
	}
	if (!ret)
		ret = plan_fill_by_two(s->p, s->slot, &pieces);
	vec_free(&pieces);
	return ret;
}

static void plan_advice(struct space *s, const VmaEntry *v)
{
	uint64_t madv = v->has_madv ? v->madv : 0;
	int bit;

	for (bit = 0; madv; bit++, madv >>= 1)
		if (madv & 1)
			plan_call(s->p, s->slot, "advice %ld", bit, __NR_madvise, imm(v->start),
				  imm(v->end - v->start), imm(bit));
}

/* After the contents: what would have kept them out. */
static void plan_finish_mappings(struct space *s)
{
	struct vma *vma;
	uint32_t mapped;

	vec_for_each (&s->mm->vmas, vma) {
		const VmaEntry *v = vma->msg;
		size_t i = vma - s->mm->vmas.at;

		if (is_special(s, v))
			continue;
		if (v->status & VMA_GUARD) {
			plan_call(s->p, s->slot, "guard region at %#lx", v->start, __NR_madvise,
				  imm(v->start), imm(v->end - v->start), imm(MADV_GUARD_INSTALL));
			continue;
		}
		mapped = s->in_run[i]	? PROT_READ | PROT_WRITE
			 : s->filled[i] ? v->prot | PROT_WRITE
					: v->prot;
		if (mapped != v->prot)
			plan_call(s->p, s->slot, "protection at %#lx", v->start, __NR_mprotect,
				  imm(v->start), imm(v->end - v->start), imm(v->prot));
		if (v->has_madv && v->madv)
			plan_advice(s, v);
		if (v->anon_name)
			plan_call(s->p, s->slot, "name of the mapping at %#lx", v->start,
				  __NR_prctl, imm(PR_SET_VMA), imm(PR_SET_VMA_ANON_NAME),
				  imm(v->start), imm(v->end - v->start),
				  plan_string(s->p, v->anon_name));
		/* Secret memory is always locked, and that only by being mapped. */
		if (v->flags & MAP_LOCKED &&
		    !(vma->file && vma->file->msg->type == FD_TYPES__MEMFD_SECRET))
			plan_call(s->p, s->slot, "lock at %#lx", v->start, __NR_mlock2,
				  imm(v->start), imm(v->end - v->start),
				  imm(v->has_lock_onfault && v->lock_onfault ? MLOCK_ONFAULT : 0));
	}
}

/* --- the mm's fields ---------------------------------------------------- */

static void plan_coredump_filter(struct space *s, uint32_t filter)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%#x", filter);
	struct operand fd;

	fd = plan_call(s->p, s->slot, "core dump filter", 0, __NR_openat, imm(AT_FDCWD),
		       plan_string(s->p, "/proc/self/coredump_filter"), imm(O_WRONLY | O_CLOEXEC));
	plan_call_expect(s->p, s->slot, "value %#lx", filter, __NR_write, n, fd,
			 plan_string(s->p, text), imm(n));
	plan_close(s->p, s->slot, fd);
}

static int plan_mm_fields(struct space *s)
{
	const MmEntry *m = s->mm->msg;
	struct operand map, auxv, fd;
	struct prctl_mm_map fields = {
		.start_code = m->mm_start_code,
		.end_code = m->mm_end_code,
		.start_data = m->mm_start_data,
		.end_data = m->mm_end_data,
		.start_brk = m->mm_start_brk,
		.brk = m->mm_brk,
		.start_stack = m->mm_start_stack,
		.arg_start = m->mm_arg_start,
		.arg_end = m->mm_arg_end,
		.env_start = m->mm_env_start,
		.env_end = m->mm_env_end,
		.auxv_size = m->n_mm_saved_auxv * sizeof(uint64_t),
		.exe_fd = -1,
	};
	int ret;

	ret = file_borrow(s->p, s->slot, s->mm->exe, O_RDONLY, &fd);
	if (ret)
		return ret;
	map = plan_data(s->p, &fields, sizeof(fields));
	auxv = plan_data(s->p, m->mm_saved_auxv, fields.auxv_size);
	plan_pointer(s->p, map, offsetof(struct prctl_mm_map, auxv), auxv);
	/* exe_fd is 32 bits wide and the last field: the descriptor's number, once it is known. */
	plan_call(s->p, s->slot, "number of the executable's descriptor", 0, STUB_COPY,
		  operand_at(map, offsetof(struct prctl_mm_map, exe_fd)),
		  plan_result_address(s->p, fd), imm(sizeof(uint32_t)));
	plan_call(s->p, s->slot, "fields of the address space", 0, __NR_prctl, imm(PR_SET_MM),
		  imm(PR_SET_MM_MAP), map, imm(sizeof(fields)), imm(0));
	plan_close(s->p, s->slot, fd);
	if (m->has_coredump_filter)
		plan_coredump_filter(s, m->coredump_filter);
	if (m->has_thp_disabled && m->thp_disabled)
		plan_call(s->p, s->slot, "no huge pages", 0, __NR_prctl, imm(PR_SET_THP_DISABLE),
			  imm(1), imm(0), imm(0), imm(0));
	return 0;
}

static int plan_space(struct plan *p, struct mm *mm)
{
	struct space s = {.p = p, .slot = plan_task(mm->owner)->slot, .mm = mm};
	int ret;

	s.slot->phase = PHASE_MEMORY;
	s.filled = calloc(2 * mm->vmas.n + 1, sizeof(*s.filled));
	if (!s.filled)
		return fail(&p->run->err, -ENOMEM, "restore plan");
	s.in_run = s.filled + mm->vmas.n;
	ret = pagemap_load(p->run, &p->chain, IMG_PAGEMAP, task_pid(mm->owner), false, &s.extents);
	if (!ret)
		ret = plan_vdso(p, s.slot, mm, &s.extents, &s.old_vdso, &s.old_symbols);
	/* The kernel looks for the executable in every mapping: while there are few. */
	if (!ret)
		ret = plan_mm_fields(&s);
	if (!ret) {
		find_filled(&s);
		ret = plan_mappings(&s);
	}
	if (!ret)
		ret = plan_contents(&s);
	if (!ret && s.old_vdso)
		ret = plan_redirect_vdso(p, s.slot, s.old_vdso, &s.old_symbols);
	if (!ret)
		plan_finish_mappings(&s);
	vec_free(&s.extents);
	free(s.filled);
	return ret;
}

int plan_memory(struct plan *p)
{
	struct mm **mm;
	int ret;

	vec_for_each (&p->cp->mms, mm) {
		ret = plan_space(p, *mm);
		if (ret)
			return ret;
	}
	plan_objects_done(p);
	return plan_ok(p);
}
