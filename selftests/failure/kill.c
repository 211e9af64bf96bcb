// SPDX-License-Identifier: GPL-2.0-only
/*
 * kill [MOMENTS]: kill the dumper at many moments of a dump; the target must never notice.
 *
 * Half of the moments are steps: the dumper is traced and killed when it enters its Nth
 * system call, with N from the first to the last. The others are times between its start
 * and its end. After each kill every task of the target runs on, untraced and with nothing
 * in it that wasn't there before.
 */
#include <err.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "failure/moments.h"
#include "lib/engine.h"
#include "lib/snapshot.h"
#include "lib/tap.h"

#define N_WORKERS 6

/* As in worker.c. */
struct board {
	int stop, ready;
	uint64_t steps[N_WORKERS];
};

struct kill_test {
	struct tap tap;
	struct engine engine;
	char dir[64], images[80];
	volatile struct board *board;
	pid_t pid;
	struct snapshot before;
};

static void start_worker(struct kill_test *k)
{
	char path[PATH_MAX], program[PATH_MAX];
	int fd;

	snprintf(k->dir, sizeof(k->dir), "%s/stasis-kill.XXXXXX", getenv("TMPDIR") ?: "/tmp");
	if (!mkdtemp(k->dir))
		err(1, "mkdtemp %s", k->dir);
	snprintf(k->images, sizeof(k->images), "%s/images", k->dir);
	snprintf(path, sizeof(path), "%s/work", k->dir);
	fd = open(path, O_RDWR | O_CREAT, 0644);
	if (fd < 0 || ftruncate(fd, 4096) < 0)
		err(1, "%s", path);
	k->board = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	snprintf(program, sizeof(program), "%s/selftests/failure/worker",
		 getenv("BUILD") ?: "build");
	k->pid = fork();
	if (k->pid == 0) {
		snprintf(path, sizeof(path), "%s/output", k->dir);
		fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
		dup2(open("/dev/null", O_RDONLY), 0);
		dup2(fd, 1);
		dup2(fd, 2);
		close_range(3, ~0U, 0);
		setsid();
		execl(program, program, k->dir, NULL);
		err(127, "%s", program);
	}
	while (k->board->ready < 2)
		if (waitpid(k->pid, NULL, WNOHANG) == k->pid)
			errx(1, "the worker does not start");
}

static pid_t start_dump(struct kill_test *k, bool traced)
{
	char target[16], out[PATH_MAX];
	char *argv[] = {(char *)k->engine.path,
			"dump",
			"-t",
			target,
			"-D",
			k->images,
			"-R",
			"-o",
			"dump.log",
			"-v4",
			NULL};

	snprintf(target, sizeof(target), "%d", k->pid);
	snprintf(out, sizeof(out), "%s/dump.out", k->dir);
	mkdir(k->images, 0700);
	return start_tool(argv, out, traced);
}

static long dump_steps(struct kill_test *k, long limit)
{
	pid_t pid = start_dump(k, true);
	long steps = kill_at_step(pid, limit, TOOL);

	waitpid(pid, NULL, 0);
	return steps;
}

static double dump_for(struct kill_test *k, double seconds)
{
	double began = now();
	pid_t pid = start_dump(k, false);
	int status;

	if (seconds > 0) {
		pass(seconds);
		kill(pid, SIGKILL);
	}
	waitpid(pid, &status, 0);
	if (seconds == 0 && status) {
		struct text why = {};

		engine_why(k->images, "dump", &why);
		tap_note("%s", why.at ?: "");
		errx(1, "an undisturbed dump ends with wait status %#x", status);
	}
	return now() - began;
}

/* Every worker has made steps since @since; false when one has not after a second or two. */
static bool all_advance(struct kill_test *k)
{
	uint64_t since[N_WORKERS];

	for (int i = 0; i < N_WORKERS; i++)
		since[i] = k->board->steps[i];
	for (double end = now() + 5; now() < end; pass(0.001)) {
		bool all = true;

		for (int i = 0; i < N_WORKERS; i++)
			all &= k->board->steps[i] != since[i];
		if (all)
			return true;
	}
	return false;
}

/*
 * What a dump must not leave behind: mappings, descriptors, signal masks, a tracer. What
 * the workers themselves do all the time is passed over, and contents with it.
 */
static const char passing[] = "syscall stat.state status.State accounted map pipe";

static int leftovers(struct kill_test *k, struct text *why)
{
	struct snapshot after;
	int n;

	snapshot_take(&after, k->pid);
	n = snapshot_diff(&k->before, &after, passing, why);
	snapshot_free(&after);
	return n;
}

static int count_maps(pid_t pid)
{
	struct text t = {};
	int n = 0;

	text_read(&t, "/proc/%d/maps", pid);
	for (size_t i = 0; i < t.n; i++)
		n += t.at[i] == '\n';
	text_free(&t);
	return n;
}

