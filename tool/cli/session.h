/* SPDX-License-Identifier: GPL-2.0-only */
/* What stands around a command: folders, log, and the last words. */
#ifndef STASIS_CLI_SESSION_H
#define STASIS_CLI_SESSION_H

#include "cli/parse.h"
#include "lib/run.h"

/*
 * Open the images folder, the work folder and the log of @run, whose options
 * are set; find the action scripts. 0 or a negative errno, run->err filled.
 */
int session_open(struct run *run, const struct parsed *p);
void session_close(struct run *run);

/*
 * Tell how the command ended, in the log and on stderr: after a failure the
 * error and, as the last line, what to do next. Returns the exit status for @r.
 */
int session_report(struct run *run, const struct command *command, int r);

/* A mistake on the command line: the error alone, then where help is. Returns the exit status. */
int usage_report(const struct error *err, const struct command *command);

/* Print stats-dump or stats-restore (--display-stats). A missing file is an error. */
int show_stats(struct run *run, bool restore);

#endif
