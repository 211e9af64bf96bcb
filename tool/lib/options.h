/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The values of a run's options. The table that parses them, prints help and
 * the man page is cli/options.c; it is the only writer.
 */
#ifndef STASIS_LIB_OPTIONS_H
#define STASIS_LIB_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* An option that may be given several times. */
struct option_list {
	char **at;
	size_t n;
};

struct options {
	pid_t tree;	     /* -t */
	char *images_dir;    /* -D */
	char *work_dir;	     /* -W */
	char *log_file;	     /* -o */
	char *config;	     /* --config */
	char *root;	     /* --root */
	char *pidfile;	     /* --pidfile */
	char *prev_images;   /* --prev-images-dir */
	char *action_script; /* kept for the message; scripts holds all */
	char *lsm_profile;
	char *network_lock;
	char *cpu_cap;
	char *manage_cgroups;
	char *features_set; /* plan --features */
	int verbosity;
	bool no_default_config;
	bool log_pid;
	bool shell_job;	       /* -j */
	bool leave_running;    /* -R */
	bool leave_stopped;    /* -s */
	bool restore_detached; /* -d */
	bool restore_sibling;  /* -S */
	bool display_stats;
	bool file_locks;
	bool link_remap;
	bool unprivileged;
	bool track_mem;
	bool skip_file_rwx_check;
	bool dry_run;
	bool json;
	int status_fd;	      /* -1: none */
	unsigned int timeout; /* seconds; 0: none */
	uint64_t ghost_limit; /* bytes */
	struct option_list action_scripts;
	struct option_list external;
	struct option_list inherit_fd;
	struct option_list features; /* check --feature */
	char **exec_cmd;	     /* restore --exec-cmd -- CMD; NULL-terminated */
	char **args;		     /* operands; NULL-terminated */
	int n_args;
};

#endif
