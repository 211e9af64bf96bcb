// SPDX-License-Identifier: GPL-2.0-only
#include "dump/dump.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dump/pages.h"
#include "image/image.h"
#include "lib/cleanup.h"
#include "lib/outside.h"
#include "lib/parallel.h"
#include "lib/scripts.h"
#include "resource/checksum.h"
#include "resource/sysv.h"

static uint32_t us_since(const struct timespec *t0)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (t.tv_sec - t0->tv_sec) * 1000000 + (t.tv_nsec - t0->tv_nsec) / 1000;
}

/* A number that was wrong would else be found out at restore. */
static void report_unused(const struct run *run)
{
	size_t i;

	for (i = 0; run->outsides && i < run->outsides->list.n; i++)
		if (!run->outsides->list.at[i].used)
			log_warn(&run->log, "--external %s is not used: the tasks have none such",
				 run->outsides->list.at[i].name);
}

/* Everything but contents; what cannot be dumped is refused here, the tasks being only stopped. */
static int collect_all(struct dump *d)
{
	size_t i;
	int ret = dump_tree(d);

	for (i = 0; !ret && i < d->cp->tasks.n; i++) {
		struct dump_task *dt = dump_of(d->cp->tasks.at[i]);

		if (!dt->tracees.n)
			continue; /* a zombie has nothing any more */
		ret = dump_mm(d, dt);
		if (!ret)
			ret = dump_fds(d, dt);
		if (!ret)
			ret = dump_fs(d, dt);
		if (!ret)
			ret = run_check_time(d->run, "collecting");
	}
	if (!ret)
		report_unused(d->run);
	return ret;
}

static int ask_nth(void *context, size_t i)
{
	struct dump *d = context;
	struct dump_task *dt = dump_of(d->cp->tasks.at[i]);

	return dt->tracees.n ? dump_cores(d, dt) : 0;
}

/* All that is left to do of a task; then nobody looks at it any more. */
static int save_nth(void *context, size_t i)
{
	struct dump *d = context;
	struct task *t = d->cp->tasks.at[i];
	struct dump_task *dt = dump_of(t);
	int ret = dt->tracees.n ? dump_pages(d, dt) : 0;

	if (!ret)
		ret = checkpoint_save_task(d->run, t);
	vec_free(&dt->vmas);
	cleanup_close(&dt->procfd);
	dt->procfd = -1; /* there are as many as tasks */
	return ret;
}

/*
 * Questions are asked by this thread, which traces the tasks; behind it another one copies
 * memory and writes images, with its own error and counters. Numbers of images are given before.
 */
static int dump_each(struct dump *d)
{
	struct run second_run = *d->run;
	struct dump second = *d;
	struct task **t;
	int ret;

	vec_for_each (&d->cp->tasks, t)
		if (dump_of(*t)->tracees.n && !dump_of(*t)->pages)
			dump_of(*t)->pages_id = ++d->last_pages_id;
	second.run = &second_run;
	second.stats.pages_written = 0;
	ret = parallel_behind(d->cp->tasks.n, ask_nth, save_nth, d, &second);
	d->stats.pages_written += second.stats.pages_written;
	if (!d->run->err.code)
		d->run->err = second_run.err;
	return ret;
}

static int dump_contents(struct dump *d)
{
	const struct resource *const *r;
	struct timespec start;
	int ret;

	clock_gettime(CLOCK_MONOTONIC, &start);
	progress_start(d->progress, d->run, "dump memory", 0, true);
	ret = dump_each(d);
	if (!ret)
		ret = dump_shmem_pages(d);
	if (!ret)
		ret = sysv_save(&d->collect);
	for (r = resources; !ret && *r; r++) {
		if ((*r)->save)
			ret = (*r)->save(&d->collect);
	}
	progress_end(d->progress);
	d->stats.memdump_us = us_since(&start);
	return ret;
}

