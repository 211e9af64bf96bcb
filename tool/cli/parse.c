// SPDX-License-Identifier: GPL-2.0-only
#include "cli/parse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_GHOST_LIMIT	   (1 << 20)
#define DEFAULT_CHECKSUM_PARAMETER 1024
#define DEFAULT_TIMEOUT		   10

static const char *nearest_option(const char *name, size_t len)
{
	unsigned int best = len / 3 + 1, d;
	const char *found = NULL;
	const struct option_row *row;

	for (row = option_rows; row < option_rows + n_option_rows; row++) {
		d = edit_distance(name, len, row->name);
		if (d <= best) {
			/* Of two that are as near, the one that works. */
			if (found && d == best && row->later)
				continue;
			best = d;
			found = row->name;
		}
	}
	return found;
}

static const char *nearest_command(const char *name)
{
	size_t len = strlen(name), i;
	unsigned int best = len / 3 + 1, d;
	const char *found = NULL;

	for (i = 0; i < n_commands; i++) {
		d = edit_distance(name, len, commands[i].name);
		if (d < best || (d == best && !found)) {
			best = d;
			found = commands[i].name;
		}
	}
	return found;
}

/* The only option that starts so; NULL if none or several do, the first of these in *ret_other. */
static const struct option_row *find_start(const char *name, size_t len, const char **ret_one,
					   const char **ret_other)
{
	const struct option_row *row, *found = NULL;

	*ret_one = *ret_other = NULL;
	for (row = option_rows; row < option_rows + n_option_rows; row++) {
		if (strncmp(row->name, name, len))
			continue;
		if (found) {
			*ret_one = found->name;
			*ret_other = row->name;
			return NULL;
		}
		found = row;
	}
	return found;
}

int option_look_up(const char *name, size_t len, const struct option_row **ret, bool *ret_off,
		   struct error *err)
{
	const struct option_row *row = option_find(name, len);
	const char *one, *other, *near;

	*ret_off = false;
	if (!row && len > 3 && !memcmp(name, "no-", 3)) {
		row = option_find(name + 3, len - 3);
		if (row && row->type != OPT_FLAG)
			return fail_text(err, -EINVAL, "option '--%.*s': --%s cannot be negated",
					 (int)len, name, row->name);
		*ret_off = row != NULL;
	}
	if (!row && len) {
		row = find_start(name, len, &one, &other);
		if (!row && one)
			return fail_text(
				err, -EINVAL,
				"option '--%.*s' is ambiguous: did you mean '--%s' or '--%s'?",
				(int)len, name, one, other);
	}
	if (row) {
		*ret = row;
		return 0;
	}
	near = nearest_option(name, len);
	if (near)
		return fail_text(err, -EINVAL, "unknown option '--%.*s': did you mean '--%s'?",
				 (int)len, name, near);
	return fail_text(err, -EINVAL, "unknown option '--%.*s'", (int)len, name);
}

/* A walk over the command line. */
struct walk {
	int argc;
	char **argv;
	int i; /* the next argument */
	struct options *opt;
	struct parsed *p;
	struct error *err;
};

static int take_option(struct walk *w, const struct option_row *row, const char *arg, bool off,
		       const char *shown)
{
	if (row->argument == ARG_REQUIRED && !arg) {
		if (w->i >= w->argc)
			return fail_text(w->err, -EINVAL, "option %s needs an argument: %s %s",
					 shown, shown, row->value);
		arg = w->argv[w->i++];
	}
	w->p->given[row - option_rows] = 1;
	if (row->type == OPT_HELP)
		w->p->help = true;
	if (row->type == OPT_VERSION)
		w->p->version = true;
	return option_set(w->opt, row, arg, off, shown, w->err);
}

