// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/monitor_show.h"
#include "lib/cleanup.h"

#define PF_KTHREAD 0x00200000

/* 1: a kernel thread; -ESRCH: gone. */
static int read_stat(pid_t pid, struct show_task *t)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[64], buf[1024], *open_paren, *close_paren;
	unsigned int flags;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f || !fgets(buf, sizeof(buf), f))
		return -ESRCH;
	/* The name may hold anything, also newlines; the last parenthesis ends it. */
	open_paren = strchr(buf, '(');
	close_paren = strrchr(buf, ')');
	if (!open_paren || !close_paren)
		return -ESRCH;
	*close_paren = '\0';
	snprintf(t->comm, sizeof(t->comm), "%.*s", CABA_COMM - 1, open_paren + 1);
	for (char *c = t->comm; *c; c++)
		if (!isprint((unsigned char)*c))
			*c = '?';
	if (sscanf(close_paren + 2, "%c %d %d %d %*d %*d %u", &t->state, &t->parent, &t->group,
		   &t->session, &flags) != 5)
		return -ESRCH;
	t->pid = pid;
	return flags & PF_KTHREAD ? 1 : 0;
}

static int by_pid(const void *a, const void *b)
{
	const struct show_task *x = a, *y = b;

	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static int read_tasks(struct show *s, struct error *err)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc");
	struct dirent *e;

	if (!dir)
		return fail(err, -errno, "/proc: reading");
	while ((e = readdir(dir))) {
		struct show_task t = {0};

		if (!isdigit((unsigned char)e->d_name[0]) || read_stat(atoi(e->d_name), &t))
			continue;
		if (vec_push(&s->tasks, t))
			return fail(err, -ENOMEM, "collecting processes");
	}
	vec_sort(&s->tasks, by_pid);
	return 0;
}

/* Records of the tasks; a task that is gone by now is dropped. */
static int read_records(struct monitor *m, struct show *s, struct error *err)
{
	size_t kept = 0;

	s->births = calloc(s->tasks.n + 1, sizeof(*s->births));
	if (!s->births)
		return fail(err, -ENOMEM, "collecting processes");
	for (size_t i = 0; i < s->tasks.n; i++) {
		struct monitor_birth *b = &s->births[kept];
		struct error e = {0};
		int r = monitor_lookup(m, s->tasks.at[i].pid, &e, &b->record);

		if (r == -ESRCH)
			continue;
		if (r) {
			*err = e;
			return r;
		}
		b->pid = s->tasks.at[i].pid;
		s->tasks.at[kept++] = s->tasks.at[i];
	}
	s->tasks.n = s->n_births = kept;
	return 0;
}

static int by_tgid(const void *a, const void *b, void *births)
{
	const struct monitor_birth *all = births;
	uint32_t x = all[*(const size_t *)a].record.rec.tgid;
	uint32_t y = all[*(const size_t *)b].record.rec.tgid;

	return x < y ? -1 : x > y;
}

static int index_tasks(struct show *s, struct error *err)
{
	s->by_tgid = calloc(s->tasks.n + 1, sizeof(*s->by_tgid));
	if (!s->by_tgid)
		return fail(err, -ENOMEM, "collecting processes");
	for (size_t i = 0; i < s->tasks.n; i++)
		s->by_tgid[i] = i;
	qsort_r(s->by_tgid, s->tasks.n, sizeof(*s->by_tgid), by_tgid, s->births);
	return 0;
}

int show_collect(struct monitor *m, struct error *err, struct show *ret)
{
	struct stat st;
	int r;

	if (stat("/proc/self/ns/pid", &st) == 0)
		ret->ns = st.st_ino;
	r = read_tasks(ret, err);
	if (!r)
		r = read_records(m, ret, err);
	if (!r)
		r = monitor_walk_records(m, &ret->births, &ret->n_births, err);
	if (!r)
		r = index_tasks(ret, err);
	return r;
}

void show_free(struct show *s)
{
	vec_free(&s->tasks);
	free(s->births);
	free(s->by_tgid);
}

ssize_t show_find(const struct show *s, pid_t pid)
{
	const struct show_task key = {.pid = pid}, *t;

	if (!s->tasks.n)
		return -1;
	t = bsearch(&key, s->tasks.at, s->tasks.n, sizeof(key), by_pid);
	return t ? t - s->tasks.at : -1;
}

ssize_t show_find_tgid(const struct show *s, uint32_t tgid, uint64_t start)
{
	size_t low = 0, high = s->tasks.n;
	const struct caba_rec *r;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->births[s->by_tgid[mid]].record.rec.tgid < tgid)
			low = mid + 1;
		else
			high = mid;
	}
	if (!tgid || low == s->tasks.n)
		return -1;
	r = &s->births[s->by_tgid[low]].record.rec;
	return r->tgid == tgid && (!start || r->start == start) ? (ssize_t)s->by_tgid[low] : -1;
}