static long tracer(pid_t pid)
{
	struct text t = {};
	char *at;
	long is = -1;

	text_read(&t, "/proc/%d/status", pid);
	at = t.at ? strstr(t.at, "TracerPid:") : NULL;
	if (at)
		is = strtol(at + 10, NULL, 10);
	text_free(&t);
	return is;
}

/* The target is as it was; it may take itself a moment to notice that the dumper is gone. */
static bool target_well(struct kill_test *k, const int *maps, struct text *why)
{
	double end = now() + 10;
	struct text last = {};
	bool well = false;

	if (!all_advance(k)) {
		text_add(why, "a worker stands still\n");
		return false;
	}
	for (; !well && now() < end; pass(0.001)) {
		text_free(&last);
		well = leftovers(k, &last) == 0;
		for (int i = 0; i < k->before.n_pids; i++) {
			if (count_maps(k->before.pids[i]) != maps[i])
				text_add(&last, "%d mappings in %d, were %d\n",
					 count_maps(k->before.pids[i]), k->before.pids[i], maps[i]);
			if (tracer(k->before.pids[i]) != 0)
				text_add(&last, "%d is traced\n", k->before.pids[i]);
		}
		well = last.n == 0;
	}
	for (int i = 0; !well && i < k->before.n_pids; i++) {
		struct text is = {};

		text_read(&is, "/proc/%d/maps", k->before.pids[i]);
		text_add(&last, "maps of %d:\n%s", k->before.pids[i], is.at ?: "");
		text_free(&is);
	}
	if (!well)
		text_add(why, "%s", last.at ?: "");
	text_free(&last);
	return well;
}

static void clear_images(struct kill_test *k)
{
	char *argv[] = {"/bin/rm", "-rf", k->images, NULL};

	run_command(argv, "/dev/null", 60);
}

static bool moments(struct kill_test *k, const char *what, int n, double whole, bool by_step)
{
	int maps[2] = {count_maps(k->before.pids[0]), count_maps(k->before.pids[1])};
	struct text why = {};

	for (int i = 0; i < n; i++) {
		double at = whole * (i + 0.5) / n;

		clear_images(k);
		if (by_step)
			dump_steps(k, (long)at + 1);
		else
			dump_for(k, at > 1e-6 ? at : 1e-6);
		if (target_well(k, maps, &why))
			continue;
		tap_note("killed at %s %.6g of %.6g:\n%s", what, at, whole, why.at);
		text_free(&why);
		return tap_result(&k->tap, false, "killed at %d %ss: harmed by number %d", n, what,
				  i);
	}
	return tap_result(&k->tap, true, "killed at %d %ss, the target never noticed", n, what);
}

static void finish(struct kill_test *k)
{
	struct text out = {};
	int status = -1;
	char *argv[] = {"/bin/rm", "-rf", k->dir, NULL};
	uint64_t sum = 0;

	for (int i = 0; i < N_WORKERS; i++)
		sum += k->board->steps[i];
	k->board->stop = 1;
	for (double end = now() + 120; now() < end && waitpid(k->pid, &status, WNOHANG) != k->pid;)
		pass(0.01);
	text_read(&out, "%s/output", k->dir);
	if (status)
		tap_note("wait status %#x\n%s", status, out.at);
	tap_result(&k->tap, status == 0, "checksums of %lu steps are right", (unsigned long)sum);
	kill_children();
	run_command(argv, "/dev/null", 60);
	text_free(&out);
}

int main(int argc, char **argv)
{
	struct kill_test k = {};
	int n = argc > 1 ? atoi(argv[1]) : 200;
	double seconds;
	long steps;

	if (n < 2 || argc > 2) {
		puts("usage: kill [MOMENTS]\nKill the dumper at so many moments (200) of a dump.");
		return argc == 2 && !strcmp(argv[1], "--help") ? 0 : 2;
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	k.engine = engine_named(getenv("ENGINE") ?: "stasis");
	start_worker(&k);
	seconds = dump_for(&k, 0);
	for (int i = 0; i < 4; i++) {
		double again;

		clear_images(&k);
		again = dump_for(&k, 0);
		seconds = again < seconds ? again : seconds;
	}
	clear_images(&k);
	if (!all_advance(&k))
		errx(1, "the target stands still after a whole dump");
	snapshot_take(&k.before, k.pid);
	steps = dump_steps(&k, LONG_MAX);
	tap_note("a dump takes %.1f ms and %ld stops at system calls", seconds * 1e3, steps);
	if (moments(&k, "step", n / 2, steps, true))
		moments(&k, "time", n - n / 2, seconds, false);
	finish(&k);
	return tap_end(&k.tap);
}
