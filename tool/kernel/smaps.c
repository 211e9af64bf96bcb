// SPDX-License-Identifier: GPL-2.0-only
#include "kernel/smaps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define BUF (32 * 1024)

/*
 * The kernel writes into a page of its own until as much is there as was asked for. An entry
 * for which that page has no room left it writes again at the next read, after another look at
 * all pages of the mapping. So ask for a page less an entry of usual length.
 */
#define ASK (4096 - 768)

static const struct {
	char name[3];
	uint32_t flag;
} vm_flags[] = {
	{"gd", SMAPS_GROWSDOWN},   {"lo", SMAPS_LOCKED},     {"sr", SMAPS_SEQ_READ},
	{"rr", SMAPS_RAND_READ},   {"dc", SMAPS_DONTFORK},   {"dd", SMAPS_DONTDUMP},
	{"nr", SMAPS_NORESERVE},   {"ht", SMAPS_HUGETLB},    {"mg", SMAPS_MERGEABLE},
	{"hg", SMAPS_HUGEPAGE},	   {"nh", SMAPS_NOHUGEPAGE}, {"wf", SMAPS_WIPEONFORK},
	{"um", SMAPS_UFFD},	   {"uw", SMAPS_UFFD},	     {"ui", SMAPS_UFFD},
	{"ss", SMAPS_SHADOW},	   {"sl", SMAPS_SEALED},     {"mw", SMAPS_MAYWRITE},
	{"dp", SMAPS_DROPPABLE},   {"io", SMAPS_IO},	     {"pf", SMAPS_IO},
	{"lf", SMAPS_LOCKONFAULT}, {"ac", SMAPS_ACCOUNTED},
};

static uint32_t flags_of(const char *p)
{
	uint32_t flags = 0;
	size_t i;

	while (p[0] && p[1]) {
		for (i = 0; i < sizeof(vm_flags) / sizeof(vm_flags[0]); i++) {
			if (p[0] == vm_flags[i].name[0] && p[1] == vm_flags[i].name[1])
				flags |= vm_flags[i].flag;
		}
		p += 2;
		while (*p == ' ')
			p++;
	}
	return flags;
}

/* "55d0-55e1 r-xp 00001000 fe:01 1234    /path" */
static int parse_head(char *line, struct smaps_vma *v)
{
	unsigned int major, minor;
	char *p;

	memset(v, 0, sizeof(*v));
	v->start = strtoull(line, &p, 16);
	if (*p != '-')
		return -EPROTO;
	v->end = strtoull(p + 1, &p, 16);
	if (p[0] != ' ' || strlen(p) < 6)
		return -EPROTO;
	v->prot = (p[1] == 'r' ? PROT_READ : 0) | (p[2] == 'w' ? PROT_WRITE : 0) |
		  (p[3] == 'x' ? PROT_EXEC : 0);
	v->shared = p[4] == 's';
	v->offset = strtoull(p + 5, &p, 16);
	major = strtoul(p, &p, 16);
	if (*p != ':')
		return -EPROTO;
	minor = strtoul(p + 1, &p, 16);
	v->dev = makedev(major, minor);
	v->ino = strtoull(p, &p, 10);
	while (*p == ' ')
		p++;
	v->name = p;
	return 0;
}

struct walk {
	struct smaps_vma vma;
	bool have;
	char name[4200];
	int (*f)(const struct smaps_vma *v, void *arg);
	void *arg;
};

static int line_done(struct walk *w, char *line)
{
	size_t len;
	int ret;

	/* Headings begin with a lower-case hex digit, attributes with a capital. */
	if (!(line[0] >= 'A' && line[0] <= 'Z')) {
		ret = parse_head(line, &w->vma);
		if (ret)
			return ret;
		len = strlen(w->vma.name);
		if (len >= sizeof(w->name))
			return -ENAMETOOLONG;
		memcpy(w->name, w->vma.name, len + 1);
		w->vma.name = w->name;
		w->have = true;
		return 0;
	}
	if (line[0] == 'K' && !strncmp(line, "KernelPageSize:", 15)) {
		w->vma.page_size = strtoull(line + 15, NULL, 10) * 1024;
		return 0;
	}
	if (line[0] == 'A' && !strncmp(line, "Anonymous:", 10)) {
		w->vma.anonymous = strtoull(line + 10, NULL, 10) * 1024;
		return 0;
	}
	if (line[0] == 'V' && !strncmp(line, "VmFlags: ", 9) && w->have) {
		w->vma.flags = flags_of(line + 9);
		w->have = false;
		return w->f(&w->vma, w->arg);
	}
	return 0;
}

int smaps_walk(int procfd, int (*f)(const struct smaps_vma *v, void *arg), void *arg)
{
	_cleanup_close_ int fd = openat(procfd, "smaps", O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *buf = malloc(BUF + 1);
	struct walk w = {.f = f, .arg = arg};
	size_t len = 0;
	ssize_t n;
	char *p, *nl;
	int ret;

	if (fd < 0)
		return -errno;
	if (!buf)
		return -ENOMEM;
	while ((n = read(fd, buf + len, ASK < BUF - len ? ASK : BUF - len)) > 0) {
		len += n;
		for (p = buf; (nl = memchr(p, '\n', buf + len - p)); p = nl + 1) {
			*nl = 0;
			ret = line_done(&w, p);
			if (ret)
				return ret;
		}
		len = buf + len - p;
		memmove(buf, p, len);
		if (len == BUF)
			return -EPROTO;
	}
	return n < 0 ? -errno : 0;
}
