/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the caller of stasis is told while dump and restore are at work: action
 * scripts, pid file, status descriptor. dump/ and restore/ call these at the
 * moments named here; a run without the option makes each a no-op.
 */
#ifndef STASIS_LIB_SCRIPTS_H
#define STASIS_LIB_SCRIPTS_H

#include <sys/types.h>

#include "lib/run.h"

/*
 * Stages, and what a failing script means (criu(8) has the list):
 *
 *	pre-dump		before a task is touched; failure ends the dump
 *	post-dump		images complete, tasks still stopped; failure: they run on
 *	network-lock, -unlock	network of the tree is held back, let go; failure ends the dump
 *	pre-restore		before the first task is made; failure ends the restore
 *	setup-namespaces	root task made, in its namespaces, nothing else
 *	post-setup-namespaces	namespaces are complete
 *	post-restore		everything is restored; failure ends the restore
 *	pre-resume		the same, just before the tasks run; failure is logged
 *	post-resume		the tasks run; failure is logged
 */
#define STAGE_PRE_DUMP		    "pre-dump"
#define STAGE_POST_DUMP		    "post-dump"
#define STAGE_NETWORK_LOCK	    "network-lock"
#define STAGE_NETWORK_UNLOCK	    "network-unlock"
#define STAGE_PRE_RESTORE	    "pre-restore"
#define STAGE_SETUP_NAMESPACES	    "setup-namespaces"
#define STAGE_POST_SETUP_NAMESPACES "post-setup-namespaces"
#define STAGE_POST_RESTORE	    "post-restore"
#define STAGE_PRE_RESUME	    "pre-resume"
#define STAGE_POST_RESUME	    "post-resume"

/*
 * Run every action script, in the work folder, with the caller's environment and
 * CRTOOLS_SCRIPT_ACTION (@stage), CRTOOLS_IMAGE_DIR and, if @root is above 0,
 * CRTOOLS_INIT_PID (pid of the root task as seen from here). Waits for each.
 * 0, or -ECANCELED when one did not exit with 0 (the others are run all the
 * same), run->err filled. Stages whose failure is only logged return 0.
 */
int run_scripts(struct run *run, const char *stage, pid_t root);

/*
 * --pidfile: write @root to it; call when the root task exists and before it
 * runs. The file must not exist yet (-EEXIST). Remove it by pidfile_remove()
 * if the restore fails after all.
 */
int pidfile_write(struct run *run, pid_t root);
void pidfile_remove(struct run *run);

/* --status-fd: one zero byte, then close. Call when the checkpoint is complete or the tasks run. */
void status_ready(struct run *run);

/*
 * --timeout: 0 while there is time, else -ETIMEDOUT with run->err filled; @doing
 * says what took too long; -EOWNERDEAD when run->owner died. run_time_left() in
 * milliseconds fits poll(2): -1 for ever.
 */
int run_check_time(struct run *run, const char *doing);
int run_time_left(const struct run *run);

#endif
