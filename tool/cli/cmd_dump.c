// SPDX-License-Identifier: GPL-2.0-only
#include "cli/commands.h"
#include "cli/session.h"
#include "dump/dump.h"
#include "lib/scripts.h"

int cmd_dump(struct run *run)
{
	int r = dump_run(run);

	if (r)
		return r;
	status_ready(run);
	return run->opt.display_stats ? show_stats(run, false) : 0;
}
