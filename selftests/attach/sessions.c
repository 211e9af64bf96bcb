// SPDX-License-Identifier: GPL-2.0-only
/*
 * A tree whose sessions cannot be had by birth: members of the session of a dead leader under
 * two parents. It is restored where the kernel has PIDFD_ATTACH_SESSION, and refused before
 * anything is made where it has not.
 *
 *	root (session leader, subreaper)
 *	  elder   in the dead session, from before `keeper` was a subreaper
 *	  keeper  (in root's session, subreaper)
 *	    younger    in the dead session
 *	    own        in it, with a group of its own
 *	      below    a child of that one, in the same session and group
 */
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/engine.h"
#include "lib/snapshot.h"
#include "lib/tap.h"

static void wait_for(int fd)
{
	char c;

	if (read(fd, &c, 1) != 1)
		_exit(3);
}

static void tell(int fd)
{
	if (write(fd, "x", 1) != 1)
		_exit(3);
}

static pid_t make(void)
{
	pid_t pid = fork();

	if (pid < 0)
		_exit(3);
	return pid;
}

static void __attribute__((noreturn)) sleep_for_ever(void)
{
	for (;;)
		pause();
}

/* Descriptors are closed when all is built: the members are to be like any program. */
struct line {
	int in[2], out[2];
};

static void close_line(struct line *l)
{
	for (int i = 0; i < 2; i++) {
		close(l->in[i]);
		close(l->out[i]);
	}
}

/* A member whose maker exits at once, so that it falls to the next subreaper. */
static void orphan(struct line *l, bool own_group)
{
	pid_t maker = make();

	if (maker) {
		waitpid(maker, NULL, 0);
		return;
	}
	if (make())
		_exit(0);
	if (own_group) {
		setpgid(0, 0);
		if (make() == 0) {
			tell(l->out[1]);
			close_line(l);
			sleep_for_ever();
		}
	}
	tell(l->out[1]);
	close_line(l);
	sleep_for_ever();
}

static void be_dead_leader(struct line *l)
{
	setsid();
	orphan(l, false);
	tell(l->out[1]);
	wait_for(l->in[0]);
	orphan(l, false);
	orphan(l, true);
	_exit(0);
}

static void be_keeper(int ready)
{
	struct line l;
	pid_t leader;
	int i;

	if (pipe(l.in) || pipe(l.out))
		_exit(3);
	leader = make();
	if (!leader)
		be_dead_leader(&l);
	for (i = 0; i < 2; i++)
		wait_for(l.out[0]);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	tell(l.in[1]);
	for (i = 0; i < 3; i++)
		wait_for(l.out[0]);
	waitpid(leader, NULL, 0);
	close_line(&l);
	tell(ready);
	close(ready);
	sleep_for_ever();
}

static pid_t start(void)
{
	int ready[2];
	pid_t pid;
	char c;

	if (pipe(ready))
		err(1, "pipe");
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		int null = open("/dev/null", O_RDWR);

		/* What this program prints to grows meanwhile. */
		for (int i = 0; i < 3; i++)
			dup2(null, i);
		close(null);
		setsid();
		close(ready[0]);
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		if (!make())
			be_keeper(ready[1]);
		close(ready[1]);
		sleep_for_ever();
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		errx(1, "the tree could not be built");
	close(ready[0]);
	return pid;
}

static bool stasis(const char *arguments, const char *output)
{
	char command[4096];

	snprintf(command, sizeof(command), "%s %s >%s 2>&1 </dev/null",
		 getenv("STASIS") ?: "build/stasis", arguments, output);
	return system(command) == 0;
}

/* Whether there is a plan for a kernel with these features. */
static bool plan(const char *features, const char *images, const char *output)
{
	char arguments[1024];

	snprintf(arguments, sizeof(arguments), "plan --features %s -D %s", features, images);
	return stasis(arguments, output);
}

static bool says(const char *file, const char *text)
{
	struct text t = {};
	bool found;

	text_read(&t, "%s", file);
	found = strstr(t.at ?: "", text);
	if (!found)
		tap_note("no '%s' in: %.400s", text, t.at ?: "");
	text_free(&t);
	return found;
}

/* What the plan says for a kernel that has it and one that has not, whatever this one has. */
static void plans(struct tap *tap, const char *images, const char *out)
{
	tap_result(tap, plan("+attach_session", images, out) && says(out, "enter session"),
		   "with PIDFD_ATTACH_SESSION the plan enters the session");
	tap_result(tap, !plan("-attach_session", images, out) && says(out, "PIDFD_ATTACH_SESSION"),
		   "without it the plan is refused, and says what is missing");
}

static void restored(struct tap *tap, const char *images, pid_t root, struct snapshot *before)
{
	struct snapshot after = {};
	struct text why = {};

	snapshot_settle(root, 5000);
	snapshot_take(&after, root);
	snapshot_diff(before, &after, "", &why);
	tap_note("%s", why.n ? why.at : "");
	tap_result(tap, !why.n && after.n_pids == before->n_pids, "the restored tree is as it was");
	snapshot_free(&after);
	text_free(&why);
}

static void restores(struct tap *tap, const struct engine *e, const char *images, pid_t root,
		     struct snapshot *before)
{
	char output[128];
	bool has = stasis("check --feature attach_session", "/dev/null");
	int status = engine_restore(e, images, NULL);
	struct text why = {};

	snprintf(output, sizeof(output), "%s/restore.out", images);
	if (!has) {
		tap_result(tap, status && says(output, "PIDFD_ATTACH_SESSION"),
			   "this kernel has no PIDFD_ATTACH_SESSION: the restore is refused");
		tap_result(tap, kill(root, 0) < 0, "and has left nothing behind");
		return;
	}
	if (status)
		engine_why(images, "restore", &why);
	tap_note("%s", why.n ? why.at : "");
	tap_result(tap, !status, "this kernel has PIDFD_ATTACH_SESSION: the tree is restored");
	restored(tap, images, root, before);
	text_free(&why);
}

int main(void)
{
	char dir[64], images[80], out[96], *rm[] = {"/bin/rm", "-rf", dir, NULL};
	struct engine e = engine_named("stasis");
	struct snapshot before = {};
	struct text why = {};
	struct tap tap = {};
	pid_t root;

	snprintf(dir, sizeof(dir), "%.40s/stasis-test.XXXXXX", getenv("TMPDIR") ?: "/tmp");
	if (!mkdtemp(dir))
		err(1, "mkdtemp");
	snprintf(images, sizeof(images), "%s/images", dir);
	snprintf(out, sizeof(out), "%s/out", dir);
	prctl(PR_SET_CHILD_SUBREAPER, 1);

	root = start();
	snapshot_settle(root, 5000);
	snapshot_take(&before, root);
	if (before.n_pids != 6)
		tap_note("%s", before.lines.at);
	tap_result(&tap, before.n_pids == 6, "the tree stands");
	if (tap_result(&tap, !engine_dump(&e, root, images, NULL), "it is dumped")) {
		while (waitpid(-1, NULL, __WALL) > 0)
			;
		plans(&tap, images, out);
		restores(&tap, &e, images, root, &before);
	} else {
		engine_why(images, "dump", &why);
		tap_note("%s", why.at);
	}
	kill_children();
	run_command(rm, "/dev/null", 60);
	return tap_end(&tap);
}
