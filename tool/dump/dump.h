/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STASIS_DUMP_DUMP_H
#define STASIS_DUMP_DUMP_H

struct run;

/*
 * Dump the tree run->opt.tree into the images folder. 0, or a negative errno
 * with run->err filled; then every task is as it was before, and the folder
 * has no inventory. On success the tasks are killed, left stopped
 * (opt.leave_stopped) or left running (opt.leave_running).
 */
int dump_run(struct run *run);

#endif
