/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PIDFD_ATTACH_SESSION for programs that are built with the headers of any kernel. The one place
 * for this name outside of the kernel patches.
 */
#ifndef PIDFD_SESSION_H
#define PIDFD_SESSION_H

#include <linux/ioctl.h>

/*
 * ioctl(pidfd, PIDFD_ATTACH_SESSION, 0): enter the session and group of the process. 0xFF is
 * PIDFS_IOCTL_MAGIC; <linux/pidfd.h>, which has it since 6.11, can't be included beside <fcntl.h>.
 */
#ifndef PIDFD_ATTACH_SESSION
#define PIDFD_ATTACH_SESSION _IO(0xFF, 64)
#endif

#endif
