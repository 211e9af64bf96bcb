// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the parser makes of command lines and configuration files. Each case
 * states the whole outcome: the error, or every value that is not the default.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/parse.h"
#include "lib/cleanup.h"

/* Most cases have no configuration file. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

struct test {
	const char *name;
	const char *line;   /* split at blanks; ' does for a blank within a word */
	const char *expect; /* "!" and the error's text, or the values */
	const char *config; /* contents of the file that CONFIG in @line names */
};

/* The cases are words that the command at hand has to make sense of, so they name dump or restore.
 */
static const struct test tests[] = {
	/* --- forms --- */
	{"short option, blank before its argument", "dump -t 7", "dump tree=7"},
	{"short option, argument joined", "dump -t7 -Dx", "dump tree=7 images-dir=x"},
	{"long option, argument after a blank", "dump --tree 7", "dump tree=7"},
	{"long option, argument after =", "dump --tree=7 --log-file=a=b",
	 "dump log-file=a=b tree=7"},
	{"options before the command", "-v4 --tree 7 dump", "dump verbosity=4 tree=7"},
	{"letters in a bundle", "dump -jRt7", "dump tree=7 leave-running shell-job"},
	{"a start that only one option has", "dump --tre 7 --images x", "dump tree=7 images-dir=x"},
	{"the whole name of an option that starts others", "check --all --feature x",
	 "check feature=[x] all"},
	{"the last of several wins", "dump -t 7 -t 8", "dump tree=8"},
	{"a list keeps all", "dump -t 7 --action-script a --action-script=b",
	 "dump action-script=[a,b] tree=7"},
	{"what follows -- is not an option", "restore --exec-cmd -- sh -c -t",
	 "restore exec-cmd operands: sh -c -t"},
	{"exec-cmd without --", "restore --exec-cmd sh x", "restore exec-cmd operands: sh x"},
	{"a single dash is an argument", "dump -t 7 -o -", "dump log-file=- tree=7"},
	{"an argument that looks like an option", "dump -t 7 -o -x", "dump log-file=-x tree=7"},

	/* --- verbosity --- */
	{"-v adds one", "dump -t 7 -v", "dump verbosity=3 tree=7"},
	{"-vvv adds three", "dump -t 7 -vvv", "dump verbosity=5 tree=7"},
	{"-v -v adds two", "dump -t 7 -v -v", "dump verbosity=4 tree=7"},
	{"-v4 sets", "dump -t 7 -vv -v4", "dump verbosity=4 tree=7"},
	{"-v0 sets", "dump -t 7 -v0", "dump verbosity=0 tree=7"},
	{"-verbosity=0", "dump -t 7 -verbosity=0", "dump verbosity=0 tree=7"},
	{"-verbosity=4", "dump -t 7 -verbosity=4", "dump verbosity=4 tree=7"},
	{"--verbosity=4", "dump -t 7 --verbosity=4", "dump verbosity=4 tree=7"},
	{"--verbosity adds one", "dump -t 7 --verbosity", "dump verbosity=3 tree=7"},
	{"a level that is none", "dump -t 7 -vx",
	 "!invalid argument for -v: 'x': a level from 0 to 4 is wanted"},

	/* --- negation --- */
	{"--no takes back", "dump -t 7 -j --no-shell-job", "dump tree=7"},
	{"--no of what is not supported yet is what happens anyway",
	 "dump -t 7 --no-tcp-established", "dump tree=7"},
	{"--no of what has an argument", "dump --no-tree",
	 "!option '--no-tree': --tree cannot be negated"},

	/* --- values --- */
	{"sizes", "dump -t 7 --ghost-limit 64K", "dump tree=7 ghost-limit=65536"},
	{"sizes in bytes", "dump -t 7 --ghost-limit 10", "dump tree=7 ghost-limit=10"},
	{"sizes in gigabytes", "dump -t 7 --ghost-limit 3G", "dump tree=7 ghost-limit=3221225472"},
	{"a way of validation with its parameter",
	 "dump -t 7 --file-validation checksum --checksum-parameter 5",
	 "dump tree=7 file-validation=checksum checksum-parameter=5"},
	{"a parameter of nothing", "dump -t 7 --checksum-parameter 0",
	 "!--checksum-parameter 0: at least 1 is wanted"},
	{"a size that overflows", "dump -t 7 --ghost-limit 99999999999999G",
	 "!invalid argument for --ghost-limit: '99999999999999G': "
	 "a size such as 4096, 64K, 1M is wanted"},
	{"a size with something after it", "dump -t 7 --ghost-limit 1Mx",
	 "!invalid argument for --ghost-limit: '1Mx': a size such as 4096, 64K, 1M is wanted"},
	{"a pid of 0", "dump -t 0", "!invalid argument for -t: '0': a pid is wanted"},
	{"a pid below 0", "dump -t -1", "!invalid argument for -t: '-1': a pid is wanted"},
	{"a pid that is none", "dump --tree=7x",
	 "!invalid argument for --tree: '7x': a pid is wanted"},
	{"a pid beyond all", "dump -t 99999999999",
	 "!invalid argument for -t: '99999999999': a pid is wanted"},
	{"a descriptor", "dump -t 7 --status-fd 5", "dump status-fd=5 tree=7"},
	{"an empty argument",
	 "dump -t 7 --images-dir=", "!invalid argument for --images-dir: it is empty"},
	{"a choice", "dump -t 7 --network-lock skip", "dump tree=7 network-lock=skip"},
	{"a choice that does not exist", "dump -t 7 --network-lock lock",
	 "!invalid argument for --network-lock: 'lock' is not one of skip|iptables|nftables"},
	{"a choice that is not supported yet", "dump -t 7 --network-lock=nftables",
	 "!--network-lock: 'nftables' is not supported yet"},

	/* --- mistakes --- */
	{"an unknown option", "dump --leav-runing",
	 "!unknown option '--leav-runing': did you mean "
	 "'--leave-running'?"},
	{"an unknown option with an argument", "dump --ghostlimit=3",
	 "!unknown option '--ghostlimit': did you mean '--ghost-limit'?"},
	{"neighbours swapped", "dump --verbostiy=3",
	 "!unknown option '--verbostiy': did you mean '--verbosity'?"},
	{"nothing is near", "dump --qqqqqqqq", "!unknown option '--qqqqqqqq'"},
	{"an unknown letter", "dump -q",
	 "!unknown option '-q' (long options start with two dashes)"},
	{"a start that two options have", "dump --leave",
	 "!option '--leave' is ambiguous: did you mean '--leave-running' or '--leave-stopped'?"},
	{"no argument", "dump --tree", "!option --tree needs an argument: --tree PID"},
	{"an argument too many", "dump --leave-running=yes",
	 "!option --leave-running takes no argument: 'yes'"},
	{"an unknown command", "dmup -t 7", "!unknown command 'dmup': did you mean 'dump'?"},
	{"not supported yet", "dump -t 7 --tcp-established",
	 "!option --tcp-established is not supported yet"},

	/* --- contradictions --- */
	{"dump without a tree", "dump", "!'dump' needs --tree PID (-t PID)"},
	{"running and stopped", "dump -t 7 -R -s",
	 "!--leave-running and --leave-stopped exclude each other"},
	{"sibling, but not detached", "restore -S", "!--restore-sibling needs --restore-detached"},
	{"sibling and detached", "restore -dS", "restore restore-detached restore-sibling"},
	{"exec-cmd without a command", "restore --exec-cmd",
	 "!--exec-cmd needs a command: --exec-cmd -- COMMAND"},
	{"exec-cmd, but detached", "restore -d --exec-cmd -- sh",
	 "!--exec-cmd and --restore-detached exclude each other"},
	{"something after the command", "dump -t 7 8", "!excessive argument for 'dump': '8'"},
	{"restore's option at dump", "dump -t 7 --restore-detached",
	 "!option --restore-detached is not one of 'dump'; it belongs to: restore, plan"},
	{"dump's option at restore", "restore -R",
	 "!option --leave-running is not one of 'restore'; it belongs to: dump"},

	/* --- configuration files --- */
	{"a file", "dump -t 7 --config CONFIG",
	 "dump log-file=x.log config=CONFIG tree=7 leave-running",
	 "leave-running\nlog-file x.log\n"},
	{"the line wins over the file", "dump -t 7 --config=CONFIG -o y",
	 "dump log-file=y config=CONFIG tree=7", "log-file x.log\n"},
	{"the line takes a flag of the file back", "dump -t 7 --no-shell-job --config CONFIG",
	 "dump config=CONFIG tree=7", "shell-job\n"},
	{"-v counts on from the file", "dump -t 7 -v --config CONFIG",
	 "dump verbosity=4 config=CONFIG tree=7", "verbosity 3\n"},
	{"comments, blanks, = and empty lines", "dump -t 7 --config CONFIG",
	 "dump log-file=a config=CONFIG tree=7 shell-job",
	 "# one\n\n   \t\n  log-file = a # two\nshell-job # three\n#\n"},
	{"quotes", "dump -t 7 --config CONFIG", "dump log-file=a b\"c#d config=CONFIG tree=7",
	 "log-file \"a b\\\"c#d\" # comment\n"},
	{"an option of another command is passed over", "dump -t 7 --config CONFIG",
	 "dump config=CONFIG tree=7", "restore-detached\n"},
	{"no newline at the end", "dump -t 7 --config CONFIG",
	 "dump config=CONFIG tree=7 shell-job", "shell-job"},
	{"an unknown option in a file", "dump -t 7 --config CONFIG",
	 "!CONFIG:2: unknown option '--shell-jobs': did you mean '--shell-job'?",
	 "verbosity 3\nshell-jobs\n"},
	{"two words without quotes", "dump -t 7 --config CONFIG",
	 "!CONFIG:1: 'b' after the argument; one with blanks needs quotes", "log-file a b\n"},
	{"quotes without end", "dump -t 7 --config CONFIG",
	 "!CONFIG:1: the quoted argument does not end on its line", "log-file \"a\n"},
	{"a command in a file", "dump -t 7 --config CONFIG",
	 "!CONFIG:1: option 'help' cannot stand in a configuration file", "help\n"},
	{"not supported yet in a file", "dump -t 7 --config CONFIG",
	 "!CONFIG:1: option tcp-established is not supported yet", "tcp-established\n"},
	{"no argument in a file", "dump -t 7 --config CONFIG",
	 "!CONFIG:1: option 'log-file' needs an argument: FILE", "log-file\n"},
	{"no such file", "dump -t 7 --config /nowhere/x",
	 "!configuration file /nowhere/x: No such file or directory"},
};

