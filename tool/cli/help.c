// SPDX-License-Identifier: GPL-2.0-only
/* Help text, manual page and completion, all out of the two tables. */
#include "cli/help.h"

#include <string.h>

#define TEXT_COLUMN 30
#define WIDTH	    80

/* "-t, --tree PID", "    --cpu-cap[=CAPS]" */
static void spell(const struct option_row *row, char *buf, size_t size)
{
	const char *open = "", *value = "", *close = "";
	char letter[8] = "    ";

	if (row->letter)
		snprintf(letter, sizeof(letter), "-%c, ", row->letter);
	if (row->argument == ARG_REQUIRED)
		open = " ";
	if (row->argument == ARG_OPTIONAL) {
		open = "[=";
		close = "]";
	}
	if (row->value)
		value = row->value;
	snprintf(buf, size, "%s--%s%s%s%s", letter, row->name, open, value, close);
}

/* "Text. One of a, b. Default: a." */
static void describe(const struct option_row *row, char *buf, size_t size)
{
	size_t n = snprintf(buf, size, "%s", row->help);
	const char *c;

	if (row->choices && !row->later) {
		n += snprintf(buf + n, size - n, " One of ");
		for (c = row->choices; *c && n + 24 < size; c++) {
			if (*c == '|')
				n += snprintf(buf + n, size - n, ", ");
			else if (*c == '!')
				n += snprintf(buf + n, size - n, "(not yet:) ");
			else
				buf[n++] = *c;
		}
		n += snprintf(buf + n, size - n, ".");
	}
	if (row->preset)
		snprintf(buf + n, size - n, " Default: %s.", row->preset);
}

/* Print @text from @column on, wrapped; the cursor stands at @at. */
static void wrap(FILE *f, const char *text, size_t at, size_t column)
{
	size_t len;

	if (at + 1 > column) {
		fputc('\n', f);
		at = 0;
	}
	fprintf(f, "%*s", (int)(column - at), "");
	at = column;
	while (*text) {
		len = strcspn(text, " ");
		if (at > column && at + 1 + len > WIDTH) {
			fprintf(f, "\n%*s", (int)column, "");
			at = column;
		}
		at += fprintf(f, "%s%.*s", at > column ? " " : "", (int)len, text);
		text += len;
		text += strspn(text, " ");
	}
	fputc('\n', f);
}

static void print_option(FILE *f, const struct option_row *row)
{
	char name[80], text[600];

	spell(row, name, sizeof(name));
	describe(row, text, sizeof(text));
	wrap(f, text, fprintf(f, "  %s", name), TEXT_COLUMN);
}

static void print_group(FILE *f, enum option_group group, unsigned int on)
{
	const struct option_row *row;
	bool headed = false;

	for (row = option_rows; row < option_rows + n_option_rows; row++) {
		if (row->group != group || row->later || !(row->on & on))
			continue;
		if (!headed)
			fprintf(f, "\n%s:\n", option_groups[group]);
		headed = true;
		print_option(f, row);
	}
}

static void print_later(FILE *f, unsigned int on)
{
	const struct option_row *row;
	char name[80];
	size_t at = 0;

	for (row = option_rows; row < option_rows + n_option_rows; row++) {
		if (!row->later || !(row->on & on))
			continue;
		if (!at)
			fputs("\nKnown from criu(8), not supported yet:\n", f);
		snprintf(name, sizeof(name), "--%s", row->name);
		if (at && at + 1 + strlen(name) > WIDTH) {
			fputc('\n', f);
			at = 0;
		}
		at += fprintf(f, "%s%s", at ? " " : "  ", name);
	}
	if (at)
		fputc('\n', f);
}

static void print_commands(FILE *f)
{
	size_t i, at = 0;

	fputs("\nCommands:\n", f);
	for (i = 0; i < n_commands; i++)
		if (commands[i].run || commands[i].own)
			fprintf(f, "  %-12s %s\n", commands[i].name, commands[i].summary);
	for (i = 0; i < n_commands; i++)
		if (!commands[i].run && !commands[i].own)
			at += fprintf(f, "%s%s",
				      at ? " " : "\nNot supported yet: ", commands[i].name);
	if (at)
		fputc('\n', f);
}

void help_print(FILE *f, const struct command *command)
{
	enum option_group g;

	if (command && command->own) {
		fprintf(f, "Usage: stasis %s %s\n\nstasis %s: %s\n", command->name,
			command->synopsis, command->name, command->summary);
		return;
	}
	if (!command) {
		fputs("Usage: stasis COMMAND [OPTION...]\n", f);
		fputs("\nCheckpoint and restore of running tasks.\n", f);
		print_commands(f);
		fputs("\nTo save the tasks under pid 1234 and to bring them back:\n"
		      "  stasis dump -t 1234 -D folder\n"
		      "  stasis restore -d -D folder\n"
		      "\n'stasis COMMAND --help' lists the options of a command; "
		      "see also stasis(8).\n",
		      f);
		return;
	}
	fprintf(f, "Usage: stasis %s %s\n\nstasis %s: %s.\n", command->name, command->synopsis,
		command->name, command->summary);
	for (g = 0; g < N_GROUPS; g++)
		print_group(f, g, command->bit);
	print_later(f, command->bit);
	fputs("\n--no-NAME takes an option without argument back.\n", f);
}
