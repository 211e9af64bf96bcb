/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The log of a run, in the line form that tools around CRIU search:
 *
 *	(00.012345) Error (dump/collect.c:42): text
 */
#ifndef STASIS_LIB_LOG_H
#define STASIS_LIB_LOG_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

/* Numbered as criu's --verbosity. LOG_MSG is always written. */
enum log_level { LOG_MSG = 0, LOG_ERROR = 1, LOG_WARN = 2, LOG_INFO = 3, LOG_DEBUG = 4 };

struct log {
	int fd;	   /* -1: nowhere */
	int level; /* the most talkative level that is written */
	struct timespec start;
	/* --log-pid: where tasks have logs of their own, TASK_NAME.PID; NULL otherwise. */
	const char *task_name;
	int task_dirfd;
};

/* Start a log on @fd (not owned): times count from here. */
void log_start(struct log *log, int fd, int level);

#define log_at(log, level, ...) log_write(log, level, __FILE__, __LINE__, __VA_ARGS__)
#define log_err(log, ...)	log_at(log, LOG_ERROR, __VA_ARGS__)
#define log_warn(log, ...)	log_at(log, LOG_WARN, __VA_ARGS__)
#define log_info(log, ...)	log_at(log, LOG_INFO, __VA_ARGS__)
#define log_debug(log, ...)	log_at(log, LOG_DEBUG, __VA_ARGS__)

/* One line, without its newline; one write(2), so lines of several processes never mix. */
void log_write(const struct log *log, int level, const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/*
 * A line that concerns one restored task: into its own log with --log-pid, else
 * into the common one.
 */
#define log_task(log, pid, level, ...) \
	log_task_write(log, pid, level, __FILE__, __LINE__, __VA_ARGS__)
void log_task_write(const struct log *log, pid_t pid, int level, const char *file, int line,
		    const char *fmt, ...) __attribute__((format(printf, 6, 7)));

#endif
