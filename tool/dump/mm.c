// SPDX-License-Identifier: GPL-2.0-only
/* Address spaces: mm-PID.img. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dump/pages.h"
#include "kernel/smaps.h"
#include "lib/cleanup.h"
#include "mem/vma.h"
#include "resource/sysv.h"

#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT 26
#endif

struct mm_walk {
	struct dump *d;
	struct dump_task *dt;
	struct mm *mm;
};

/* madvise() and mmap() flags that a mapping's VmFlags stand for. */
static const struct {
	uint32_t smaps;
	int madvise;
	int map;
} flag_rows[] = {
	{SMAPS_GROWSDOWN, -1, MAP_GROWSDOWN},	{SMAPS_LOCKED, -1, MAP_LOCKED},
	{SMAPS_NORESERVE, -1, MAP_NORESERVE},	{SMAPS_HUGETLB, -1, MAP_HUGETLB},
	{SMAPS_SEQ_READ, MADV_SEQUENTIAL, 0},	{SMAPS_RAND_READ, MADV_RANDOM, 0},
	{SMAPS_DONTFORK, MADV_DONTFORK, 0},	{SMAPS_DONTDUMP, MADV_DONTDUMP, 0},
	{SMAPS_MERGEABLE, MADV_MERGEABLE, 0},	{SMAPS_HUGEPAGE, MADV_HUGEPAGE, 0},
	{SMAPS_NOHUGEPAGE, MADV_NOHUGEPAGE, 0}, {SMAPS_WIPEONFORK, MADV_WIPEONFORK, 0},
};

/* What is mapped and cannot be rebuilt. */
static const struct {
	uint32_t flags;
	const char *what, *hint;
} refused_rows[] = {
	{SMAPS_UFFD, "a range registered with userfaultfd", "unregister it before the dump"},
	{SMAPS_SHADOW, "a shadow stack",
	 "run the program with GLIBC_TUNABLES=glibc.cpu.x86_shstk=off"},
	{SMAPS_DROPPABLE, "a MAP_DROPPABLE mapping", "wait for a later version"},
	{SMAPS_SEALED, "a sealed mapping (mseal)", "run the program without mseal(2)"},
	{SMAPS_IO, "a mapping of device memory", "close the device before the dump"},
};

static int refuse_vma(struct mm_walk *w, const struct smaps_vma *v, const char *what,
		      const char *hint)
{
	fail_text(&w->d->run->err, -EOPNOTSUPP,
		  "task %d: %#lx-%#lx %s is %s, which cannot be dumped", w->dt->pid, v->start,
		  v->end, v->name, what);
	return fail_hint(&w->d->run->err, "%s", hint);
}

static int check_flags(struct mm_walk *w, const struct smaps_vma *v)
{
	size_t i;

	/* The kernel's own mappings: vvar is PFN-mapped, and newer kernels seal them. */
	if (!strncmp(v->name, "[v", 2))
		return 0;
	for (i = 0; i < sizeof(refused_rows) / sizeof(refused_rows[0]); i++) {
		if (v->flags & refused_rows[i].flags)
			return refuse_vma(w, v, refused_rows[i].what, refused_rows[i].hint);
	}
	return 0;
}

/* Anonymous or special mappings, told by name; false: something else. */
static bool special(struct mm_walk *w, const struct smaps_vma *v, VmaEntry *e, struct dump_vma *dv)
{
	e->flags |= MAP_ANONYMOUS;
	e->status |= VMA_ANON_PRIVATE;
	dv->private_anon = true;
	if (!strcmp(v->name, "[vdso]")) {
		w->dt->vdso_start = v->start;
		w->dt->vdso_end = v->end;
		e->status |= VMA_VDSO;
		dv->whole = true;
	} else if (!strncmp(v->name, "[vvar", 5)) {
		e->status |= VMA_VVAR;
		dv->private_anon = false;
	} else if (!strcmp(v->name, "[vsyscall]")) {
		e->status = VMA_VSYSCALL | VMA_ANON_PRIVATE;
		dv->private_anon = false;
	} else if (!strcmp(v->name, "[heap]")) {
		e->status |= VMA_HEAP;
	} else if (!strncmp(v->name, "[anon:", 6)) {
		size_t len = strlen(v->name);

		e->anon_name = strndup(v->name + 6, len - 7);
	} else if (v->name[0] && strcmp(v->name, "[stack]")) {
		return false;
	}
	return true;
}

/* Shared anonymous memory: an object of shmem without a name, told by its inode. */
static int map_shmem(struct mm_walk *w, const struct smaps_vma *v, VmaEntry *e, const char *path)
{
	struct fd_probe p = {.pid = w->dt->pid, .fd = -1, .addr = v->start, .end = v->end};
	struct inode *s;
	bool is_new;

	if (fstatat(w->dt->procfd, path, &p.st, 0))
		return fail(&w->d->run->err, -errno, "task %d: stat %s (shared memory)", w->dt->pid,
			    path);
	s = collect_inode(&w->d->collect, &p, IMG_SHMEM_PAGEMAP, &is_new);
	if (!s)
		return fail(&w->d->run->err, -ENOMEM, "task %d: keep shared memory", w->dt->pid);
	e->shmid = s->id;
	e->flags |= MAP_ANONYMOUS;
	e->status |= VMA_ANON_SHARED;
	return 0;
}

