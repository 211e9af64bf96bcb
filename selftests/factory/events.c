// SPDX-License-Identifier: GPL-2.0-only
/* Descriptors that tell of signals and of time. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "factory/factory.h"

KIND(signalfd, "signalfds, one with a signal waiting and one that does not block")
{
	struct signalfd_siginfo si;
	sigset_t set, other;
	int fd, nonblock;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigemptyset(&other);
	sigaddset(&other, SIGRTMAX);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigprocmask(SIG_BLOCK, &other, NULL);
	fd = MUST(signalfd(-1, &set, SFD_CLOEXEC));
	nonblock = MUST(signalfd(-1, &other, SFD_NONBLOCK));
	kill(getpid(), SIGUSR1);
	hold();
	CHECK_EQ(read(fd, &si, sizeof(si)), sizeof(si));
	CHECK_EQ(si.ssi_signo, SIGUSR1);
	CHECK_EQ(si.ssi_pid, getpid());
	CHECK_EQ(read(nonblock, &si, sizeof(si)), -1);
	CHECK_EQ(errno, EAGAIN);
	kill(getpid(), SIGRTMAX);
	CHECK_EQ(read(nonblock, &si, sizeof(si)), sizeof(si));
	CHECK_EQ(si.ssi_signo, SIGRTMAX);
}

KIND(timerfd, "timerfds: running, set to a time of day, expired and not read, never set",
     .lost = "fd pipe", .moves = "fd pipe")
{
	struct itimerspec often = {{10, 0}, {100, 0}}, once = {{}, {0, 1}}, at = {}, got;
	int fd = MUST(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
	int day = MUST(timerfd_create(CLOCK_REALTIME, 0));
	int expired = MUST(timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK));
	int never = MUST(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	struct timespec moment = {.tv_nsec = 1000000};
	uint64_t ticks = 0;

	MUST(timerfd_settime(fd, 0, &often, NULL));
	MUST(clock_gettime(CLOCK_REALTIME, &at.it_value));
	at.it_value.tv_sec += 1000;
	MUST(timerfd_settime(day, TFD_TIMER_ABSTIME, &at, NULL));
	MUST(timerfd_settime(expired, 0, &once, NULL));
	/* What is waited for is that time passes. */
	nanosleep(&moment, NULL);
	hold();
	CHECK_EQ(timerfd_gettime(fd, &got), 0);
	CHECK(got.it_interval.tv_sec == 10 && got.it_value.tv_sec > 0 &&
	      got.it_value.tv_sec <= 100);
	CHECK_EQ(timerfd_gettime(day, &got), 0);
	CHECK(got.it_value.tv_sec > 800 && got.it_value.tv_sec <= 1000);
	CHECK_EQ(read(expired, &ticks, sizeof(ticks)), sizeof(ticks));
	CHECK_EQ(ticks, 1);
	CHECK_EQ(read(expired, &ticks, sizeof(ticks)), -1);
	CHECK_EQ(errno, EAGAIN);
	CHECK_EQ(timerfd_gettime(never, &got), 0);
	CHECK(!got.it_value.tv_sec && !got.it_value.tv_nsec);
}
