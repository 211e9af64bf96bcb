// SPDX-License-Identifier: GPL-2.0-only
#include "restore/restore.h"

#include <errno.h>
#include <sys/wait.h>
#include <time.h>

#include "image/image.h"
#include "lib/scripts.h"
#include "resource/checksum.h"
#include "resource/ghost.h"
#include "resource/reg.h"
#include "resource/resource.h"
#include "resource/sysv.h"
#include "restore/execute.h"
#include "restore/memory.h"

static int make_plan(struct plan *p)
{
	static int (*const parts[])(struct plan *) = {
		plan_read_self, plan_objects, plan_hole,       plan_service_fds,
		plan_tree,	plan_seed,    plan_fds,	       plan_memory,
		plan_fds_done,	plan_threads, plan_attributes, plan_locks,
		plan_layout,	NULL,
	};
	int (*const *part)(struct plan *);
	int ret = image_chain_open(p->run, &p->chain);

	for (part = parts; !ret && *part; part++)
		ret = (*part)(p);
	return ret ? ret : plan_ok(p);
}

/* As criu: without -d, stay until the last of the restored tasks is gone. */
static void wait_for_tasks(struct run *run, pid_t root)
{
	int status;

	while (waitpid(root, &status, 0) < 0 && errno == EINTR)
		;
	log_info(&run->log, "task %d ended with status %#x", root, status);
}

static uint32_t us_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start->tv_sec) * 1000000 + (now.tv_nsec - start->tv_nsec) / 1000;
}

/*
 * stats-restore. Tasks are made while others are already being filled, so there
 * is no time of forking by itself: it counts from the first to the last task
 * that is ready. A folder that cannot be written to is no reason to fail: the
 * checkpoint may lie on read-only media.
 */
static void save_stats(const struct execution *x)
{
	RestoreStatsEntry e = RESTORE_STATS_ENTRY__INIT;
	StatsEntry s = STATS_ENTRY__INIT;

	s.restore = &e;
	e.forking_time = x->forking_us;
	e.restore_time = us_since(&x->run->start);
	e.has_pages_restored = true;
	e.pages_restored = x->p->bytes_filled / 4096;
	if (!image_put(x->run->work_dirfd, IMG_STATS_RESTORE, 0, &s.base, &x->run->err))
		return;
	log_warn(&x->run->log, "statistics: %s", x->run->err.text);
	error_clear(&x->run->err);
}

/* --- what the guardian does (guard.h) ------------------------------------- */

static int make_objects(void *arg)
{
	struct execution *x = arg;
	int ret = execute_hold(x);

	if (!ret)
		ret = ghosts_make(x->run, x->p->cp);
	return ret ? ret : sysv_make(x->run, x->p->cp);
}

/* All or nothing: if we are killed from here on, the tasks run all the same. */
static int resume(void *arg)
{
	struct execution *x = arg;
	int ret;

	if (guard_is_alone(&x->guard))
		return -EOWNERDEAD;
	x->committed = true;
	ret = execute_resume(x);
	x->committed = !ret;
	if (!ret)
		ghosts_done(x->run, x->p->cp);
	return ret;
}

static int complete(void *arg)
{
	struct execution *x = arg;
	int ret;

	ghosts_remove(x->run, x->p->cp);
	sysv_attached(x->p->cp);
	ret = execute_finish(x);
	if (!ret)
		ret = pidfile_write(x->run, x->root);
	x->pidfile = !ret;
	/* Scripts may take long, so that they are left to us. */
	return ret || x->run->opt.action_scripts.n ? ret : resume(x);
}

static void undo(void *arg)
{
	struct execution *x = arg;

	if (x->committed)
		return;
	execute_kill(x);
	ghosts_unname(x->p->cp);
	sysv_remove(x->p->cp);
	if (x->pidfile)
		pidfile_remove(x->run);
	x->pidfile = false;
}

static int give_up(void *arg)
{
	struct execution *x = arg;

	ghosts_remove(x->run, x->p->cp);
	undo(x);
	return 0;
}

