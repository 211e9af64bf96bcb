// SPDX-License-Identifier: GPL-2.0-only
/*
 * images [SEED [FLIPS]]: restore from checkpoints that are not whole.
 *
 * Every image in turn is missing, empty, cut off at many lengths, and has single bits
 * flipped. Missing or cut: the restore fails with an error, or it brings back a tree that
 * finds itself unharmed (not every file is needed). Flipped: the restore must end by
 * itself, by its own decision. Whatever it does, nothing of a failed one stays behind.
 */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/engine.h"
#include "lib/snapshot.h"
#include "lib/tap.h"

struct image_test {
	struct tap tap;
	struct engine engine;
	struct target target;
	char good[96]; /* the folder with the whole checkpoint */
	char bad[96];  /* its damaged copy */
	uint64_t seed;
	int flips;
	char **names;
	int n_names;
};

enum outcome { REFUSED, RESTORED, HARMED, CRASHED, HUNG, LEFT_BEHIND, SILENT };

static const char *const outcomes[] = {
	"was refused",	    "was restored",	 "came back harmed",	 "crashed the restore",
	"hung the restore", "left tasks behind", "failed without a word"};

static uint64_t next_random(struct image_test *t)
{
	t->seed ^= t->seed << 13;
	t->seed ^= t->seed >> 7;
	t->seed ^= t->seed << 17;
	return t->seed;
}

static void copy_good(struct image_test *t)
{
	char from[112];
	char *clean[] = {"/bin/rm", "-rf", t->bad, NULL};
	char *copy[] = {"/bin/cp", "-a", from, t->bad, NULL};

	snprintf(from, sizeof(from), "%s", t->good);
	run_command(clean, "/dev/null", 60);
	if (run_command(copy, "/dev/null", 60))
		errx(1, "cp %s", t->good);
}

static bool any_child(void)
{
	struct text children = {};
	bool any;

	text_read(&children, "/proc/self/task/%d/children", getpid());
	any = children.n > 0;
	text_free(&children);
	return any;
}

/* A dead orphan comes to us in an instant; only what lives is left behind. */
static bool left_behind(void)
{
	while (waitpid(-1, NULL, WNOHANG | __WALL) > 0)
		;
	return any_child();
}

static enum outcome try_restore(struct image_test *t, struct text *why)
{
	enum outcome o = REFUSED;
	char path[PATH_MAX];
	int status;

	snprintf(path, sizeof(path), "%s/differences", t->target.dir);
	unlink(path);
	status = engine_restore(&t->engine, t->bad, NULL);

	if (status == -1) {
		o = HUNG;
	} else if (status >= 128) {
		o = CRASHED;
	} else if (status) {
		char out[128];
		struct stat st;

		snprintf(out, sizeof(out), "%s/restore.out", t->bad);
		if (left_behind())
			o = LEFT_BEHIND;
		else if (!t->engine.is_criu && (stat(out, &st) < 0 || st.st_size == 0))
			o = SILENT;
	} else {
		o = target_reopen(&t->target) && target_judge(&t->target, 5, false, why) ? RESTORED
											 : HARMED;
	}
	if (o != REFUSED && o != RESTORED)
		engine_why(t->bad, "restore", why);
	kill_children();
	close(t->target.go);
	t->target.go = -1;
	return o;
}

static off_t size_of(struct image_test *t, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", t->good, name);
	return stat(path, &st) < 0 ? 0 : st.st_size;
}

static void damage_cut(struct image_test *t, const char *name, off_t size)
{
	char path[PATH_MAX];

	copy_good(t);
	snprintf(path, sizeof(path), "%s/%s", t->bad, name);
	if (size < 0 ? unlink(path) : truncate(path, size))
		err(1, "%s", path);
}

static void damage_flip(struct image_test *t, const char *name, off_t at, int bit)
{
	char path[PATH_MAX];
	unsigned char c;
	int fd;

	copy_good(t);
	snprintf(path, sizeof(path), "%s/%s", t->bad, name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || pread(fd, &c, 1, at) != 1)
		err(1, "%s", path);
	c ^= 1 << bit;
	if (pwrite(fd, &c, 1, at) != 1)
		err(1, "%s", path);
	close(fd);
}

/* Account for one case; false when it went wrong. */
static bool judge(struct image_test *t, int *counts, bool harm_allowed, const char *fmt, long at,
		  const char *name)
{
	struct text why = {};
	enum outcome o = try_restore(t, &why);
	bool good = o == REFUSED || o == RESTORED || (o == HARMED && harm_allowed);

	counts[o]++;
	if (!good) {
		char what[300];

		snprintf(what, sizeof(what), fmt, name, at);
		tap_note("%s: %s\n%s", what, outcomes[o], why.at ?: "");
	}
	text_free(&why);
	return good;
}

