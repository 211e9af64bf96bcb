// SPDX-License-Identifier: GPL-2.0-only
/* What options say together, and whether the command can do it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/parse.h"
#include "lib/outside.h"

static int check_command(const struct parsed *p, struct error *err)
{
	const struct option_row *row;
	char on[120] = "";
	size_t i, n = 0;

	for (row = option_rows; row < option_rows + n_option_rows; row++)
		if (p->given[row - option_rows] && !(row->on & p->command->bit))
			break;
	if (row == option_rows + n_option_rows)
		return 0;
	for (i = 0; i < n_commands; i++)
		if (row->on & commands[i].bit & ~(CMD_OTHER | CMD_PRE_DUMP))
			n += snprintf(on + n, n < sizeof(on) ? sizeof(on) - n : 0, "%s%s",
				      n ? ", " : "", commands[i].name);
	return fail_text(err, -EINVAL, "option --%s is not one of '%s'; it belongs to: %s",
			 row->name, p->command->name, *on ? on : "no command yet");
}

static int check_exec(const struct options *opt, const struct parsed *p, struct error *err)
{
	if (opt->exec && !p->n_operands)
		return fail_text(err, -EINVAL, "--exec-cmd needs a command: --exec-cmd -- COMMAND");
	if (opt->exec && opt->restore_detached)
		return fail_text(err, -EINVAL,
				 "--exec-cmd and --restore-detached exclude each other");
	if (opt->exec && opt->dry_run)
		return fail_text(err, -EINVAL, "--exec-cmd and --dry-run exclude each other");
	return 0;
}

static int check_operands(const struct options *opt, const struct parsed *p, struct error *err)
{
	int most = p->command->bit == CMD_HELP ? 1 : 0;

	if (opt->exec || p->n_operands <= most)
		return 0;
	return fail_text(err, -EINVAL, "excessive argument for '%s': '%s'", p->command->name,
			 p->operands[most]);
}

int parsed_check(const struct options *opt, const struct parsed *p, struct error *err)
{
	unsigned int bit = p->command->bit;
	int r = check_command(p, err);

	if (!r)
		r = check_exec(opt, p, err);
	if (!r)
		r = check_operands(opt, p, err);
	if (!r)
		r = outside_check(opt, err);
	if (r)
		return r;
	if (bit & CMD_DUMPS && !opt->tree)
		return fail_text(err, -EINVAL, "'%s' needs --tree PID (-t PID)", p->command->name);
	if (opt->leave_running && opt->leave_stopped)
		return fail_text(err, -EINVAL,
				 "--leave-running and --leave-stopped exclude each other");
	if (opt->live && !opt->leave_running)
		return fail_text(err, -EINVAL, "--live needs --leave-running");
	if (opt->restore_sibling && !opt->restore_detached)
		return fail_text(err, -EINVAL, "--restore-sibling needs --restore-detached");
	if (opt->features_set && bit == CMD_RESTORE && !opt->dry_run)
		return fail_text(err, -EINVAL, "--features needs --dry-run");
	if (!opt->checksum_parameter)
		return fail_text(err, -EINVAL, "--checksum-parameter 0: at least 1 is wanted");
	if (opt->man && opt->completion)
		return fail_text(err, -EINVAL, "--man and --completion exclude each other");
	return 0;
}