/* --- what we do ----------------------------------------------------------- */

static int start_guardian(struct execution *x)
{
	int tries = 8, ret;

	/* Not a number that a task needs. */
	do {
		ret = guard_start(&x->guard, plan_free_pid(x->p), undo, x);
	} while (ret == -EEXIST && --tries);
	if (ret == -EPERM)
		ret = guard_start(&x->guard, 0, undo, x);
	if (ret)
		return fail(&x->run->err, ret, "start a guardian process");
	x->run->owner = &x->guard.owner;
	return 0;
}

static int by_guardian(struct execution *x, int (*f)(void *))
{
	int ret = guard_run(&x->guard, f);

	if (x->guard.killed)
		return fail_text(&x->run->err, -ECHILD, "the guardian process %d was killed",
				 x->guard.pid);
	return ret;
}

static int run_guarded(struct execution *x)
{
	struct run *run = x->run;
	struct timespec start;
	int ret;

	clock_gettime(CLOCK_MONOTONIC, &start);
	ret = by_guardian(x, make_objects);
	if (x->guard.killed)
		return ret;
	if (!ret)
		ret = execute_start(x);
	/* Every file is compared by now. */
	checksums_free(run->checksums);
	run->checksums = NULL;
	x->forking_us = us_since(&start);
	if (!ret)
		ret = by_guardian(x, complete);
	if (ret || x->committed)
		return ret;
	ret = run_scripts(run, STAGE_POST_RESTORE, x->root);
	if (!ret)
		ret = run_scripts(run, STAGE_PRE_RESUME, x->root);
	return ret ? ret : by_guardian(x, resume);
}

static int execute(struct execution *x)
{
	struct run *run = x->run;
	int ret;

	ret = run_scripts(run, STAGE_PRE_RESTORE, 0);
	if (!ret)
		ret = execute_prepare(x);
	if (!ret)
		ret = start_guardian(x);
	if (ret)
		return ret;
	ret = run_guarded(x);
	if (ret && !x->guard.killed)
		by_guardian(x, give_up);
	if (x->guard.killed) {
		x->committed = false;
		undo(x);
	}
	run->owner = NULL;
	guard_end(&x->guard);
	if (ret) {
		execute_abort(x);
		return ret;
	}
	run_scripts(run, STAGE_POST_RESUME, x->root);
	save_stats(x);
	status_ready(run);
	return 0;
}

/* Frees @cp. */
static int plan_and_execute(struct run *run, struct checkpoint *cp)
{
	struct plan *p = planner_new(run, cp);
	struct execution x = {.p = p, .run = run, .memfd = -1};
	pid_t root;
	int ret;

	if (!p) {
		checkpoint_free(cp);
		return run->err.code;
	}
	ret = make_plan(p);
	if (!ret && run->opt.dry_run)
		ret = reg_check_all(p);
	if (!ret && run->opt.dry_run) {
		print_plan(p);
	} else if (!ret) {
		log_plan(p);
		ret = execute(&x);
	}
	/* The heap is as the guardian left it, maybe in the middle of something. */
	if (x.guard.killed)
		return ret;
	root = ret || run->opt.dry_run ? 0 : x.root;
	finisher_free(x.finisher);
	execute_free(&x);
	planner_free(p);
	checksums_free(run->checksums);
	run->checksums = NULL;
	checkpoint_free(cp);
	if (root && !run->opt.restore_detached && !run->opt.restore_sibling && !run->opt.exec_cmd)
		wait_for_tasks(run, root);
	return ret;
}

int restore_run(struct run *run)
{
	struct checkpoint *cp = NULL;
	int ret = checkpoint_load(run, &cp);

	if (ret)
		return ret;
	ret = resources_load(run, cp);
	if (!ret)
		ret = sysv_load(run, cp);
	if (!ret)
		return plan_and_execute(run, cp);
	checksums_free(run->checksums);
	run->checksums = NULL;
	checkpoint_free(cp);
	return ret;
}
