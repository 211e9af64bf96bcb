// SPDX-License-Identifier: GPL-2.0-only
/*
 * kill_restore [MOMENTS]: kill a restore at many moments; all is there afterwards, or nothing.
 *
 * Moments are steps (system calls) of the tool and its guardian, and times. Mostly the tool
 * is killed, sometimes the guardian. Afterwards either every task is there, computes, and
 * finds itself unharmed at its end, or there is no process, no name, no segment, no pid file.
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "failure/moments.h"
#include "lib/engine.h"
#include "lib/tap.h"

#define N_WORKERS 6
#define PATIENCE  120 /* seconds; on a loaded machine */

/* As in worker.c. */
struct board {
	int stop, ready;
	uint64_t steps[N_WORKERS];
	int segment;
};

struct kill_test {
	struct tap tap;
	struct engine engine;
	char dir[64], images[80], ghosts[80], pidfile[96], out[80];
	volatile struct board *board;
	pid_t root;
	int none, all;
};

/* --- the target ----------------------------------------------------------- */

static void make_folders(struct kill_test *k)
{
	char path[96];
	int fd;

	snprintf(k->dir, sizeof(k->dir), "%s/stasis-kill.XXXXXX", getenv("TMPDIR") ?: "/tmp");
	if (!mkdtemp(k->dir))
		err(1, "mkdtemp %s", k->dir);
	snprintf(k->images, sizeof(k->images), "%s/images", k->dir);
	snprintf(k->ghosts, sizeof(k->ghosts), "%s/ghosts", k->dir);
	snprintf(k->pidfile, sizeof(k->pidfile), "%s/pid", k->images);
	snprintf(k->out, sizeof(k->out), "%s/stasis.out", k->dir);
	mkdir(k->images, 0700);
	mkdir(k->ghosts, 0700);
	snprintf(path, sizeof(path), "%s/work", k->dir);
	fd = open(path, O_RDWR | O_CREAT, 0644);
	if (fd < 0 || ftruncate(fd, 4096) < 0)
		err(1, "%s", path);
	k->board = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
}

static void start_worker(struct kill_test *k)
{
	char program[PATH_MAX], path[96];

	snprintf(program, sizeof(program), "%s/selftests/failure/worker",
		 getenv("BUILD") ?: "build");
	snprintf(path, sizeof(path), "%s/output", k->dir);
	k->root = fork();
	if (k->root == 0) {
		int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);

		dup2(open("/dev/null", O_RDONLY), 0);
		dup2(fd, 1);
		dup2(fd, 2);
		close_range(3, ~0U, 0);
		setsid();
		execl(program, program, k->dir, "more", NULL);
		err(127, "%s", program);
	}
	while (k->board->ready < 2)
		if (waitpid(k->root, NULL, WNOHANG) == k->root)
			errx(1, "the worker does not start");
}

static void show_output(struct kill_test *k, struct text *why)
{
	struct text out = {};

	text_read(&out, "%s", k->out);
	text_add(why, "%s", out.at ?: "");
	text_free(&out);
	text_read(&out, "%s/output", k->dir);
	text_add(why, "%s", out.at ?: "");
	text_free(&out);
}

/* The only checkpoint; the segment that the dump leaves goes. */
static void dump(struct kill_test *k)
{
	char target[16];
	char *argv[] = {(char *)k->engine.path,
			"dump",
			"-t",
			target,
			"-D",
			k->images,
			"-o",
			"dump.log",
			"-v4",
			NULL};
	struct text why = {};
	int status;

	snprintf(target, sizeof(target), "%d", k->root);
	waitpid(start_tool(argv, k->out, false), &status, 0);
	if (status) {
		show_output(k, &why);
		errx(1, "the dump ends with wait status %#x\n%s", status, why.at);
	}
	while (waitpid(-1, NULL, __WALL) > 0)
		;
	shmctl(k->board->segment, IPC_RMID, NULL);
}

/* --- what there is afterwards --------------------------------------------- */

static bool is_entry(const struct dirent *e)
{
	return strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
}

