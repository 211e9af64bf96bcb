// SPDX-License-Identifier: GPL-2.0-only
/*
 * Configuration files: one option a line, without dashes, its argument after
 * white space or =, in double quotes if it holds blanks; \" is a quote; # starts
 * a comment. An option that the command at hand does not have is passed over,
 * because one file serves all commands.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/parse.h"
#include "lib/cleanup.h"

#define BLANK " \t\r\n"

struct config {
	const char *path;
	unsigned int line;
	struct options *opt;
	struct parsed *p;
	struct error *err;
};

#define fail_config(c, what, ...)                               \
	fail_text((c)->err, -EINVAL, "%s:%u: " what, (c)->path, \
		  (c)->line __VA_OPT__(, ) __VA_ARGS__)

/* Cut the argument out of @s in place; *ret NULL when there is none. */
static int cut_argument(struct config *c, char *s, char **ret)
{
	char *to, *rest;

	s += strspn(s, BLANK);
	*ret = NULL;
	if (!*s || *s == '#')
		return 0;
	*ret = to = s;
	if (*s != '"') {
		to = rest = s + strcspn(s, BLANK);
	} else {
		for (rest = s + 1; *rest && *rest != '"'; rest++) {
			rest += rest[0] == '\\' && rest[1] == '"';
			*to++ = *rest;
		}
		if (!*rest)
			return fail_config(c, "the quoted argument does not end on its line");
		rest++;
	}
	s = rest + strspn(rest, BLANK);
	if (*s && *s != '#')
		return fail_config(c, "'%.*s' after the argument; one with blanks needs quotes",
				   (int)strcspn(s, BLANK), s);
	*to = 0;
	return 0;
}

/* The error of a line, with file and line before it. */
static int place_error(struct config *c, const struct error *e)
{
	return fail_text(c->err, e->code, "%s:%u: %s", c->path, c->line, e->text);
}

static int take_line(struct config *c, char *s)
{
	const struct option_row *row;
	struct error e = {0};
	char shown[80], *arg, *name;
	size_t len;
	bool off;
	int r;

	s += strspn(s, BLANK);
	if (!*s || *s == '#')
		return 0;
	name = s + (strncmp(s, "--", 2) ? 0 : 2);
	len = strcspn(name, BLANK "=#");
	if (option_look_up(name, len, &row, &off, &e))
		return place_error(c, &e);
	if (row->type == OPT_HELP || row->type == OPT_VERSION || !strcmp(row->name, "config") ||
	    !strcmp(row->name, "no-default-config") || !(row->on & ~(unsigned int)CMD_HELP))
		return fail_config(c, "option '%s' cannot stand in a configuration file",
				   row->name);
	s = name + len + strspn(name + len, BLANK);
	r = cut_argument(c, s + (*s == '='), &arg);
	if (r)
		return r;
	if (!(row->on & c->p->command->bit))
		return 0;
	snprintf(shown, sizeof(shown), "%s%s", off ? "no-" : "", row->name);
	if (arg && row->argument == ARG_NONE)
		return fail_config(c, "option '%s' takes no argument: '%s'", shown, arg);
	if (!arg && row->argument == ARG_REQUIRED)
		return fail_config(c, "option '%s' needs an argument: %s", shown, row->value);
	if (option_set(c->opt, row, arg, off, shown, &e))
		return place_error(c, &e);
	c->p->given_file[row - option_rows] = 1;
	return 0;
}

/* 1: read; 0: not there and not @needed. */
static int read_file(const char *path, bool needed, struct options *opt, struct parsed *p,
		     struct error *err)
{
	struct config c = {.path = path, .opt = opt, .p = p, .err = err};
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	_cleanup_free_ char *text = NULL;
	size_t room = 0;
	int r = 0;

	if (!f && !needed && (errno == ENOENT || errno == ENOTDIR || errno == EACCES))
		return 0;
	if (!f)
		return fail(err, -errno, "configuration file %s", path);
	while (!r && getline(&text, &room, f) >= 0) {
		c.line++;
		r = take_line(&c, text);
	}
	if (!r && ferror(f))
		return fail(err, -EIO, "configuration file %s", path);
	return r ? r : 1;
}

/* stasis' own file where it exists, else criu's. */
static int read_either(const char *folder, const char *own, const char *theirs, struct options *opt,
		       struct parsed *p, struct error *err)
{
	const char *names[] = {own, theirs};
	_cleanup_free_ char *path = NULL;
	int i, r = 0;

	for (i = 0; !r && i < 2; i++) {
		free(path);
		path = NULL;
		if (asprintf(&path, "%s/%s/default.conf", folder, names[i]) < 0)
			return fail(err, -ENOMEM, "configuration file");
		r = read_file(path, false, opt, p, err);
	}
	return r < 0 ? r : 0;
}

int config_read(struct options *opt, struct parsed *p, struct error *err)
{
	const char *home = getenv("HOME"), *env = getenv("STASIS_CONFIG_FILE");
	int r = 0;

	if (!env)
		env = getenv("CRIU_CONFIG_FILE");
	if (!opt->config && !opt->no_default_config) {
		r = read_either("/etc", "stasis", "criu", opt, p, err);
		if (r >= 0 && home && *home)
			r = read_either(home, ".stasis", ".criu", opt, p, err);
	}
	if (r >= 0 && env && *env)
		r = read_file(env, true, opt, p, err);
	if (r >= 0 && opt->config)
		r = read_file(opt->config, true, opt, p, err);
	return r < 0 ? r : 0;
}
