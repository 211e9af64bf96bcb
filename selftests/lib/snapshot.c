// SPDX-License-Identifier: GPL-2.0-only
#include "lib/snapshot.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <linux/kcmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int by_number(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

int numbers_in(long **ret, const char *fmt, ...)
{
	char path[PATH_MAX];
	struct dirent *e;
	va_list args;
	int n = 0;
	DIR *dir;

	va_start(args, fmt);
	vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	*ret = NULL;
	dir = opendir(path);
	if (!dir)
		return 0;
	while ((e = readdir(dir))) {
		char *end;
		long number = strtol(e->d_name, &end, 10);

		if (*end || end == e->d_name)
			continue;
		if (!(n & (n + 1)))
			*ret = realloc(*ret, (2 * n + 2) * sizeof(long));
		(*ret)[n++] = number;
	}
	closedir(dir);
	if (n)
		qsort(*ret, n, sizeof(long), by_number);
	return n;
}

static void add_children(struct snapshot *s, pid_t pid)
{
	long *tids;
	int n = numbers_in(&tids, "/proc/%d/task", pid);

	for (int i = 0; i < n; i++) {
		struct text t = {};
		char *at, *end;

		text_read(&t, "/proc/%d/task/%ld/children", pid, tids[i]);
		for (at = t.at;; at = end) {
			long child = strtol(at, &end, 10);

			if (end == at)
				break;
			s->pids = realloc(s->pids, (s->n_pids + 1) * sizeof(pid_t));
			s->pids[s->n_pids++] = child;
		}
		text_free(&t);
	}
	free(tids);
}

static int by_pid(const void *a, const void *b)
{
	return *(const pid_t *)a - *(const pid_t *)b;
}

void snapshot_pids(struct snapshot *s, pid_t root)
{
	s->pids = malloc(sizeof(pid_t));
	s->pids[0] = root;
	s->n_pids = 1;
	for (int i = 0; i < s->n_pids; i++)
		add_children(s, s->pids[i]);
	/* The order of children is that of their making, which nobody can see. */
	qsort(s->pids + 1, s->n_pids - 1, sizeof(pid_t), by_pid);
}

int snapshot_number(struct snapshot *s, uint64_t dev, uint64_t ino)
{
	for (int i = 0; i < s->n_seen; i++)
		if (s->seen[i].dev == dev && s->seen[i].ino == ino)
			return i;
	s->seen = realloc(s->seen, (s->n_seen + 1) * sizeof(*s->seen));
	s->seen[s->n_seen].dev = dev;
	s->seen[s->n_seen].ino = ino;
	return s->n_seen++;
}

/* Which of the tables that clone can share are shared, as the first process of each group. */
void snapshot_sharing(struct snapshot *s)
{
	static const struct {
		const char *name;
		int type;
	} tables[] = {
		{"files", KCMP_FILES},	   {"fs", KCMP_FS}, {"mm", KCMP_VM},
		{"sighand", KCMP_SIGHAND}, {"io", KCMP_IO}, {"sysvsem", KCMP_SYSVSEM},
	};

	if (s->n_pids > 200)
		return; /* pairs; a tree of thousands is compared without */
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
		for (int i = 1; i < s->n_pids; i++)
			for (int j = 0; j < i && !is_zombie(s->pids[i]); j++) {
				if (syscall(SYS_kcmp, s->pids[i], s->pids[j], tables[t].type, 0, 0))
					continue;
				text_add(&s->lines, "%d share.%s %d\n", s->pids[i], tables[t].name,
					 s->pids[j]);
				break;
			}
}

void snapshot_take(struct snapshot *s, pid_t root)
{
	*s = (struct snapshot){};
	text_bytes(&s->lines, "", 0);
	snapshot_pids(s, root);
	for (int i = 0; i < s->n_pids; i++) {
		snapshot_task(s, s->pids[i]);
		snapshot_memory(s, s->pids[i]);
		snapshot_files(s, s->pids[i]);
	}
	snapshot_sharing(s);
}

