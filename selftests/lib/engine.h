/* SPDX-License-Identifier: GPL-2.0-only */
/* Running the tool, or CRIU, whose command line is the same; and a target to run it on. */
#ifndef SELFTEST_ENGINE_H
#define SELFTEST_ENGINE_H

#include <stdbool.h>
#include <sys/types.h>

#include "lib/text.h"

struct engine {
	const char *name; /* stasis or criu */
	const char *path;
	bool is_criu;
};

/* By name, from $STASIS and $CRIU (default: build/stasis, selftests/peers/criu). */
struct engine engine_named(const char *name);

/* Exit status 77 of the wrapper: CRIU can't be had here. */
bool engine_works(const struct engine *e);

/*
 * Run a command with its output in a file; its exit status, 128+N for signal N, -1 when
 * it was still running after @seconds (it is killed then).
 */
int run_command(char *const argv[], const char *output, int seconds);

/* Both return the exit status. @options: more of them, separated by spaces; may be NULL. */
int engine_dump(const struct engine *e, pid_t pid, const char *images, const char *options);
int engine_restore(const struct engine *e, const char *images, const char *options);

/* The last lines of a log or, for want of one, of the output: why it failed. */
void engine_why(const char *images, const char *step, struct text *ret);

/* A running factory kind. */
struct target {
	char dir[64];	 /* its folder */
	char images[80]; /* where checkpoints go */
	pid_t pid;
	int pidfd;
	int ready, go; /* ends of the FIFOs; go is -1 until it is told to go on */
};

enum ready { READY, READY_SKIP, READY_FAILED };

/*
 * Start $BUILD/selftests/factory/factory @kind in a session of its own and wait until its objects
 * are in place. READY_SKIP: it can't be made here; the reason is in @why.
 */
enum ready target_start(struct target *t, const char *kind, struct text *why);

/* The process with its pid is another one now: after a restore. False when it isn't there. */
bool target_reopen(struct target *t);

/* Wait until it is dead, and reap it and what it left to us. False after @seconds. */
bool target_gone(struct target *t, int seconds);

/*
 * Let it check itself, and wait for its end. True when it saw no difference; else @why has
 * what it saw.
 */
bool target_judge(struct target *t, int seconds, bool stopped, struct text *why);

/* Kill what is left of it and remove its folder (not when @keep). */
void target_end(struct target *t, bool keep);

/* Kill and reap all children and what was left to us. */
void kill_children(void);

#endif
