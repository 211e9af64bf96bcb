/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STASIS_CLI_PARSE_H
#define STASIS_CLI_PARSE_H

#include "cli/table.h"
#include "lib/error.h"

/* What a command line asks for, beside the values in struct options. */
struct parsed {
	const struct command *command; /* NULL when none was given */
	bool help, version;
	int own_from;		   /* CMD_OWN: index in argv of the command's name */
	unsigned char *given;	   /* per option row: set on the command line */
	unsigned char *given_file; /* per option row: set by a configuration file */
	char **operands;	   /* after the command; owned array, strings in argv */
	int n_operands;
};

/*
 * Fill @opt from configuration files and @argv, the latter winning. Every
 * option form of getopt_long(3) is taken, options before and after the command.
 * 0 or -EINVAL (-EOPNOTSUPP for what is not supported yet) with @err filled,
 * its text being one line for the user. options_free() in either case.
 */
int parse_command_line(int argc, char **argv, struct options *opt, struct parsed *ret,
		       struct error *err);
void parsed_free(struct parsed *p);
void options_free(struct options *opt);

/* Give @row its value; @arg NULL when there is none, @off for --no-NAME. @shown names it in errors.
 */
int option_set(struct options *opt, const struct option_row *row, const char *arg, bool off,
	       const char *shown, struct error *err);

/* The row named by @len bytes at @name (no dashes; a unique start is enough; "no-" sets *ret_off).
 */
int option_look_up(const char *name, size_t len, const struct option_row **ret, bool *ret_off,
		   struct error *err);

/* Refuse what contradicts itself or the command. */
int parsed_check(const struct options *opt, const struct parsed *p, struct error *err);

/* Read the configuration files that apply; @p->command decides which lines matter. */
int config_read(struct options *opt, struct parsed *p, struct error *err);

/* How many edits (insert, delete, change, swap neighbours) lead from @a to @b. */
unsigned int edit_distance(const char *a, size_t a_len, const char *b);

#endif
