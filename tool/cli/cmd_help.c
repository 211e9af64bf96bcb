// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>

#include "cli/commands.h"
#include "cli/help.h"
#include "lib/run.h"

int cmd_help(struct run *run)
{
	const struct command *command = NULL;

	if (run->opt.man) {
		help_print_man(stdout);
		return 0;
	}
	if (run->opt.completion) {
		help_print_completion(stdout);
		return 0;
	}
	if (run->opt.n_args) {
		command = command_find(run->opt.args[0]);
		if (!command) {
			fail_text(&run->err, -EINVAL, "unknown command '%s'", run->opt.args[0]);
			return fail_hint(&run->err, "'stasis --help' lists the commands");
		}
	}
	if (command && command->own) {
		char help[] = "--help", *args[] = {run->opt.args[0], help, NULL};

		return command->own(2, args) ? -EIO : 0;
	}
	help_print(stdout, command);
	return 0;
}
