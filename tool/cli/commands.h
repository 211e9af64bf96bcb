/* SPDX-License-Identifier: GPL-2.0-only */
/* What the rows of the command table call; one file each. */
#ifndef STASIS_CLI_COMMANDS_H
#define STASIS_CLI_COMMANDS_H

struct run;

/* 0 or a negative errno with run->err filled. */
int cmd_dump(struct run *run);
int cmd_restore(struct run *run);
int cmd_plan(struct run *run);
int cmd_check(struct run *run);
int cmd_help(struct run *run);

/* These parse their own arguments and return the exit status. */
int cmd_crit(int argc, char **argv);
int cmd_monitor(int argc, char **argv);

#endif