static int save_stats(struct dump *d)
{
	DumpStatsEntry e = DUMP_STATS_ENTRY__INIT;
	StatsEntry s = STATS_ENTRY__INIT;

	s.dump = &e;
	e.freezing_time = d->stats.freezing_us;
	e.frozen_time = d->stats.frozen_us;
	e.memdump_time = d->stats.memdump_us;
	e.memwrite_time = d->stats.memwrite_us;
	e.pages_scanned = d->stats.pages_scanned;
	e.pages_written = d->stats.pages_written;
	e.pages_skipped_parent = d->stats.pages_skipped_parent;
	e.has_shpages_scanned = e.has_shpages_written = true;
	e.shpages_scanned = d->stats.shpages_scanned;
	e.shpages_written = d->stats.shpages_written;
	return image_put(d->run->work_dirfd, IMG_STATS_DUMP, 0, &s.base, &d->run->err);
}

static void dump_free(struct dump *d)
{
	size_t i;

	for (i = 0; d->cp && i < d->cp->tasks.n; i++) {
		struct dump_task *dt = dump_of(d->cp->tasks.at[i]);

		if (dt->procfd >= 0)
			close(dt->procfd);
		dump_pidfd_close(dt);
		vec_free(&dt->tracees);
		vec_free(&dt->vmas);
		page_dump_end(d, dt, -ECANCELED);
		proc_status_free(&dt->status);
		free(dt);
	}
	if (d->own_fds >= 0)
		close(d->own_fds);
	dump_files_free(&d->files);
	dump_locks_free(d);
	collect_free(&d->collect);
	checkpoint_free(d->cp);
}

/* What the tasks need not stand still for. */
static int prepare(struct dump *d)
{
	xsave_layout_ask(&d->xsave);
	d->own_fds = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (d->own_fds < 0)
		return fail(&d->run->err, -errno, "open /proc/self/fd");
	return checkpoint_discard(d->run);
}

static int dump_tasks(struct dump *d)
{
	int ret;

	ret = prepare(d);
	if (!ret)
		ret = run_scripts(d->run, STAGE_PRE_DUMP, d->run->opt.tree);
	if (!ret)
		ret = dump_freeze(d);
	if (!ret)
		ret = run_scripts(d->run, STAGE_NETWORK_LOCK, d->run->opt.tree);
	if (!ret)
		ret = collect_all(d);
	if (!ret)
		ret = dump_caba(d);
	if (!ret)
		ret = dump_contents(d);
	if (!ret)
		ret = checkpoint_save(d->run, d->cp);
	if (ret)
		return ret;
	ret = run_scripts(d->run, STAGE_POST_DUMP, d->run->opt.tree);
	if (ret)
		checkpoint_discard(d->run);
	return ret;
}

/* The tasks go on; so may their network, unless they are to stay stopped. */
static void let_run(struct dump *d, int failed)
{
	if (d->frozen && (failed || d->run->opt.leave_running))
		run_scripts(d->run, STAGE_NETWORK_UNLOCK, d->run->opt.tree);
	dump_thaw(d);
}

int dump_run(struct run *run)
{
	struct progress progress = {0};
	struct dump d = {.run = run, .own_fds = -1, .progress = &progress};
	const bool ends = !run->opt.leave_running && !run->opt.leave_stopped;
	int ret;

	d.cp = checkpoint_new();
	if (!d.cp)
		return fail(&run->err, -ENOMEM, "start a checkpoint");
	d.cp->list_images = true;
	d.collect.run = run;
	d.collect.cp = d.cp;
	ret = dump_tasks(&d);
	/*
	 * Beside the kill, syncing would cost nothing, and a crash of the machine loses the tasks
	 * in any order; but when it fails, they must not be gone.
	 */
	if (!ret && ends)
		ret = checkpoint_sync(run);
	if (!ret && ends)
		ret = dump_kill(&d);
	else
		let_run(&d, ret);
	/* They do not stand still for the disk. */
	if (!ret && !ends)
		ret = checkpoint_sync(run);
	if (run->err.code)
		ret = run->err.code;
	if (ret)
		ghost_undo(&d.collect);
	if (!ret)
		ret = save_stats(&d);
	if (!ret)
		log_info(&run->log, "Dumping finished successfully");
	checksums_free(run->checksums);
	run->checksums = NULL;
	dump_free(&d);
	return ret;
}
