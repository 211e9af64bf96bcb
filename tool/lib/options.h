/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The values of a run's options. The table that parses them, prints help and
 * the man page is cli/table.c; the parser beside it is the only writer.
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
	pid_t tree;	   /* -t */
	char *images_dir;  /* -D; never NULL once parsed */
	char *work_dir;	   /* -W; NULL: the images folder */
	char *log_file;	   /* -o; NULL: stderr, "-": stdout */
	char *config;	   /* --config */
	char *root;	   /* --root */
	char *pidfile;	   /* --pidfile */
	char *prev_images; /* --prev-images-dir */
	char *lsm_profile;
	char *network_lock;
	char *cpu_cap;
	char *manage_cgroups;
	char *features_set;    /* plan --features */
	char *file_validation; /* --file-validation MODE */
	unsigned int verbosity;
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
	bool ghost_fiemap;
	bool unprivileged;
	bool track_mem;
	bool auto_dedup;
	bool skip_file_rwx_check;
	bool live;
	bool cow_aware;
	bool dry_run;
	bool json;
	bool man;			 /* help --man */
	bool completion;		 /* help --completion */
	bool check_extra;		 /* check --extra */
	bool check_experimental;	 /* check --experimental */
	bool check_all;			 /* check --all */
	bool exec;			 /* --exec-cmd was given */
	int status_fd;			 /* -1: none */
	unsigned int timeout;		 /* seconds; 0: none */
	unsigned int checksum_parameter; /* --checksum-parameter N */
	uint64_t ghost_limit;		 /* bytes */
	struct option_list action_scripts;
	struct option_list external;
	struct option_list inherit_fd;
	struct option_list features; /* check --feature */
	char **exec_cmd;	     /* restore --exec-cmd -- CMD; NULL-terminated, in argv */
	char **args;		     /* operands; NULL-terminated, in argv */
	int n_args;
};

#endif
