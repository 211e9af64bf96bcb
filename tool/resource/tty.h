/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STASIS_RESOURCE_TTY_H
#define STASIS_RESOURCE_TTY_H

#include "model/model.h"

/* What tty-info.img has about a loaded description of a terminal; NULL if it is none. */
const TtyInfoEntry *tty_info(const struct file *f);

#endif
