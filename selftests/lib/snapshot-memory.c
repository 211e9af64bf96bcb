// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mappings with their attributes and contents. Neighbours that differ in nothing are
 * told as one: where the kernel merges and splits them is its own affair.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/rseq.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/snapshot.h"

#define PAGE	   4096ul
#define PM_PRESENT (1ull << 63)
#define PM_SWAP	   (1ull << 62)
#define PM_FILE	   (1ull << 61)
#define RSEQ_SIZE  32
#define BATCH	   512
#define HASH_LIMIT (256ul << 20) /* bytes of one shared object that are read */

struct area {
	unsigned long start, end, offset;
	char perms[8], flags[160], name[600];
	unsigned long dev, ino;
	int object;	     /* shared memory without a name: its number; else -1 */
	uint64_t hash;	     /* of contents, order of pages included */
	unsigned long pages; /* that hold something */
	bool readable, accounted;
};

struct reader {
	struct snapshot *s;
	pid_t pid;
	int mem, pagemap;
	unsigned long accounted; /* bytes */
};

/*
 * Where threads have their rseq areas: the kernel writes CPU numbers there whenever it
 * likes. glibc keeps area and robust list at a fixed distance, and /proc shows neither.
 */
static void find_rseq(struct reader *r)
{
	char *thread = __builtin_thread_pointer();
	long *tids, distance;
	void *head = NULL;
	size_t len;
	int n = numbers_in(&tids, "/proc/%d/task", r->pid);

	syscall(SYS_get_robust_list, 0, &head, &len);
	distance = thread + __rseq_offset - (char *)head;
	r->s->rseq = realloc(r->s->rseq, (r->s->n_rseq + n) * sizeof(*r->s->rseq));
	for (int i = 0; i < n; i++)
		if (syscall(SYS_get_robust_list, tids[i], &head, &len) == 0 && head)
			r->s->rseq[r->s->n_rseq++] = (unsigned long)head + distance;
	free(tids);
}

static void mask_rseq(const struct reader *r, unsigned long addr, char *page)
{
	for (int i = 0; i < r->s->n_rseq; i++)
		if (r->s->rseq[i] >= addr && r->s->rseq[i] + RSEQ_SIZE <= addr + PAGE)
			memset(page + (r->s->rseq[i] - addr), 0, RSEQ_SIZE);
}

static bool all_zero(const char *page)
{
	return page[0] == 0 && !memcmp(page, page + 1, PAGE - 1);
}

static void hash_page(struct area *a, unsigned long addr, const char *page)
{
	/* Added up, so that merging areas can add up too. */
	a->hash += fnv(fnv(FNV_START, &addr, sizeof(addr)), page, PAGE);
	a->pages++;
}

static int open_map_file(const struct reader *r, const struct area *a)
{
	char path[96];

	snprintf(path, sizeof(path), "/proc/%d/map_files/%lx-%lx", r->pid, a->start, a->end);
	return a->ino ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
}

/* A page of the task's own that holds just what would be there without it says nothing. */
static bool same_as_under(const char *page, int file, unsigned long offset)
{
	char under[PAGE];
	ssize_t got;

	if (file < 0)
		return all_zero(page);
	got = pread(file, under, PAGE, offset);
	if (got < 0)
		return false;
	memset(under + got, 0, PAGE - got);
	return !memcmp(page, under, PAGE);
}

static void hash_own_page(struct reader *r, struct area *a, int file, unsigned long at)
{
	char page[PAGE];

	if (pread(r->mem, page, PAGE, at) != (ssize_t)PAGE) {
		a->readable = false;
		return;
	}
	if (same_as_under(page, file, a->offset + (at - a->start)))
		return;
	mask_rseq(r, at, page);
	hash_page(a, at, page);
}

/* Private memory: pages that are the task's own. */
static void hash_private(struct reader *r, struct area *a)
{
	int file = open_map_file(r, a);
	uint64_t map[BATCH];

	for (unsigned long at = a->start; at < a->end; at += BATCH * PAGE) {
		unsigned long n = (a->end - at) / PAGE;

		n = n < BATCH ? n : BATCH;
		if (pread(r->pagemap, map, n * 8, at / PAGE * 8) != (ssize_t)(n * 8))
			break;
		for (unsigned long i = 0; i < n; i++)
			if (map[i] & (PM_PRESENT | PM_SWAP) && !(map[i] & PM_FILE))
				hash_own_page(r, a, file, at + i * PAGE);
	}
	if (file >= 0)
		close(file);
}

/* Shared memory: what its object holds there, read past the task so that no page is made. */
static void hash_shared(struct reader *r, struct area *a)
{
	unsigned long length = a->end - a->start;
	char page[PAGE];
	struct stat st;
	off_t at, end;
	int fd;

	if (length > HASH_LIMIT || strstr(a->name, "/secretmem"))
		return;
	fd = open_map_file(r, a);
	if (fd < 0)
		return;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return;
	}
	end = a->offset + length;
	for (at = lseek(fd, a->offset, SEEK_DATA); at >= 0 && at < end;
	     at = lseek(fd, at + PAGE, SEEK_DATA)) {
		ssize_t got;

		at &= ~(PAGE - 1);
		got = pread(fd, page, PAGE, at);
		if (got <= 0)
			break;
		memset(page + got, 0, PAGE - got);
		if (!all_zero(page))
			hash_page(a, a->start + (at - a->offset), page);
	}
	close(fd);
}

