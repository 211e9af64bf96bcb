// SPDX-License-Identifier: GPL-2.0-only
/* The tables as roff and as a completion for bash. */
#include <string.h>

#include "cli/help.h"

/* Text with what roff would take for its own made harmless. */
static void roff(FILE *f, const char *s)
{
	for (; *s; s++) {
		if (*s == '\\')
			fputs("\\e", f);
		else if (*s == '-')
			fputs("\\-", f);
		else if (*s == '\'')
			fputs("\\(aq", f);
		else
			fputc(*s, f);
	}
}

static void man_option(FILE *f, const struct option_row *row)
{
	const char *c;

	fputs(".TP\n", f);
	if (row->letter)
		fprintf(f, ".BR \\-%c \", \" ", row->letter);
	else
		fputs(".B ", f);
	fputs("\\-\\-", f);
	roff(f, row->name);
	if (row->value) {
		fprintf(f, "%s\\fI", row->argument == ARG_OPTIONAL ? "[=" : "\\ ");
		roff(f, row->value);
		fprintf(f, "\\fP%s", row->argument == ARG_OPTIONAL ? "]" : "");
	}
	fputc('\n', f);
	roff(f, row->help);
	fputc('\n', f);
	if (row->choices) {
		fputs("Values:", f);
		for (c = row->choices; *c; c++) {
			if (c == row->choices || *c == '|')
				fprintf(f, "%s", *c == '|' ? ", " : " ");
			if (*c == '!')
				fputs("(not supported yet) ", f);
			else if (*c != '|')
				fputc(*c, f);
		}
		fputs(".\n", f);
	}
	if (row->preset) {
		fputs("Default: ", f);
		roff(f, row->preset);
		fputs(".\n", f);
	}
}

static void man_on(FILE *f, const struct option_row *row)
{
	const char *sep = "Commands: ";
	size_t i;

	if ((row->on & CMD_ANY) == CMD_ANY)
		return;
	for (i = 0; i < n_commands; i++) {
		if (!(commands[i].bit & row->on) || !commands[i].run)
			continue;
		fprintf(f, "%s%s", sep, commands[i].name);
		sep = ", ";
	}
	if (*sep == ',')
		fputs(".\n", f);
}

void help_print_man(FILE *f)
{
	const struct option_row *row;
	enum option_group g;
	size_t i;

	fputs(".SH COMMANDS\n", f);
	for (i = 0; i < n_commands; i++) {
		if (!commands[i].run && !commands[i].own)
			continue;
		fprintf(f, ".TP\n.B stasis %s\n", commands[i].name);
		roff(f, commands[i].synopsis);
		fputs("\n.br\n", f);
		roff(f, commands[i].summary);
		fputs(".\n", f);
	}
	fputs(".SH OPTIONS\n", f);
	for (g = 0; g < N_GROUPS; g++) {
		bool headed = false;

		for (row = option_rows; row < option_rows + n_option_rows; row++) {
			if (row->group != g || row->later)
				continue;
			if (!headed)
				fprintf(f, ".SS %s\n", option_groups[g]);
			headed = true;
			man_option(f, row);
			man_on(f, row);
		}
	}
	fputs(".SH NOT SUPPORTED YET\nThese options and commands of\n.BR criu (8)\n"
	      "are known and refused:\n",
	      f);
	for (i = 0; i < n_commands; i++) {
		if (commands[i].run || commands[i].own)
			continue;
		roff(f, commands[i].name);
		fputs(",\n", f);
	}
	for (row = option_rows; row < option_rows + n_option_rows; row++) {
		if (!row->later)
			continue;
		fputs("\\-\\-", f);
		roff(f, row->name);
		fprintf(f, "%s\n", row + 1 == option_rows + n_option_rows ? "." : ",");
	}
}

static void complete_value(FILE *f, const struct option_row *row)
{
	const char *c;

	fprintf(f, "\t--%s%s%c%s) ", row->name, row->letter ? "|-" : "",
		row->letter ? row->letter : ' ', "");
	switch (row->type) {
	case OPT_DIR:
		fputs("compopt -o dirnames; COMPREPLY=($(compgen -d -- \"$cur\"))", f);
		break;
	case OPT_CHOICE:
	case OPT_CPU_CAPS:
		fputs("COMPREPLY=($(compgen -W '", f);
		for (c = row->choices; *c; c++) {
			if (*c == '!')
				c += strcspn(c, "|") - 1;
			else
				fputc(*c == '|' ? ' ' : *c, f);
		}
		fputs("' -- \"$cur\"))", f);
		break;
	case OPT_PID:
		fputs("COMPREPLY=($(compgen -W \"$(cd /proc && echo [0-9]*)\" -- \"$cur\"))", f);
		break;
	case OPT_PATH:
		fputs("compopt -o default; COMPREPLY=()", f);
		break;
	default:
		fputs("compopt -o default; COMPREPLY=()", f);
		break;
	}
	fputs("; return;;\n", f);
}

void help_print_completion(FILE *f)
{
	const struct option_row *row;
	size_t i;

	fputs("# bash completion for stasis\n_stasis()\n{\n"
	      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} cmd='' w\n"
	      "\t[ \"$prev\" = = ] && prev=${COMP_WORDS[COMP_CWORD-2]}\n"
	      "\t[ \"$cur\" = = ] && cur=\n"
	      "\tCOMPREPLY=()\n\tcase $prev in\n",
	      f);
	for (row = option_rows; row < option_rows + n_option_rows; row++)
		if (!row->later && row->argument == ARG_REQUIRED)
			complete_value(f, row);
	fputs("\tesac\n\tfor w in \"${COMP_WORDS[@]:1}\"; do\n\t\tcase $w in\n\t\t", f);
	for (i = 0; i < n_commands; i++)
		fprintf(f, "%s%s", i ? "|" : "", commands[i].name);
	fputs(") cmd=$w; break;;\n\t\tesac\n\tdone\n\tcase $cmd in\n", f);
	for (i = 0; i < n_commands; i++) {
		if (commands[i].words)
			fprintf(f,
				"\t%s) compopt -o default; COMPREPLY=($(compgen -W '%s' -- \"$cur\"));;\n",
				commands[i].name, commands[i].words);
		if (!commands[i].run)
			continue;
		fprintf(f, "\t%s) COMPREPLY=($(compgen -W '", commands[i].name);
		for (row = option_rows; row < option_rows + n_option_rows; row++)
			if (!row->later && row->on & commands[i].bit)
				fprintf(f, "--%s ", row->name);
		fputs("' -- \"$cur\"));;\n", f);
	}
	fputs("\t'') COMPREPLY=($(compgen -W '", f);
	for (i = 0; i < n_commands; i++)
		if (commands[i].run || commands[i].own)
			fprintf(f, "%s ", commands[i].name);
	fputs("--help --version' -- \"$cur\"));;\n\tesac\n}\ncomplete -F _stasis stasis\n", f);
}
