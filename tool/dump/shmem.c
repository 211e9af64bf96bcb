// SPDX-License-Identifier: GPL-2.0-only
/*
 * Contents of shared memory objects: pagemap-shmem-ID.img, and of secret
 * memory: pagemap-secretmem-ID.img. Addresses in these are offsets.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dump/state.h"
#include "image/image.h"
#include "lib/cleanup.h"
#include "mem/vma.h"

#define PAGE  4096UL
#define CHUNK (1024 * 1024UL)

static int write_entry(struct image_writer *w, uint64_t offset, uint64_t len)
{
	PagemapEntry e = PAGEMAP_ENTRY__INIT;

	e.vaddr = offset;
	e.has_nr_pages = e.has_flags = true;
	e.nr_pages = len / PAGE;
	e.flags = PAGES_PRESENT;
	return image_write(w, &e.base);
}

/* The object itself: by a descriptor of a task, or through a mapping of it. */
static int open_object(struct dump *d, const struct inode *s, int *ret_fd)
{
	struct file like = {.holder_pid = s->pid, .holder_fd = s->fd};
	char path[80];
	int fd;

	if (s->fd >= 0) {
		fd = file_local(&like);
	} else {
		snprintf(path, sizeof(path), "/proc/%d/map_files/%lx-%lx", s->pid, s->addr, s->end);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
	}
	if (fd < 0)
		return fail(&d->run->err, fd, "task %d: open its shared memory %u", s->pid, s->id);
	*ret_fd = fd;
	return 0;
}

/* Bytes [from, to) of the object to the end of the pages image. */
static int copy_range(struct dump *d, const struct inode *s, int fd, int pages, uint64_t from,
		      uint64_t to, uint8_t *buf)
{
	ssize_t n, w;

	while (from < to) {
		n = pread(fd, buf, to - from < CHUNK ? to - from : CHUNK, from);
		if (n <= 0)
			return fail(&d->run->err, n < 0 ? -errno : -EIO,
				    "read shared memory %u at %#lx", s->id, from);
		/* The last page of an object of odd size: filled up, as it is in memory. */
		if (n % PAGE) {
			memset(buf + n, 0, PAGE - n % PAGE);
			n += PAGE - n % PAGE;
		}
		w = write(pages, buf, n);
		if (w != n) {
			fail(&d->run->err, w < 0 ? -errno : -ENOSPC,
			     "write pages of shared memory %u", s->id);
			return fail_hint(&d->run->err, "make room where the images go");
		}
		from += n;
	}
	return 0;
}