static bool special(const struct area *a)
{
	return strstr(a->name, "[v") || strstr(a->flags, " io ") || strstr(a->flags, " pf ");
}

static void finish(struct reader *r, struct area *a)
{
	if (!a->end || special(a))
		return;
	if (a->perms[3] == 's')
		hash_shared(r, a);
	else
		hash_private(r, a);
}

static bool follows(const struct area *a, const struct area *b)
{
	bool mapped = a->ino != 0;

	return a->end == b->start && !strcmp(a->perms, b->perms) && !strcmp(a->flags, b->flags) &&
	       !strcmp(a->name, b->name) && a->ino == b->ino && a->dev == b->dev &&
	       (!mapped || b->offset == a->offset + (a->end - a->start));
}

static void print_area(struct reader *r, const struct area *a)
{
	if (!a->end)
		return;
	text_add(&r->s->lines, "%d map %lx-%lx %s %lx %s%s", r->pid, a->start, a->end, a->perms,
		 a->ino ? a->offset : 0, a->name[0] ? a->name : "-", a->readable ? "" : " secret");
	if (a->object >= 0)
		text_add(&r->s->lines, " object %d", a->object);
	text_add(&r->s->lines, " [%s]", a->flags);
	if (!special(a))
		text_add(&r->s->lines, " %lu pages %016lx", a->pages, (unsigned long)a->hash);
	text_add(&r->s->lines, "\n");
}

/* Anonymous shared memory, memfd and SysV segments get a new inode with every restore. */
static void number_object(struct reader *r, struct area *a)
{
	bool unnamed = !strncmp(a->name, "/dev/zero (deleted)", 19) ||
		       !strncmp(a->name, "/memfd:", 7) || !strncmp(a->name, "/SYSV", 5) ||
		       !strncmp(a->name, "/secretmem", 10) ||
		       !strncmp(a->name, "/anon_hugepage", 14) || strstr(a->name, " (deleted)");

	a->object = -1;
	if (!unnamed || !a->ino)
		return;
	a->object = snapshot_number(r->s, a->dev, a->ino);
	a->ino = 1; /* mapped, no more */
	a->dev = 0;
}

static bool parse_head(const char *line, struct area *a)
{
	unsigned long major, minor;
	int used = 0;

	*a = (struct area){.object = -1, .readable = true};
	if (sscanf(line, "%lx-%lx %7s %lx %lx:%lx %lu %n", &a->start, &a->end, a->perms, &a->offset,
		   &major, &minor, &a->ino, &used) < 7)
		return false;
	a->dev = major << 20 | minor;
	/* CRIU makes anonymous shared memory of a memfd with the name that it has anyway. */
	line += used;
	if (!strcmp(line, "/memfd:/dev/zero (deleted)") ||
	    !strcmp(line, "/memfd:/anon_hugepage (deleted)"))
		line += strlen("/memfd:");
	if (!strcmp(line, "/memfd: (deleted)"))
		line = "/dev/zero (deleted)";
	snprintf(a->name, sizeof(a->name), "%s", line);
	return true;
}

static void parse_flags(struct area *a, const char *flags)
{
	char copy[160], *word, *save = NULL;
	size_t n = 0;

	/*
	 * Soft-dirty tells of time, not of state. What is accounted depends on the way to
	 * the present protection; it is summed up for the process.
	 */
	snprintf(copy, sizeof(copy), "%s", flags);
	for (word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
		if (!strcmp(word, "ac"))
			a->accounted = true;
		else if (strcmp(word, "sd"))
			n += snprintf(a->flags + n, sizeof(a->flags) - n, " %s", word);
	snprintf(a->flags + n, sizeof(a->flags) - n, " ");
}

static void add_area(struct reader *r, struct area *last, struct area *next)
{
	number_object(r, next);
	r->accounted += next->accounted ? next->end - next->start : 0;
	finish(r, next);
	if (last->end && follows(last, next)) {
		last->end = next->end;
		last->hash += next->hash;
		last->pages += next->pages;
		last->readable &= next->readable;
		return;
	}
	print_area(r, last);
	*last = *next;
}

void snapshot_memory(struct snapshot *s, pid_t pid)
{
	struct reader r = {.s = s, .pid = pid, .mem = -1, .pagemap = -1};
	struct area last = {}, next = {};
	char path[64], *line, *save = NULL;
	struct text t = {};

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	r.mem = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	r.pagemap = open(path, O_RDONLY | O_CLOEXEC);
	find_rseq(&r);
	text_read(&t, "/proc/%d/smaps", pid);
	for (line = strtok_r(t.at, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (!strncmp(line, "VmFlags: ", 9)) {
			parse_flags(&next, line + 9);
			add_area(&r, &last, &next);
		} else if (strchr("0123456789abcdef", line[0])) {
			parse_head(line, &next);
		}
	}
	print_area(&r, &last);
	text_add(&s->lines, "%d accounted %lu kB\n", pid, r.accounted / 1024);
	text_free(&t);
	close(r.mem);
	close(r.pagemap);
}
