/* SPDX-License-Identifier: GPL-2.0-only */
/* /proc/PID, for what no binary interface gives (proc(5), Linux 6.12). */
#ifndef STASIS_KERNEL_PROC_H
#define STASIS_KERNEL_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/vec.h"

/*
 * Read a whole file of /proc into a NUL-terminated string owned by the caller.
 * @dirfd as for openat(2). Returns its length or a negative errno.
 */
ssize_t proc_read(int dirfd, const char *path, char **ret);

/*
 * The same for files of one record (stat, status, fdinfo ...), which the kernel
 * gives whole to the first read that has room: no second read to see the end.
 */
ssize_t proc_read_record(int dirfd, const char *path, char **ret);

/* readlink(2) of @path below @dirfd, NUL-terminated; -ENAMETOOLONG if it does not fit. */
int proc_link(int dirfd, const char *path, char *buf, size_t size);

/* Fields of /proc/PID/stat; addresses are 0 without ptrace access. */
struct proc_stat {
	char state;
	char comm[64];
	pid_t ppid, pgrp, session;
	uint32_t tty_nr;
	pid_t foreground; /* group of the terminal; -1: there is none */
	int exit_signal;
	uint32_t exit_code; /* as wait(2) would give it */
	uint64_t start_time;
	uint64_t start_code, end_code, start_stack, start_data, end_data, start_brk;
	uint64_t arg_start, arg_end, env_start, env_end;
	unsigned int flags;
	int n_threads;
};

int proc_stat(int dirfd, const char *path, struct proc_stat *ret);

/* Fields of /proc/PID/status. */
struct proc_status {
	uint32_t uid[4], gid[4]; /* real, effective, saved, fs */
	VEC(uint32_t) groups;
	uint64_t sig_pending, sig_shared_pending, sig_blocked, sig_ignored, sig_caught;
	uint64_t cap_inh, cap_prm, cap_eff, cap_bnd, cap_amb;
	uint32_t umask, no_new_privs, seccomp, seccomp_filters;
	pid_t tracer;
	int n_nspids; /* how many pid namespaces deep */
	bool kthread;
};

/* @ret->groups is the caller's to vec_free(). */
int proc_status(int dirfd, const char *path, struct proc_status *ret);

static inline void proc_status_free(struct proc_status *s)
{
	vec_free(&s->groups);
}

/* Find "Key:\tvalue" at a line's start; the value or NULL. */
const char *proc_field(const char *text, const char *key);

/* Numbers that a file or folder names: /proc/PID/task, /proc/PID/task/TID/children, /proc/PID/fd.
 */
typedef VEC(int) proc_ints;
int proc_dir_numbers(int dirfd, const char *path, proc_ints *ret);
int proc_file_numbers(int dirfd, const char *path, proc_ints *ret);

static inline void cleanup_ints(proc_ints *v)
{
	vec_free(v);
}

#endif