static const struct options defaults = {.verbosity = 2,
					.ghost_limit = 1 << 20,
					.timeout = 10,
					.checksum_parameter = 1024,
					.status_fd = -1};

/* Append the value of @row if it is not the default. */
static void show_value(FILE *f, const struct options *opt, const struct option_row *row)
{
	const char *at = (const char *)opt + row->at, *was = (const char *)&defaults + row->at;

	switch (row->type) {
	case OPT_FLAG:
	case OPT_MARK:
		if (*(bool *)at)
			fprintf(f, " %s", row->name);
		break;
	case OPT_SIZE:
		if (*(uint64_t *)at != *(uint64_t *)was)
			fprintf(f, " %s=%llu", row->name, *(unsigned long long *)at);
		break;
	case OPT_PID:
	case OPT_FD:
	case OPT_NUMBER:
	case OPT_VERBOSITY:
		if (*(int *)at != *(int *)was)
			fprintf(f, " %s=%d", row->name, *(int *)at);
		break;
	case OPT_HELP:
	case OPT_VERSION:
		break;
	default:
		if (*(char **)at)
			fprintf(f, " %s=%s", row->name, *(char **)at);
		break;
	}
}

static void show(FILE *f, const struct options *opt, const struct parsed *p)
{
	const struct option_row *row;
	const struct option_list *list;
	size_t i;
	int k;

	fputs(p->command ? p->command->name : "none", f);
	for (row = option_rows; row < option_rows + n_option_rows; row++) {
		if (row->later)
			continue;
		if (row->type != OPT_LIST) {
			show_value(f, opt, row);
			continue;
		}
		list = (const void *)((const char *)opt + row->at);
		for (i = 0; i < list->n; i++)
			fprintf(f, "%s%s%s%s", i ? "," : " ", i ? "" : row->name, i ? "" : "=[",
				list->at[i]);
		if (list->n)
			fputc(']', f);
	}
	for (k = 0; k < p->n_operands; k++)
		fprintf(f, "%s %s", k ? "" : " operands:", p->operands[k]);
}

