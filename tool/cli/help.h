/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STASIS_CLI_HELP_H
#define STASIS_CLI_HELP_H

#include <stdio.h>

#include "cli/table.h"

/* Help for @command, or with NULL for the program. */
void help_print(FILE *f, const struct command *command);
/* The parts of stasis.8 that come from the tables, as roff. */
void help_print_man(FILE *f);
/* Completion for bash. */
void help_print_completion(FILE *f);

#endif
