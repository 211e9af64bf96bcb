// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "cli/commands.h"
#include "cli/table.h"

const struct command commands[] = {
	{"dump", CMD_DUMP, "-t PID [OPTION...]", "checkpoint a tree of tasks", .run = cmd_dump,
	 .needs_images = true},
	{"restore", CMD_RESTORE, "[OPTION...] [--exec-cmd -- COMMAND...]",
	 "restore a tree of tasks from a checkpoint", .run = cmd_restore, .needs_images = true},
	{"plan", CMD_PLAN, "[OPTION...]", "print the steps that restore would take",
	 .run = cmd_plan, .needs_images = true},
	{"check", CMD_CHECK, "[--feature NAME] [--json]",
	 "show what this kernel can do for checkpoint and restore", .run = cmd_check},
	{"monitor", CMD_OTHER, "start|stop|status|show [PID] [--limit N] [--light] [--json]",
	 "remember who was born of whom after parents have exited", .own = cmd_monitor,
	 .words = "start stop status show --limit --light --json --folder --help"},
	{"crit", CMD_OTHER, "decode|encode|info|show|x [OPTION...]",
	 "look into image files, as crit", .own = cmd_crit,
	 .words = "decode encode info show x --in --out --pretty --nopl --help"},
	{"help", CMD_HELP, "[COMMAND] [--man | --completion]", "print help", .run = cmd_help},
	/* Known from criu(8). */
	{"pre-dump", CMD_PRE_DUMP, "-t PID [OPTION...]", "dump memory ahead of a dump",
	 .run = NULL},
	{"page-server", CMD_OTHER, "[OPTION...]", "receive pages over the network", .run = NULL},
	{"lazy-pages", CMD_OTHER, "[OPTION...]", "bring memory in on demand", .run = NULL},
	{"service", CMD_OTHER, "[OPTION...]", "serve requests over a socket", .run = NULL},
	{"swrk", CMD_OTHER, "FD", "serve requests over a descriptor", .run = NULL},
	{"dedup", CMD_OTHER, "[OPTION...]", "remove pages that newer checkpoints replace",
	 .run = NULL},
	{"cpuinfo", CMD_OTHER, "dump|check", "write or check the CPU's properties", .run = NULL},
	{"exec", CMD_OTHER, "-t PID", "run a system call in a task", .run = NULL},
	{"show", CMD_OTHER, "", "print images", .run = NULL},
};

const size_t n_commands = sizeof(commands) / sizeof(*commands);

const struct command *command_find(const char *name)
{
	size_t i;

	for (i = 0; i < n_commands; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}