/* Names in a folder; they are removed. */
static int clear(const char *folder, struct text *names)
{
	char *argv[] = {"/bin/rm", "-rf", NULL, NULL}, path[PATH_MAX];
	DIR *dir = opendir(folder);
	struct dirent *e;
	int n = 0;

	while (dir && (e = readdir(dir))) {
		if (!is_entry(e))
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		text_add(names, "%s is left behind\n", path);
		argv[2] = path;
		run_command(argv, "/dev/null", 60);
		n++;
	}
	closedir(dir);
	return n;
}

static bool segment_is_there(struct kill_test *k)
{
	struct shmid_ds ds;

	return !shmctl(k->board->segment, IPC_STAT, &ds);
}

/* Is the root our only child? (Whoever is left over falls to us.) 0: there is none. */
static int children(struct kill_test *k)
{
	struct text t = {};
	char *at, *end;
	int n = 0;

	for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG | __WALL)) > 0;)
		if (pid == k->root)
			n = 2; /* it can't have ended by itself */
	text_read(&t, "/proc/self/task/%d/children", getpid());
	for (at = t.at; at; at = end) {
		pid_t pid = strtol(at, &end, 10);

		if (end == at)
			break;
		n += pid == k->root ? 1 : 2;
	}
	text_free(&t);
	return n;
}

static bool all_advance(struct kill_test *k, const uint64_t *since)
{
	for (int i = 0; i < N_WORKERS; i++)
		if (k->board->steps[i] == since[i])
			return false;
	return true;
}

/* No arena, no tracer. */
static void look_for_traces(pid_t pid, struct text *why)
{
	struct text t = {};

	text_read(&t, "/proc/%d/maps", pid);
	if (t.at && strstr(t.at, "stasis-restore"))
		text_add(why, "the arena is still mapped in %d\n", pid);
	text_free(&t);
	text_read(&t, "/proc/%d/status", pid);
	if (!t.at || !strstr(t.at, "TracerPid:\t0\n"))
		text_add(why, "%d is traced, or gone\n", pid);
	text_free(&t);
}

/* They are told to end, and to check themselves. */
static void judge_all(struct kill_test *k, struct text *why)
{
	int status = -1;
	double end = now() + PATIENCE;

	look_for_traces(k->root, why);
	if (!segment_is_there(k))
		text_add(why, "the System V segment is not there\n");
	k->board->stop = 1;
	while (waitpid(k->root, &status, WNOHANG) != k->root && now() < end)
		pass(0.001);
	if (status)
		text_add(why, "the tasks end with wait status %#x\n", status);
	if (shmctl(k->board->segment, IPC_RMID, NULL))
		text_add(why, "the System V segment is gone\n");
	if (unlink(k->pidfile))
		text_add(why, "there is no pid file\n");
	k->board->stop = 0;
	k->all++;
}

static void judge_none(struct kill_test *k, int allowed, struct text *why)
{
	struct text names = {};
	int n = clear(k->ghosts, &names);

	if (segment_is_there(k)) {
		text_add(&names, "the System V segment is left behind\n");
		shmctl(k->board->segment, IPC_RMID, NULL);
		n++;
	}
	if (!unlink(k->pidfile)) {
		text_add(&names, "the pid file is left behind\n");
		n++;
	}
	if (n > allowed)
		text_add(why, "%s", names.at);
	text_free(&names);
	k->none++;
}

/*
 * Wait until there is nobody, or the root alone is ours and all of its tree advances.
 * @allowed: things that may be left behind.
 */
static bool judge(struct kill_test *k, const uint64_t *since, int allowed, struct text *why)
{
	double end = now() + PATIENCE;
	int n;

	while ((n = children(k)) && now() < end && (n != 1 || !all_advance(k, since)))
		pass(0.0005);
	if (!n) {
		judge_none(k, allowed, why);
	} else if (n == 1 && all_advance(k, since)) {
		judge_all(k, why);
		clear(k->ghosts, why);
	} else {
		text_add(why, "neither all nor nothing is there\n");
	}
	if (why->n) {
		show_output(k, why);
		kill_children();
	}
	return !why->n;
}

/* --- killing -------------------------------------------------------------- */