/* Replace every "CONFIG" by @path, or the other way round. */
static char *replace(const char *text, const char *from, const char *to)
{
	char *buf = NULL;
	size_t size;
	FILE *f = open_memstream(&buf, &size);
	const char *hit;

	while (*from && (hit = strstr(text, from))) {
		fprintf(f, "%.*s%s", (int)(hit - text), text, to);
		text = hit + strlen(from);
	}
	fputs(text, f);
	fclose(f);
	return buf;
}

static char *outcome(char *line)
{
	char *argv[32] = {(char *)"stasis"}, *buf = NULL, *word;
	struct options opt;
	struct parsed p;
	struct error err = {0};
	int argc = 1, r;
	size_t size;
	FILE *f;

	for (word = strtok(line, " "); word && argc < 31; word = strtok(NULL, " "))
		argv[argc++] = word;
	r = parse_command_line(argc, argv, &opt, &p, &err);
	if (!r && p.command)
		r = parsed_check(&opt, &p, &err);
	f = open_memstream(&buf, &size);
	if (r)
		fprintf(f, "!%s", err.text);
	else
		show(f, &opt, &p);
	fclose(f);
	options_free(&opt);
	parsed_free(&p);
	return buf;
}

static bool run_test(const struct test *t, const char *path)
{
	_cleanup_free_ char *line = replace(t->line, "CONFIG", path), *got = NULL, *shown = NULL;
	FILE *f;

	if (t->config) {
		f = fopen(path, "we");
		if (!f || fputs(t->config, f) < 0 || fclose(f))
			return false;
	}
	got = outcome(line);
	shown = replace(got, path, "CONFIG");
	if (!strcmp(shown, t->expect))
		return true;
	printf("# %s\n#   expected %s\n#   got      %s\n", t->line, t->expect, shown);
	return false;
}

int main(void)
{
	size_t n = sizeof(tests) / sizeof(*tests), i, failed = 0;
	char path[] = "/tmp/stasis-parse-XXXXXX";
	int fd = mkstemp(path);

	if (fd < 0)
		return 1;
	close(fd);
	/* What this machine is configured to do is not what is tested. */
	setenv("HOME", "/nonexistent", 1);
	unsetenv("CRIU_CONFIG_FILE");
	unsetenv("STASIS_CONFIG_FILE");
	printf("TAP version 13\n1..%zu\n", n);
	for (i = 0; i < n; i++) {
		bool ok = run_test(&tests[i], path);

		failed += !ok;
		printf("%sok %zu %s\n", ok ? "" : "not ", i + 1, tests[i].name);
	}
	unlink(path);
	return failed ? 1 : 0;
}
