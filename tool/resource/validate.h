/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Is a file at restore the one that it was at the dump? Its size always tells;
 * by --file-validation also its build-ID or a checksum of its contents, which
 * are kept in its reg_file_entry.
 */
#ifndef STASIS_RESOURCE_VALIDATE_H
#define STASIS_RESOURCE_VALIDATE_H

#include "lib/run.h"
#include "resource/collect.h"

/* Dump: record in f->msg->reg what is asked for. A checksum comes with validation_save(). */
int validation_record(struct collect *c, const struct fd_probe *p, struct file *f);
int validation_save(struct collect *c);

/*
 * Restore: begin with the checksums of all files, and log where less is
 * validated than was recorded. Those that cannot be opened fail in the check.
 */
int validation_start(struct run *run, struct checkpoint *cp);
/* Size, build-ID and checksum of the file that @f's path leads to now (@st, not opened yet). */
int validation_check(struct run *run, const struct file *f, const struct stat *st);

#endif