static pid_t start_restore(struct kill_test *k, bool traced)
{
	char *argv[] = {
		(char *)k->engine.path, "restore", "-d", "-D", k->images, "--pidfile", "pid", "-o",
		"restore.log",		"-v4",	   NULL};

	return start_tool(argv, k->out, traced);
}

static bool restore_steps(struct kill_test *k, long limit, enum victim victim, long *ret,
			  struct text *why)
{
	uint64_t since[N_WORKERS];

	memcpy(since, (void *)k->board->steps, sizeof(since));
	*ret = kill_at_step(start_restore(k, true), limit, victim);
	return judge(k, since, victim == CLONE, why);
}

static bool restore_for(struct kill_test *k, double seconds, double *ret, struct text *why)
{
	uint64_t since[N_WORKERS];
	double began = now();
	pid_t pid;

	memcpy(since, (void *)k->board->steps, sizeof(since));
	pid = start_restore(k, false);
	if (seconds > 0) {
		pass(seconds);
		kill(pid, SIGKILL);
	}
	waitpid(pid, NULL, 0);
	*ret = now() - began;
	return judge(k, since, 0, why);
}

static bool say(struct kill_test *k, const char *what, int n, int bad, struct text *why)
{
	if (why->n)
		tap_note("%s", why->at);
	text_free(why);
	tap_note("%d times nothing was left, %d times all was there", k->none, k->all);
	k->none = k->all = 0;
	if (bad >= 0)
		return tap_result(&k->tap, false, "%s at %d moments: wrong at number %d", what, n,
				  bad);
	return tap_result(&k->tap, true, "%s at %d moments", what, n);
}

static bool by_step(struct kill_test *k, const char *what, int n, enum victim victim)
{
	struct text why = {};
	long steps = 0, made;
	int i, bad = -1;

	if (!restore_steps(k, LONG_MAX, victim, &steps, &why))
		bad = 0;
	tap_note("%s: %ld stops at system calls", what, steps);
	for (i = 0; i < n && bad < 0; i++) {
		long at = 1 + (steps - 1) * i / (n - 1);

		if (restore_steps(k, at, victim, &made, &why))
			continue;
		tap_note("killed at stop %ld of %ld:", at, steps);
		bad = i;
	}
	return say(k, what, n, bad, &why);
}

static bool by_time(struct kill_test *k, int n)
{
	struct text why = {};
	double whole = 1e9, took;
	int i, bad = -1;

	for (i = 0; i < 5 && bad < 0; i++) {
		if (!restore_for(k, 0, &took, &why) || k->none)
			bad = 0;
		whole = took < whole ? took : whole;
	}
	tap_note("a restore takes %.1f ms", whole * 1e3);
	for (i = 0; i < n && bad < 0; i++) {
		double at = whole * (i + 0.5) / n;

		if (restore_for(k, at, &took, &why))
			continue;
		tap_note("killed after %.6f of %.6f s:", at, whole);
		bad = i;
	}
	return say(k, "the tool is killed after some time", n, bad, &why);
}

int main(int argc, char **argv)
{
	char *clean[] = {"/bin/rm", "-rf", NULL, NULL};
	struct kill_test k = {};
	int n = argc > 1 ? atoi(argv[1]) : 200;

	if (n < 10 || argc > 2) {
		puts("usage: kill_restore [MOMENTS]\n"
		     "Kill the tool at so many moments (200) of a restore.");
		return argc == 2 && !strcmp(argv[1], "--help") ? 0 : 2;
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	/* Numbers of segments that nobody else uses. */
	if (unshare(CLONE_NEWIPC))
		err(1, "unshare the IPC namespace");
	k.engine = engine_named(getenv("ENGINE") ?: "stasis");
	make_folders(&k);
	start_worker(&k);
	dump(&k);
	if (by_time(&k, n / 2) &&
	    by_step(&k, "the tool is killed at a step of it or its guardian", n / 2, WITH_CLONES))
		by_step(&k, "the guardian is killed at one of its steps", n / 4, CLONE);
	clean[2] = k.dir;
	run_command(clean, "/dev/null", 60);
	return tap_end(&k.tap);
}