/* Where a write-only descriptor hides the contents, /proc gives a readable one. */
static int readable(int fd)
{
	char path[40];

	if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_WRONLY)
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	close(fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int dump_data(struct dump *d, const struct inode *s, int fd, struct image_writer *map,
		     int pages)
{
	_cleanup_free_ uint8_t *buf = malloc(CHUNK + PAGE);
	uint64_t end, from, to = 0;
	int ret = buf ? 0 : -ENOMEM;
	off_t data, hole;

	while (!ret) {
		data = lseek(fd, to, SEEK_DATA);
		if (data < 0)
			return errno == ENXIO ? 0 : -errno;
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		end = (s->size + PAGE - 1) & ~(PAGE - 1);
		from = data & ~(PAGE - 1);
		to = (hole + PAGE - 1) & ~(PAGE - 1);
		if (to > end)
			to = end;
		ret = write_entry(map, from, to - from);
		if (!ret)
			ret = copy_range(d, s, fd, pages, from, to < s->size ? to : s->size, buf);
		d->stats.shpages_written += (to - from) / PAGE;
	}
	return ret;
}

static int dump_shmem(struct dump *d, const struct inode *s)
{
	_cleanup_close_ int fd = -1;
	struct image_writer *map = NULL;
	int pages = -1, ret;

	ret = open_object(d, s, &fd);
	if (ret)
		return ret;
	fd = readable(fd);
	if (fd < 0)
		return fail(&d->run->err, -errno, "open shared memory %u for reading", s->id);
	ret = page_images_create(d, s->contents, s->id, ++d->last_pages_id, &map, &pages);
	if (!ret)
		ret = dump_data(d, s, fd, map, pages);
	if (ret)
		fail(&d->run->err, ret, "dump shared memory %u", s->id);
	return page_images_close(d, map, pages, ret);
}

int dump_shmem_pages(struct dump *d)
{
	struct inode *s;
	int ret;

	vec_for_each (&d->collect.inodes, s) {
		if (s->contents == IMG_COUNT)
			continue;
		d->stats.shpages_scanned += (s->size + PAGE - 1) / PAGE;
		if (s->contents == IMG_SECRETMEM_PAGEMAP) {
			if (s->done)
				continue;
			fail_text(&d->run->err, -EOPNOTSUPP,
				  "secret memory of task %d cannot be read "
				  "from any task",
				  s->pid);
			return fail_hint(&d->run->err,
					 "a task has to have it mapped readable, or hold "
					 "its descriptor and have RLIMIT_MEMLOCK to map it");
		}
		ret = dump_shmem(d, s);
		if (ret)
			return ret;
	}
	return 0;
}

/* --- secret memory: only the task itself can read it ---------------------- */

/*
 * A piece at a time: put before the window of the arena, copied from there into
 * its data, written to the image. The window goes with the arena, also when we
 * are killed: no secret stays mapped where it was not.
 */
#define SECRET_CHUNK AGENT_WINDOW

struct secret {
	struct dump *d;
	struct dump_task *dt;
	const struct inode *inode;
	int pages;
};

/* Run @p, which shows @len bytes in the window, and write them at @at. -EAGAIN: it may not. */
static int take_window(struct secret *x, struct program *p, uint64_t len, uint64_t at)
{
	const struct stub_op *show = (const struct stub_op *)(p->base + p->start);
	struct agent *a = &x->dt->agent;
	struct stub_op *skip;
	uint64_t offset;
	void *buf = program_space(p, len, &offset);
	int ret;

	/* The first op is what may be refused: then nothing is in the window. */
	skip = program_call(p, STUB_JUMP_IF_NEG, 0,
			    (struct program_arg){(const uint8_t *)show - p->base, STUB_RESULT},
			    arg_imm(2));
	if (!buf || !skip ||
	    !program_call(p, SYS_mprotect, 0, arg_imm(a->addr + AGENT_WINDOW_AT), arg_imm(len),
			  arg_imm(PROT_READ)) ||
	    !program_call(p, STUB_COPY, 0, arg_arena(offset), arg_arena(AGENT_WINDOW_AT),
			  arg_imm(len)))
		return fail(&x->d->run->err, -ENOSPC, "task %d: copy secret memory", x->dt->pid);
	ret = agent_run(a, p, &x->d->run->err);
	if (!ret && show->ret < 0 && show->ret > -4096)
		return -EAGAIN;
	if (!ret && pwrite(x->pages, buf, len, at) != (ssize_t)len)
		ret = fail(&x->d->run->err, -errno, "task %d: write secret memory", x->dt->pid);
	explicit_bzero(buf, len);
	return ret;
}

/* By a descriptor that the task has. */
static int secret_by_fd(struct secret *x)
{
	uint64_t at, n, size = (x->inode->size + PAGE - 1) & ~(PAGE - 1);
	struct program p;
	int ret = 0;

	for (at = 0; !ret && at < size; at += n) {
		n = size - at < SECRET_CHUNK ? size - at : SECRET_CHUNK;
		agent_program(&x->dt->agent, &p);
		program_call(&p, SYS_mmap, STUB_MAY_FAIL,
			     arg_imm(x->dt->agent.addr + AGENT_WINDOW_AT), arg_imm(n),
			     arg_imm(PROT_READ), arg_imm(MAP_SHARED | MAP_FIXED),
			     arg_imm(x->inode->fd), arg_imm(at));
		ret = take_window(x, &p, n, at);
	}
	return ret;
}

/* By a mapping, whatever its protection: mremap() of 0 bytes makes a second one of the same. */
static int secret_by_map(struct secret *x, uint64_t addr, uint64_t len, uint64_t at)
{
	struct program p;
	uint64_t n;
	int ret = 0;

	for (; !ret && len; addr += n, at += n, len -= n) {
		n = len < SECRET_CHUNK ? len : SECRET_CHUNK;
		agent_program(&x->dt->agent, &p);
		program_call(&p, SYS_mremap, STUB_MAY_FAIL, arg_imm(addr), arg_imm(0), arg_imm(n),
			     arg_imm(MREMAP_MAYMOVE | MREMAP_FIXED),
			     arg_imm(x->dt->agent.addr + AGENT_WINDOW_AT));
		ret = take_window(x, &p, n, at);
	}
	return ret;
}

/* Copy what this task has mapped of it; whether that was all. */
static int secret_by_maps(struct secret *x, bool *ret_all)
{
	const struct mm *mm = x->dt->task->mm;
	uint64_t covered = 0, size = (x->inode->size + PAGE - 1) & ~(PAGE - 1);
	bool progress = true;
	size_t i;
	int ret;

	while (progress && covered < size) {
		progress = false;
		for (i = 0; i < mm->vmas.n; i++) {
			const struct dump_vma *dv = &x->dt->vmas.at[i];
			const VmaEntry *e = mm->vmas.at[i].msg;
			uint64_t last = e->pgoff + (e->end - e->start);

			if (!dv->secret || dv->ino != x->inode->ino || e->pgoff > covered ||
			    last <= covered)
				continue;
			if (last > size)
				last = size;
			ret = secret_by_map(x, e->start + (covered - e->pgoff), last - covered,
					    covered);
			if (ret)
				return ret;
			covered = last;
			progress = true;
		}
	}
	*ret_all = covered >= size;
	return 0;
}

static int dump_secret(struct dump *d, struct dump_task *dt, struct inode *s)
{
	struct image_writer *map = NULL;
	bool all = true;
	int pages = -1, ret;

	ret = page_images_create(d, s->contents, s->id, ++d->last_pages_id, &map, &pages);
	if (ret)
		return ret;
	if (s->size) {
		struct secret x = {d, dt, s, pages};

		ret = write_entry(map, 0, (s->size + PAGE - 1) & ~(PAGE - 1));
		if (!ret)
			ret = s->fd >= 0 && s->pid == dt->pid ? secret_by_fd(&x) : -EAGAIN;
		if (ret == -EAGAIN)
			ret = secret_by_maps(&x, &all);
		if (ret == -EAGAIN) {
			all = false;
			ret = 0;
		}
	}
	ret = page_images_close(d, map, pages, ret);
	s->done = !ret && all;
	if (s->done)
		log_warn(&d->run->log,
			 "Secret memory of task %d is in %lu bytes of the images, in the "
			 "clear: guard the folder",
			 dt->pid, s->size);
	return ret;
}

/* The first task that can read an object of secret memory dumps it. */
int dump_secrets(struct dump *d, struct dump_task *dt)
{
	struct inode *s;
	size_t i;
	int ret = 0;

	vec_for_each (&d->collect.inodes, s) {
		bool mine = s->pid == dt->pid;

		for (i = 0; !mine && i < dt->vmas.n; i++)
			mine = dt->vmas.at[i].secret && dt->vmas.at[i].ino == s->ino &&
			       dt->vmas.at[i].dev == s->dev;
		if (s->contents == IMG_SECRETMEM_PAGEMAP && !s->done && mine)
			ret = dump_secret(d, dt, s);
		if (ret)
			break;
	}
	return ret;
}