static void say(struct image_test *t, bool good, const int *counts, const char *what,
		const char *name)
{
	tap_result(&t->tap, good, "%s %s: %d refused, %d restored%s", name, what, counts[REFUSED],
		   counts[RESTORED], counts[HARMED] ? ", the others another state" : "");
}

static void test_cuts(struct image_test *t, const char *name)
{
	bool pages = !strncmp(name, "pages-", 6), good;
	off_t size = size_of(t, name);
	int counts[SILENT + 1] = {};

	damage_cut(t, name, -1);
	good = judge(t, counts, false, "%s is missing (%ld)", -1, name);
	for (int i = 0; i < 8 && size > 0; i++) {
		off_t to = i < 3 ? i * 4 : i == 7 ? size - 1 : (off_t)(next_random(t) % size);

		if (to >= size)
			continue;
		if (pages && i == 7)
			to = size - 4096;
		damage_cut(t, name, to);
		good &= judge(t, counts, false, "%s is cut off at %ld", to, name);
	}
	say(t, good, counts, "missing and cut off", name);
}

static void test_flips(struct image_test *t, const char *name)
{
	off_t size = size_of(t, name);
	int counts[SILENT + 1] = {};
	bool good = true;

	for (int i = 0; i < t->flips && size > 0; i++) {
		/* Half of them in the first bytes: magics, lengths and tags. */
		off_t at = next_random(t) % (i % 2 && size > 64 ? 64 : size);
		int bit = next_random(t) % 8;

		damage_flip(t, name, at, bit);
		good &= judge(t, counts, true, "%s with a bit flipped at %ld", at, name);
	}
	say(t, good, counts, "with flipped bits", name);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list_images(struct image_test *t)
{
	DIR *dir = opendir(t->good);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		if (!strstr(e->d_name, ".img"))
			continue;
		t->names = realloc(t->names, (t->n_names + 1) * sizeof(char *));
		t->names[t->n_names++] = strdup(e->d_name);
	}
	closedir(dir);
	qsort(t->names, t->n_names, sizeof(char *), by_text);
}

static bool make_good(struct image_test *t)
{
	struct engine dumper = engine_named(getenv("DUMPER") ?: "stasis");
	struct text why = {};

	if (target_start(&t->target, "mixture", &why) != READY)
		errx(1, "mixture: %s", why.at);
	snapshot_settle(t->target.pid, 5000);
	snprintf(t->good, sizeof(t->good), "%s", t->target.images);
	snprintf(t->bad, sizeof(t->bad), "%s/bad", t->target.dir);
	if (engine_dump(&dumper, t->target.pid, t->good, NULL)) {
		engine_why(t->good, "dump", &why);
		tap_note("%s", why.at);
		text_free(&why);
		return tap_result(&t->tap, false, "a checkpoint to damage");
	}
	target_gone(&t->target, 10);
	copy_good(t);
	if (try_restore(t, &why) != RESTORED) {
		tap_note("%s", why.at ?: "");
		text_free(&why);
		return tap_result(&t->tap, false, "the whole checkpoint is restored");
	}
	text_free(&why);
	return tap_result(&t->tap, true, "the whole checkpoint is restored");
}

int main(int argc, char **argv)
{
	struct image_test t = {.flips = argc > 2 ? atoi(argv[2]) : 16};

	if (argc > 3 || (argc > 1 && argv[1][0] == '-')) {
		puts("usage: images [SEED [FLIPS]]\n"
		     "Restore from checkpoints with an image missing, cut off or with a bit flipped\n"
		     "(so many for each image: 16).");
		return argc == 2 && !strcmp(argv[1], "--help") ? 0 : 2;
	}
	if (argc > 1)
		t.seed = strtoull(argv[1], NULL, 0);
	else if (getrandom(&t.seed, sizeof(t.seed), 0) < 0)
		err(1, "getrandom");
	t.seed |= 1;
	tap_note("seed %#lx", (unsigned long)t.seed);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	t.engine = engine_named(getenv("ENGINE") ?: "stasis");
	if (make_good(&t)) {
		list_images(&t);
		for (int i = 0; i < t.n_names; i++) {
			test_cuts(&t, t.names[i]);
			test_flips(&t, t.names[i]);
		}
	}
	target_end(&t.target, false);
	return tap_end(&t.tap);
}
