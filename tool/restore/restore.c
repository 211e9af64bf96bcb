// SPDX-License-Identifier: GPL-2.0-only
#include "restore/restore.h"

#include <errno.h>
#include <sys/wait.h>

#include "lib/scripts.h"
#include "resource/resource.h"
#include "restore/execute.h"
#include "restore/memory.h"

/* What kinds of objects read of their own. */
static int load_resources(struct run *run, struct checkpoint *cp)
{
	const struct resource *const *r;
	int ret;

	for (r = resources; *r; r++) {
		ret = (*r)->load ? (*r)->load(run, cp) : 0;
		if (ret)
			return ret;
	}
	return 0;
}

static int make_plan(struct plan *p)
{
	static int (*const parts[])(struct plan *) = {
		plan_read_self,	 plan_objects, plan_hole,   plan_service_fds, plan_tree,
		plan_seed,	 plan_fds,     plan_memory, plan_fds_done,    plan_threads,
		plan_attributes, plan_layout,  NULL,
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

static int execute(struct execution *x)
{
	struct run *run = x->run;
	int ret;

	ret = run_scripts(run, STAGE_PRE_RESTORE, 0);
	if (!ret)
		ret = execute_start(x);
	if (!ret)
		ret = execute_finish(x);
	if (!ret)
		ret = pidfile_write(run, x->root);
	if (!ret)
		ret = run_scripts(run, STAGE_POST_RESTORE, x->root);
	if (!ret)
		ret = run_scripts(run, STAGE_PRE_RESUME, x->root);
	if (ret)
		return ret;
	ret = execute_resume(x);
	if (ret)
		return ret;
	run_scripts(run, STAGE_POST_RESUME, x->root);
	status_ready(run);
	return 0;
}

static int plan_and_execute(struct run *run, struct checkpoint *cp)
{
	struct plan *p = plan_new(run, cp);
	struct execution x = {.p = p, .run = run, .memfd = -1};
	pid_t root;
	int ret;

	if (!p)
		return run->err.code;
	ret = make_plan(p);
	if (!ret && run->opt.dry_run) {
		print_plan(p);
	} else if (!ret) {
		log_plan(p);
		ret = execute(&x);
		if (ret)
			execute_abort(&x);
	}
	root = ret || run->opt.dry_run ? 0 : x.root;
	finisher_free(x.finisher);
	execute_free(&x);
	plan_free(p);
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
	ret = load_resources(run, cp);
	if (!ret)
		ret = plan_and_execute(run, cp);
	checkpoint_free(cp);
	return ret;
}