void snapshot_free(struct snapshot *s)
{
	text_free(&s->lines);
	free(s->pids);
	free(s->seen);
	free(s->files);
	free(s->rseq);
	*s = (struct snapshot){};
}

/* The kernel shows D for a moment's wait for a lock; for good it is in a parent at vfork(2). */
static bool is_vfork(pid_t pid, long tid)
{
	struct text t = {};
	long nr;

	text_read(&t, "/proc/%d/task/%ld/syscall", pid, tid);
	nr = strtol(t.at, NULL, 10);
	text_free(&t);
	return nr == SYS_vfork || nr == SYS_clone || nr == SYS_clone3;
}

/* Sleeping in a system call, stopped or dead: nothing changes until somebody acts. */
static bool settled(pid_t pid)
{
	bool good = true;
	long *tids;
	int n = numbers_in(&tids, "/proc/%d/task", pid);

	for (int i = 0; i < n && good; i++) {
		struct text t = {};
		char *state;

		text_read(&t, "/proc/%d/task/%ld/stat", pid, tids[i]);
		state = strrchr(t.at, ')');
		good = state &&
		       (strchr("STZXt", state[2]) || (state[2] == 'D' && is_vfork(pid, tids[i])));
		text_free(&t);
	}
	free(tids);
	return good;
}

bool snapshot_settle(pid_t root, int ms)
{
	/* The kernel announces no change of a task's state; twice in a row, to be past wake-ups. */
	for (int in_a_row = 0; ms-- > 0;) {
		struct snapshot s = {};
		bool good = true;

		snapshot_pids(&s, root);
		for (int i = 0; i < s.n_pids && good; i++)
			good = settled(s.pids[i]);
		snapshot_free(&s);
		in_a_row = good ? in_a_row + 1 : 0;
		if (in_a_row == 2)
			return true;
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	}
	return false;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int sorted_lines(char ***ret, const struct snapshot *s, char **ret_copy)
{
	char *copy = strdup(s->lines.at), *line, *save = NULL;
	char **lines = NULL;
	int n = 0;

	for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (!(n & (n + 1)))
			lines = realloc(lines, (2 * n + 2) * sizeof(*lines));
		lines[n++] = line;
	}
	qsort(lines, n, sizeof(*lines), by_text);
	*ret = lines;
	*ret_copy = copy;
	return n;
}

static bool ignored(const char *line, const char *ignore)
{
	const char *key = strchr(line, ' ');
	char name[128], *patterns, *p, *save = NULL;
	bool hit = false;

	if (!ignore || !key)
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(key + 1, " "), key + 1);
	patterns = strdup(ignore);
	for (p = strtok_r(patterns, " ", &save); p && !hit; p = strtok_r(NULL, " ", &save))
		hit = fnmatch(p, name, 0) == 0;
	free(patterns);
	return hit;
}

static int note(struct text *out, char sign, const char *line, const char *ignore)
{
	if (ignored(line, ignore))
		return 0;
	text_add(out, "%c %s\n", sign, line);
	return 1;
}

int snapshot_diff(const struct snapshot *before, const struct snapshot *after, const char *ignore,
		  struct text *out)
{
	char **a, **b, *copy_a, *copy_b;
	int n = sorted_lines(&a, before, &copy_a), m = sorted_lines(&b, after, &copy_b);
	int i = 0, j = 0, differ = 0;

	while (i < n || j < m) {
		int order = i == n ? 1 : j == m ? -1 : strcmp(a[i], b[j]);

		if (order == 0) {
			i++;
			j++;
		} else if (order < 0) {
			differ += note(out, '-', a[i++], ignore);
		} else {
			differ += note(out, '+', b[j++], ignore);
		}
	}
	free(a);
	free(b);
	free(copy_a);
	free(copy_b);
	return differ;
}
