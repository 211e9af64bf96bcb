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
	_cleanup_close_ int fd = -1, pages = -1;
	struct image_writer *map = NULL;
	int ret, closed;

	ret = open_object(d, s, &fd);
	if (ret)
		return ret;
	fd = readable(fd);
	if (fd < 0)
		return fail(&d->run->err, -errno, "open shared memory %u for reading", s->id);
	ret = page_images_create(d, s->contents, s->id, &map, &pages);
	if (!ret)
		ret = dump_data(d, s, fd, map, pages);
	if (ret)
		fail(&d->run->err, ret, "dump shared memory %u", s->id);
	closed = image_close(map);
	return ret ? ret : closed;
}

int dump_shmem_pages(struct dump *d)
{
	struct inode *s;
	int ret;

	vec_for_each (&d->collect.inodes, s) {
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

#define SECRET_CHUNK (256 * 1024UL)

/* Let the stub copy [addr, addr + len) to the arena, and from there to the image at @at. */
static int copy_secret(struct dump *d, struct dump_task *dt, uint64_t addr, uint64_t len, int pages,
		       uint64_t at)
{
	struct program p;
	uint64_t offset, n;
	void *buf;
	int ret = 0;

	for (; !ret && len; addr += n, at += n, len -= n) {
		n = len < SECRET_CHUNK ? len : SECRET_CHUNK;
		agent_program(&dt->agent, &p);
		buf = program_space(&p, n, &offset);
		if (!buf ||
		    !program_call(&p, STUB_COPY, 0, arg_arena(offset), arg_imm(addr), arg_imm(n)))
			return fail(&d->run->err, -ENOSPC, "task %d: copy secret memory", dt->pid);
		ret = agent_run(&dt->agent, &p, &d->run->err);
		if (!ret && pwrite(pages, buf, n, at) != (ssize_t)n)
			ret = fail(&d->run->err, -errno, "task %d: write secret memory", dt->pid);
		explicit_bzero(buf, n);
	}
	return ret;
}

/* Map the whole object in the task by its descriptor, copy it, unmap it. -EAGAIN: it may not. */
static int secret_by_fd(struct dump *d, struct dump_task *dt, const struct inode *s, int pages)
{
	struct program p;
	struct stub_op *op;
	uint64_t addr;
	int ret, unmapped;

	agent_program(&dt->agent, &p);
	op = program_call(&p, SYS_mmap, STUB_MAY_FAIL, arg_imm(0), arg_imm(s->size),
			  arg_imm(PROT_READ), arg_imm(MAP_SHARED), arg_imm(s->fd), arg_imm(0));
	ret = agent_run(&dt->agent, &p, &d->run->err);
	if (ret)
		return ret;
	if (op->ret < 0 && op->ret > -4096)
		return -EAGAIN;
	addr = op->ret;
	ret = copy_secret(d, dt, addr, s->size, pages, 0);
	agent_program(&dt->agent, &p);
	program_call(&p, SYS_munmap, 0, arg_imm(addr), arg_imm(s->size));
	unmapped = agent_run(&dt->agent, &p, &d->run->err);
	return ret ? ret : unmapped;
}

/* Copy what this task has mapped of it; whether that was all. */
static int secret_by_maps(struct dump *d, struct dump_task *dt, const struct inode *s, int pages,
			  bool *ret_all)
{
	const struct mm *mm = dt->task->mm;
	uint64_t covered = 0;
	bool progress = true;
	size_t i;
	int ret;

	while (progress && covered < s->size) {
		progress = false;
		for (i = 0; i < mm->vmas.n; i++) {
			const struct dump_vma *dv = &dt->vmas.at[i];
			const VmaEntry *e = mm->vmas.at[i].msg;
			uint64_t last = e->pgoff + (e->end - e->start), skip;

			if (!dv->secret || dv->ino != s->ino || dv->dev != s->dev ||
			    !(e->prot & PROT_READ) || e->pgoff > covered || last <= covered)
				continue;
			skip = covered - e->pgoff;
			if (last > s->size)
				last = s->size;
			ret = copy_secret(d, dt, e->start + skip, last - covered, pages, covered);
			if (ret)
				return ret;
			covered = last;
			progress = true;
		}
	}
	*ret_all = covered >= s->size;
	return 0;
}

static int dump_secret(struct dump *d, struct dump_task *dt, struct inode *s)
{
	_cleanup_close_ int pages = -1;
	struct image_writer *map = NULL;
	bool all = true;
	int ret, closed;

	ret = page_images_create(d, s->contents, s->id, &map, &pages);
	if (ret)
		return ret;
	if (s->size) {
		ret = write_entry(map, 0, s->size);
		if (!ret)
			ret = s->fd >= 0 && s->pid == dt->pid ? secret_by_fd(d, dt, s, pages)
							      : -EAGAIN;
		if (ret == -EAGAIN)
			ret = secret_by_maps(d, dt, s, pages, &all);
	}
	closed = image_close(map);
	s->done = !ret && all;
	if (s->done)
		log_warn(&d->run->log,
			 "Secret memory of task %d is in %lu bytes of the images, in the "
			 "clear: guard the folder",
			 dt->pid, s->size);
	return ret ? ret : closed;
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
