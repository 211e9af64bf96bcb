// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/session.h"
#include "lib/scripts.h"
#include "restore/restore.h"

int cmd_restore(struct run *run)
{
	int r;

	r = restore_run(run);
	if (!r && run->opt.display_stats && !run->opt.dry_run)
		r = show_stats(run, true);
	if (r || !run->opt.exec_cmd)
		return r;
	signal(SIGPIPE, SIG_DFL);
	execvp(run->opt.exec_cmd[0], run->opt.exec_cmd);
	fail(&run->err, -errno, "the tasks are restored, but command %s could not be executed",
	     run->opt.exec_cmd[0]);
	return fail_hint(&run->err, "the tasks run; name the command by its whole path");
}

int cmd_plan(struct run *run)
{
	run->opt.dry_run = true;
	return cmd_restore(run);
}