static int take_long(struct walk *w, const char *text)
{
	const char *end = strchrnul(text, '=');
	const char *arg = *end ? end + 1 : NULL;
	const struct option_row *row;
	char shown[80];
	bool off;
	int r;

	r = option_look_up(text, end - text, &row, &off, w->err);
	if (r)
		return r;
	snprintf(shown, sizeof(shown), "--%s%s", off ? "no-" : "", row->name);
	if (arg && row->argument == ARG_NONE)
		return fail_text(w->err, -EINVAL, "option %s takes no argument: '%s'", shown, arg);
	return take_option(w, row, arg, off, shown);
}

/* A bundle of letters; the first that takes an argument takes the rest. */
static int take_letters(struct walk *w, const char *text)
{
	const struct option_row *row;
	char shown[3] = "-";
	int r;

	for (; *text; text++) {
		row = option_find_letter(*text);
		shown[1] = *text;
		if (!row)
			return fail_text(
				w->err, -EINVAL,
				"unknown option '-%c' (long options start with two dashes)", *text);
		if (row->argument != ARG_NONE && text[1])
			return take_option(w, row, text + 1, false, shown);
		r = take_option(w, row, NULL, false, shown);
		if (r)
			return r;
	}
	return 0;
}

static int take_operand(struct walk *w, char *text)
{
	const char *near;

	if (w->p->command) {
		w->p->operands[w->p->n_operands++] = text;
		return 0;
	}
	w->p->command = command_find(text);
	if (w->p->command)
		return 0;
	near = nearest_command(text);
	if (near)
		return fail_text(w->err, -EINVAL, "unknown command '%s': did you mean '%s'?", text,
				 near);
	return fail_text(w->err, -EINVAL, "unknown command '%s'", text);
}

static int walk_arguments(struct walk *w)
{
	bool only_operands = false;
	char *text;
	int r = 0;

	while (!r && w->i < w->argc) {
		text = w->argv[w->i++];
		if (!only_operands && !strcmp(text, "--")) {
			only_operands = true;
			continue;
		}
		if (only_operands || text[0] != '-' || !text[1])
			r = take_operand(w, text);
		else if (text[1] == '-')
			r = take_long(w, text + 2);
		else
			r = take_letters(w, text + 1);
		if (w->p->command && w->p->command->own) {
			w->p->own_from = w->i - 1;
			return r;
		}
	}
	return r;
}

int parse_command_line(int argc, char **argv, struct options *opt, struct parsed *ret,
		       struct error *err)
{
	struct options line = {.status_fd = -1};
	struct walk w = {.argc = argc, .argv = argv, .i = 1, .opt = &line, .p = ret, .err = err};
	int r;

	memset(ret, 0, sizeof(*ret));
	memset(opt, 0, sizeof(*opt));
	opt->status_fd = -1;
	opt->verbosity = 2;
	opt->ghost_limit = DEFAULT_GHOST_LIMIT;
	opt->timeout = DEFAULT_TIMEOUT;
	opt->checksum_parameter = DEFAULT_CHECKSUM_PARAMETER;
	ret->given = calloc(n_option_rows, 1);
	ret->given_file = calloc(n_option_rows, 1);
	ret->operands = calloc(argc + 1, sizeof(char *));
	if (!ret->given || !ret->given_file || !ret->operands)
		return fail(err, -ENOMEM, "the command line");
	/* Twice: files come before the line, but which files is said on the line. */
	r = walk_arguments(&w);
	if (!r && ret->command && !ret->command->own && !ret->help && !ret->version) {
		opt->config = line.config;
		opt->no_default_config = line.no_default_config;
		line.config = NULL;
		r = config_read(opt, ret, err);
	}
	options_free(&line);
	if (r || (ret->command && ret->command->own))
		return r;
	memset(ret->given, 0, n_option_rows);
	ret->command = NULL;
	ret->n_operands = 0;
	w.opt = opt;
	w.i = 1;
	return walk_arguments(&w);
}

void parsed_free(struct parsed *p)
{
	free(p->given);
	free(p->given_file);
	free(p->operands);
	memset(p, 0, sizeof(*p));
}
