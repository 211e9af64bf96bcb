/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STASIS_RESTORE_RESTORE_H
#define STASIS_RESTORE_RESTORE_H

#include "lib/run.h"

/*
 * `stasis restore` and, with run->opt.dry_run, `stasis plan`: load the
 * checkpoint of run->images_dirfd, plan, and print the plan or execute it.
 * Without --restore-detached it returns when the restored tasks are gone. 0,
 * or a negative errno with run->err filled and nothing left behind.
 */
int restore_run(struct run *run);

#endif
