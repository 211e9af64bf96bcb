// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/help.h"
#include "cli/parse.h"
#include "cli/session.h"
#include "kernel/features.h"
#include "lib/run.h"

/* Output that could not be written was not done. */
static int flush_output(int status)
{
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "stasis: standard output: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	return status;
}

static int run_command(struct run *run, struct parsed *p)
{
	const struct command *command = p->command;
	int r = parsed_check(&run->opt, p, &run->err);

	if (r)
		return usage_report(&run->err, command);
	run->opt.args = calloc(p->n_operands + 1, sizeof(char *));
	if (!run->opt.args)
		return usage_report(&run->err, command);
	memcpy(run->opt.args, p->operands, p->n_operands * sizeof(char *));
	run->opt.n_args = p->n_operands;
	run->opt.exec_cmd = run->opt.exec ? run->opt.args : NULL;

	r = session_open(run, p);
	if (!r && run->opt.features_set)
		r = features_override(run->features, run->opt.features_set, &run->err);
	if (!r)
		r = command->run(run);
	r = session_report(run, command, r);
	session_close(run);
	return r;
}

static int start(int argc, char **argv, struct run *run, struct parsed *p)
{
	int r;

	if (argc < 2) {
		help_print(stderr, NULL);
		return EXIT_FAILURE;
	}
	r = parse_command_line(argc, argv, &run->opt, p, &run->err);
	if (r)
		return usage_report(&run->err, p->command);
	if (p->version) {
		puts("stasis " STASIS_VERSION);
		return EXIT_SUCCESS;
	}
	if (p->command && p->command->own) {
		if (p->own_from > 1) {
			fail_text(&run->err, -EINVAL, "options of '%s' come after it",
				  p->command->name);
			return usage_report(&run->err, p->command);
		}
		return p->command->own(argc - p->own_from, argv + p->own_from);
	}
	if (p->help) {
		help_print(stdout, p->command);
		return EXIT_SUCCESS;
	}
	if (!p->command) {
		fail_text(&run->err, -EINVAL, "a command is needed");
		return usage_report(&run->err, NULL);
	}
	if (!p->command->run) {
		fail_text(&run->err, -EOPNOTSUPP, "command '%s' is not supported yet",
			  p->command->name);
		return usage_report(&run->err, NULL);
	}
	return run_command(run, p);
}

int main(int argc, char **argv)
{
	struct features features = {0};
	struct run run = {
		.images_dirfd = -1, .work_dirfd = -1, .log = {.fd = -1}, .features = &features};
	struct parsed p = {0};
	int status;

	/* A log or a status descriptor whose reader is gone must not kill a restore. */
	signal(SIGPIPE, SIG_IGN);
	status = start(argc, argv, &run, &p);
	parsed_free(&p);
	options_free(&run.opt);
	return flush_output(status);
}
