// SPDX-License-Identifier: GPL-2.0-only
/* Time stands still between dump and restore: what is kept is the time that was left. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <time.h>

#include "kernel/proc.h"
#include "plan/fds.h"
#include "resource/collect.h"
#include "resource/kinds.h"

#define NSEC 1000000000ULL

/* linux/timerfd.h does not go with fcntl.h. */
#define SETTIME_FLAGS (TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)
#ifndef TFD_IOC_SET_TICKS
#define TFD_IOC_SET_TICKS _IOW('T', 0, uint64_t)
#endif

static bool match_timerfd(const struct fd_probe *p)
{
	return !strcmp(p->link, "anon_inode:[timerfd]");
}

/* "KEY: (SECONDS, NANOSECONDS)" */
static bool read_time(const struct fd_probe *p, const char *key, uint64_t *sec, uint64_t *nsec)
{
	const char *v = proc_field(p->fdinfo, key);

	return v && sscanf(v, "(%lu, %lu)", sec, nsec) == 2;
}

static int collect_timerfd(struct collect *c, const struct fd_probe *p, struct file *f)
{
	TimerfdEntry *e = malloc(sizeof(*e));

	if (!e)
		return fail(&c->run->err, -ENOMEM, "keep a timerfd");
	timerfd_entry__init(e);
	f->msg->tfd = e;
	e->id = f->id;
	e->flags = p->flags;
	e->clockid = probe_number(p, "clockid", 10);
	e->ticks = probe_number(p, "ticks", 10);
	e->settime_flags = probe_number(p, "settime flags", 8);
	e->fown = collect_fown(p);
	if (!e->fown)
		return fail(&c->run->err, -ENOMEM, "keep a timerfd");
	if (!read_time(p, "it_value", &e->vsec, &e->vnsec) ||
	    !read_time(p, "it_interval", &e->isec, &e->insec))
		return fail_text(&c->run->err, -EBADMSG,
				 "task %d: descriptor %d: fdinfo has no times", p->pid, p->fd);
	return 0;
}

static int describe_timerfd(const struct file *f, char *buf, size_t size)
{
	const TimerfdEntry *e = f->msg->tfd;

	return snprintf(buf, size, "timerfd, clock %u, %lu.%09lu s left, every %lu.%09lu s",
			e->clockid, e->vsec, e->vnsec, e->isec, e->insec);
}

/* --- restore --- */

static clockid_t clock_to_read(uint32_t clock)
{
	switch (clock) {
	case CLOCK_REALTIME_ALARM:
		return CLOCK_REALTIME;
	case CLOCK_BOOTTIME_ALARM:
		return CLOCK_BOOTTIME;
	default:
		return (clockid_t)clock;
	}
}

/* The time left, or the time of day that it leads to for a timer that was set to one. */
static struct itimerspec next_time(const TimerfdEntry *e)
{
	struct itimerspec its = {{e->isec, e->insec}, {e->vsec, e->vnsec}};
	struct timespec now;
	uint64_t nsec;

	if (!(e->settime_flags & TFD_TIMER_ABSTIME) || (!e->vsec && !e->vnsec) ||
	    clock_gettime(clock_to_read(e->clockid), &now))
		return its;
	/* Unsigned: images may hold anything, and the kernel refuses what is no time. */
	nsec = e->vnsec + now.tv_nsec;
	its.it_value.tv_sec = e->vsec + now.tv_sec + nsec / NSEC;
	its.it_value.tv_nsec = nsec % NSEC;
	return its;
}

static int open_timerfd(struct plan *p, struct plan_slot *slot, struct file *f,
			struct operand *ret_fd)
{
	const TimerfdEntry *e = f->msg->tfd;
	struct itimerspec its = next_time(e);
	struct operand fd;

	fd = plan_open(p, slot, "timerfd, file id %ld", f->id, __NR_timerfd_create, imm(e->clockid),
		       imm((e->flags & O_NONBLOCK) | plan_cloexec(slot)));
	plan_call(p, slot, "set timerfd, file id %ld", f->id, __NR_timerfd_settime, fd,
		  imm(e->settime_flags & SETTIME_FLAGS), plan_data(p, &its, sizeof(its)), imm(0));
	if (e->ticks)
		plan_call(p, slot, "%ld expirations", e->ticks, __NR_ioctl, fd,
			  imm(TFD_IOC_SET_TICKS), plan_data(p, &e->ticks, sizeof(e->ticks)));
	plan_fown(p, slot, fd, e->fown);
	*ret_fd = fd;
	return 0;
}

const struct resource resource_timerfd = {
	.name = "timerfd",
	.type = FD_TYPES__TIMERFD,
	.match = match_timerfd,
	.collect = collect_timerfd,
	.describe = describe_timerfd,
	.open = open_timerfd,
};