/* System V shared memory: the inode's number is the segment's id. */
static int map_sysv(struct mm_walk *w, const struct smaps_vma *v, VmaEntry *e, const char *path)
{
	struct fd_probe p = {.pid = w->dt->pid, .fd = -1, .addr = v->start, .end = v->end};

	if (fstatat(w->dt->procfd, path, &p.st, 0))
		return fail(&w->d->run->err, -errno, "task %d: stat %s (System V memory)",
			    w->dt->pid, path);
	e->shmid = v->ino;
	e->flags |= MAP_ANONYMOUS;
	e->status |= VMA_SYSV | VMA_ANON_SHARED;
	e->has_fdflags = true;
	e->fdflags = v->flags & SMAPS_MAYWRITE ? O_RDWR : O_RDONLY; /* SHM_RDONLY */
	return sysv_collect(&w->d->collect, &p, v->ino);
}

static int map_file(struct mm_walk *w, const struct smaps_vma *v, VmaEntry *e, struct dump_vma *dv,
		    struct file **ret_file)
{
	char path[64];
	struct file *f;
	int ret;

	snprintf(path, sizeof(path), "map_files/%lx-%lx", v->start, v->end);
	dv->dev = v->dev;
	dv->ino = v->ino;
	dv->private_anon = !v->shared;
	if (v->shared && (!strcmp(v->name, "/dev/zero (deleted)") ||
			  !strcmp(v->name, "/anon_hugepage (deleted)")))
		return map_shmem(w, v, e, path);
	if (!strncmp(v->name, "/SYSV", 5))
		return map_sysv(w, v, e, path);
	if (!strncmp(v->name, "/[aio]", 6))
		return refuse_vma(w, v, "a ring of asynchronous I/O", "destroy the context first");
	if (!strcmp(v->name, "/anon_hugepage (deleted)") && !v->shared) {
		e->flags |= MAP_ANONYMOUS;
		e->status |= VMA_ANON_PRIVATE;
		return 0;
	}
	ret = dump_mapped_file(w->d, w->dt, v->start, v->end, v->dev, v->ino, &f);
	if (ret)
		return ret;
	if (f->msg->type == FD_TYPES__REG && f->msg->reg->has_mode && !S_ISREG(f->msg->reg->mode) &&
	    strcmp(v->name, "/dev/zero"))
		return refuse_vma(w, v, "a mapping of a device", "unmap it before the dump");
	e->status |= v->shared ? VMA_FILE_SHARED : VMA_FILE_PRIVATE;
	if (f->msg->type == FD_TYPES__MEMFD)
		e->status |= VMA_MEMFD;
	dv->secret = f->msg->type == FD_TYPES__MEMFD_SECRET;
	e->shmid = f->id;
	e->has_fdflags = true;
	e->fdflags = v->shared && (v->flags & SMAPS_MAYWRITE) ? O_RDWR : O_RDONLY;
	f->n_uses++;
	*ret_file = f;
	return 0;
}

static void map_flags(const struct smaps_vma *v, VmaEntry *e)
{
	size_t i;

	for (i = 0; i < sizeof(flag_rows) / sizeof(flag_rows[0]); i++) {
		if (!(v->flags & flag_rows[i].smaps))
			continue;
		e->flags |= flag_rows[i].map;
		if (flag_rows[i].madvise >= 0) {
			e->has_madv = true;
			e->madv |= 1ULL << flag_rows[i].madvise;
		}
	}
	e->has_lock_onfault = e->lock_onfault = v->flags & SMAPS_LOCKONFAULT;
	/* That a mapping was writable once can be seen of it. */
	e->has_accounted = e->accounted = v->flags & SMAPS_ACCOUNTED && !v->shared &&
					  !(v->prot & PROT_WRITE);
	if (v->flags & SMAPS_HUGETLB)
		e->flags |= (uint32_t)__builtin_ctzll(v->page_size) << MAP_HUGE_SHIFT;
}

