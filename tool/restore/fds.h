/* SPDX-License-Identifier: GPL-2.0-only */
/* The files that plan descriptor tables. */
#ifndef STASIS_RESTORE_FDS_H
#define STASIS_RESTORE_FDS_H

#include "restore/memory.h"

/* PHASE_FILES of the first task that has a table. */
int plan_table(struct plan *p, struct task *t);

#endif
