// SPDX-License-Identifier: GPL-2.0-only
#include "factory/factory.h"

#include <err.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern const struct kind *const __start_kinds[], *const __stop_kinds[];

static char work[PATH_MAX / 2];
const char *const work_dir = work;
char go_path[PATH_MAX];
static int n_differ;

static void say(const char *file, const char *text)
{
	int fd = open(in_work(file), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		n_differ++;
	close(fd);
}

const char *in_work(const char *name)
{
	static char paths[4][PATH_MAX]; /* for calls with two names */
	static unsigned int next;
	char *path = paths[next++ % 4];

	snprintf(path, PATH_MAX, "%s/%s", work, name);
	return path;
}

void skip(const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	say("skip", text);
	exit(4);
}

void differ(const char *file, int line, const char *fmt, ...)
{
	char text[768], all[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	snprintf(all, sizeof(all), "%s:%d: task %d: %s\n", file, line, getpid(), text);
	n_differ++;
	say("differences", all);
}

int differences(void)
{
	return n_differ;
}

void must_fail(const char *file, int line, const char *what)
{
	int code = errno;
	char text[768];

	snprintf(text, sizeof(text), "%s:%d: cannot build: %s: %s\n", file, line, what,
		 strerror(code));
	say("unbuilt", text);
	exit(3);
}

void hold_peer(void)
{
	int fd;

	/* Blocks until there is a writer: then all who wait here go on. */
	do
		fd = open(go_path, O_RDONLY | O_CLOEXEC);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		differ(__FILE__, __LINE__, "waiting at %s: %s", go_path, strerror(errno));
	close(fd);
}

void tell_ready_at(const char *path)
{
	int fd = MUST(open(path, O_WRONLY | O_CLOEXEC));

	MUST(write(fd, "r", 1));
	close(fd);
}

void tell_ready(void)
{
	tell_ready_at(in_work("ready"));
}

void hold(void)
{
	tell_ready();
	hold_peer();
}

pid_t spawn(void (*fn)(void *), void *arg)
{
	pid_t pid = MUST(fork());

	if (pid == 0) {
		n_differ = 0;
		fn(arg);
		_exit(n_differ ? 1 : 0);
	}
	return pid;
}

void reap_good(pid_t pid)
{
	int status = -1;

	CHECK_EQ(waitpid(pid, &status, __WALL), pid);
	if (status)
		differ(__FILE__, __LINE__, "child %d ended with wait status %#x", pid, status);
}

struct gate gate_make(void)
{
	struct gate g;

	MUST(pipe(g.fds));
	return g;
}

void gate_pass(struct gate *g)
{
	MUST(write(g->fds[1], "p", 1));
	close(g->fds[0]);
	close(g->fds[1]);
}

void gate_wait(struct gate *g, int n)
{
	char c;

	close(g->fds[1]);
	while (n-- > 0)
		if (read(g->fds[0], &c, 1) != 1)
			must_fail(__FILE__, __LINE__, "a child died while building");
	close(g->fds[0]);
}

void fill(void *at, size_t n, uint64_t seed)
{
	unsigned char *p = at;
	uint64_t x = seed * 2654435761u + 88172645463325252ull;

	for (size_t i = 0; i < n; i++) {
		if (!(i & 7)) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
		}
		p[i] = x >> (8 * (i & 7));
	}
}

bool filled(const void *at, size_t n, uint64_t seed)
{
	unsigned char want[4096];
	const char *p = at;

	/* fill() has no state beyond its seed: make it again in one piece. */
	if (n <= sizeof(want)) {
		fill(want, n, seed);
		return !memcmp(at, want, n);
	}
	unsigned char *all = malloc(n);
	bool same;

	fill(all, n, seed);
	same = !memcmp(p, all, n);
	free(all);
	return same;
}

int make_file(const char *name, size_t size, int flags)
{
	int fd = MUST(open(in_work(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
	char *bytes = malloc(size + 1);

	fill(bytes, size, 7);
	MUST(write(fd, bytes, size));
	free(bytes);
	close(fd);
	return MUST(open(in_work(name), flags & ~O_EXCL));
}

void *map_anon(size_t length, int prot, int flags)
{
	return MUST(mmap(NULL, length, prot, MAP_ANONYMOUS | flags, -1, 0));
}

static void list(void)
{
	for (const struct kind *const *k = __start_kinds; k < __stop_kinds; k++)
		printf("%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\n", (*k)->name, (*k)->text,
		       (*k)->no_criu ?: "", (*k)->no_criu_restore ?: "", (*k)->lost ?: "",
		       (*k)->moves ?: "", (*k)->later ?: "", (*k)->options ?: "", (*k)->stopped,
		       (*k)->spins);
}

static const struct kind *find(const char *name)
{
	for (const struct kind *const *k = __start_kinds; k < __stop_kinds; k++)
		if (!strcmp((*k)->name, name))
			return *k;
	errx(2, "no kind '%s'; factory --list has them", name);
}

int main(int argc, char **argv)
{
	const struct kind *kind;

	if (argc == 2 && !strcmp(argv[1], "--list")) {
		list();
		return 0;
	}
	if (argc != 3 || !strcmp(argv[1], "--help")) {
		puts("usage: factory KIND FOLDER | factory --list\n"
		     "Make objects of a kind, write to FOLDER/ready, wait for a writer of FOLDER/go,\n"
		     "and check that all is as it was. Exit status: 0 it is, 1 it is not (see\n"
		     "FOLDER/differences), 3 and 4 it can't be made here.\n"
		     "--list: name, text, why not CRIU, why not its restore, what CRIU loses, what changes\n"
		     "by itself, stage, options, stopped, spins.");
		return argc == 2 ? 0 : 2;
	}
	kind = find(argv[1]);
	snprintf(work, sizeof(work), "%s", argv[2]);
	snprintf(go_path, sizeof(go_path), "%s/go", work);
	kind->run();
	return n_differ ? 1 : 0;
}