static int add_vma(const struct smaps_vma *v, void *arg)
{
	struct mm_walk *w = arg;
	struct dump_vma dv = {};
	struct vma vma = {};
	VmaEntry *e;
	int ret;

	ret = check_flags(w, v);
	if (ret)
		return ret;
	/* CRIU's images have one vvar area, and so do its checks. */
	if (!strcmp(v->name, "[vvar_vclock]") && w->mm->vmas.n) {
		VmaEntry *last = w->mm->vmas.at[w->mm->vmas.n - 1].msg;

		if ((last->status & VMA_VVAR) && last->end == v->start) {
			last->end = v->end;
			return 0;
		}
	}
	e = calloc(1, sizeof(*e));
	if (!e || vec_reserve(&w->mm->vmas, 1) || vec_reserve(&w->dt->vmas, 1)) {
		free(e);
		return fail(&w->d->run->err, -ENOMEM, "task %d: keep its mappings", w->dt->pid);
	}
	vma_entry__init(e);
	vma.msg = e;
	e->start = v->start;
	e->end = v->end;
	e->pgoff = v->offset;
	e->prot = v->prot;
	e->flags = v->shared ? MAP_SHARED : MAP_PRIVATE;
	e->status = VMA_REGULAR;
	e->fd = -1;
	map_flags(v, e);
	if (v->ino == 0 && !v->shared) {
		e->pgoff = 0;
		if (!special(w, v, e, &dv))
			ret = refuse_vma(w, v, "a special mapping", "unmap it before the dump");
	} else {
		ret = map_file(w, v, e, &dv, &vma.file);
	}
	/* Nothing but pages of the task: no need to look at each. */
	dv.whole |= dv.private_anon && v->anonymous == v->end - v->start;
	/* Owned by the list even on failure: freed with the checkpoint. */
	w->mm->vmas.at[w->mm->vmas.n++] = vma;
	w->dt->vmas.at[w->dt->vmas.n++] = dv;
	return ret ? ret : ahead_add(w->d, w->dt);
}

static int copy_auxv(struct dump *d, struct dump_task *dt, MmEntry *m)
{
	_cleanup_free_ char *raw = NULL;
	ssize_t n = proc_read_record(dt->procfd, "auxv", &raw);
	size_t i;

	if (n < 0)
		return fail(&d->run->err, n, "task %d: read its auxv", dt->pid);
	m->n_mm_saved_auxv = n / sizeof(uint64_t);
	m->mm_saved_auxv = malloc(n + 1);
	if (!m->mm_saved_auxv)
		return fail(&d->run->err, -ENOMEM, "task %d: keep its auxv", dt->pid);
	memcpy(m->mm_saved_auxv, raw, m->n_mm_saved_auxv * sizeof(uint64_t));
	/* Up to AT_NULL: CRIU refuses more than 44 words. */
	for (i = 0; i + 1 < m->n_mm_saved_auxv; i += 2) {
		if (m->mm_saved_auxv[i] == 0)
			m->n_mm_saved_auxv = i;
	}
	return 0;
}

/* The message's array, once its length is known. */
static int link_vmas(struct dump *d, struct mm *mm)
{
	size_t i;

	mm->msg->vmas = calloc(mm->vmas.n + 1, sizeof(*mm->msg->vmas));
	if (!mm->msg->vmas)
		return fail(&d->run->err, -ENOMEM, "keep mappings");
	for (i = 0; i < mm->vmas.n; i++)
		mm->msg->vmas[i] = mm->vmas.at[i].msg;
	mm->msg->n_vmas = mm->vmas.n;
	return 0;
}

int dump_mm(struct dump *d, struct dump_task *dt)
{
	const struct proc_stat *s = &dt->stat;
	struct mm *mm = calloc(1, sizeof(*mm));
	struct mm_walk w = {d, dt, mm};
	MmEntry *m = malloc(sizeof(*m));
	int ret, err;

	if (!mm || !m || vec_push(&d->cp->mms, mm)) {
		free(mm);
		free(m);
		return fail(&d->run->err, -ENOMEM, "task %d: keep its mm", dt->pid);
	}
	mm_entry__init(m);
	mm->msg = m;
	mm->owner = dt->task;
	mm->id = dt->task->threads.at[0].core->ids->vm_id;
	dt->task->mm = mm;
	m->mm_start_code = s->start_code;
	m->mm_end_code = s->end_code;
	m->mm_start_data = s->start_data;
	m->mm_end_data = s->end_data;
	m->mm_start_stack = s->start_stack;
	m->mm_start_brk = s->start_brk;
	m->mm_brk = s->start_brk; /* the task tells the real one later */
	m->mm_arg_start = s->arg_start;
	m->mm_arg_end = s->arg_end;
	m->mm_env_start = s->env_start;
	m->mm_env_end = s->env_end;
	ret = copy_auxv(d, dt, m);
	if (!ret) {
		ret = smaps_walk(dt->procfd, add_vma, &w);
		if (ret)
			fail(&d->run->err, ret, "task %d: read its mappings", dt->pid);
	}
	ret = ahead_end(d, dt, ret);
	err = link_vmas(d, mm);
	if (!ret)
		ret = err;
	if (!ret)
		ret = dump_path_file(d, dt, "exe", &mm->exe);
	if (!ret) {
		m->exe_file_id = mm->exe->id;
		mm->exe->n_uses++;
	}
	if (!ret && !dt->vdso_start) {
		fail_text(&d->run->err, -EOPNOTSUPP, "task %d has no 64-bit vDSO", dt->pid);
		return fail_hint(&d->run->err,
				 "32-bit tasks, and kernels booted with vdso=0, are not "
				 "supported");
	}
	return ret;
}
