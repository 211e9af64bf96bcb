/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The command table and the option table. Parsing, configuration files, help,
 * man page and shell completion all come from these rows and from nothing else.
 */
#ifndef STASIS_CLI_TABLE_H
#define STASIS_CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/options.h"

struct run;

/* Commands as bits, for the set to which an option applies. */
enum command_bit {
	CMD_DUMP = 1 << 0,
	CMD_RESTORE = 1 << 1,
	CMD_PLAN = 1 << 2,
	CMD_CHECK = 1 << 3,
	CMD_HELP = 1 << 4,
	CMD_PRE_DUMP = 1 << 5,
	CMD_OTHER = 1 << 6, /* commands of criu that are not there yet */
	CMD_OWN = 1 << 7,   /* commands that parse their own arguments */
};

#define CMD_DUMPS    (CMD_DUMP | CMD_PRE_DUMP)
#define CMD_RESTORES (CMD_RESTORE | CMD_PLAN)
#define CMD_BOTH     (CMD_DUMPS | CMD_RESTORES)
#define CMD_ANY	     (CMD_BOTH | CMD_CHECK | CMD_HELP | CMD_OTHER)

struct command {
	const char *name;
	unsigned int bit;
	const char *synopsis; /* what follows the name */
	const char *summary;  /* one line, no full stop */
	/*
	 * Do it: 0, or a negative errno with run->err filled. NULL (and no own):
	 * known to criu, not supported yet.
	 */
	int (*run)(struct run *run);
	/* A command with arguments of its own; returns the exit status. */
	int (*own)(int argc, char **argv);
	const char *words; /* what completion offers for it, as its options are in no table */
	bool needs_images; /* open the images folder and the log before run() */
};

extern const struct command commands[];
extern const size_t n_commands;

enum option_type {
	OPT_FLAG,      /* bool; --no-NAME takes it back */
	OPT_MARK,      /* bool, one way */
	OPT_TEXT,      /* char * */
	OPT_PATH,      /* char *, names a file */
	OPT_DIR,       /* char *, names a folder */
	OPT_CHOICE,    /* char *, one of choices */
	OPT_CPU_CAPS,  /* char *, list of choices, each with ^ or not */
	OPT_PID,       /* pid_t, above 0 */
	OPT_FD,	       /* int, not negative */
	OPT_NUMBER,    /* unsigned int */
	OPT_SIZE,      /* uint64_t, with K, M, G */
	OPT_LIST,      /* struct option_list, appended to */
	OPT_VERBOSITY, /* unsigned int: -v, -vvv, -v4, -verbosity=4 */
	OPT_HELP,
	OPT_VERSION,
};

enum option_argument { ARG_NONE, ARG_REQUIRED, ARG_OPTIONAL };

/* Sections of the help text and the man page. */
enum option_group {
	GROUP_GENERAL,
	GROUP_TREE,
	GROUP_IMAGES,
	GROUP_MEMORY,
	GROUP_FILES,
	GROUP_EXTERNAL,
	GROUP_SYSTEM,
	GROUP_CHECK,
	GROUP_REMOTE,
	N_GROUPS,
};

struct option_row {
	const char *name; /* long form, without dashes */
	char letter;	  /* short form or 0 */
	enum option_type type;
	enum option_argument argument;
	enum option_group group;
	unsigned int on;    /* the commands that take it */
	unsigned int acts;  /* those of them on which it has an effect; 0: all */
	size_t at;	    /* offset in struct options */
	const char *value;  /* what help calls the argument */
	const char *preset; /* the default as help says it, or NULL */
	/* For OPT_CHOICE and OPT_CPU_CAPS: "a|b|!c"; ! marks what is known but not supported yet.
	 */
	const char *choices;
	const char *alone; /* value when an optional argument is missing */
	const char *help;
	/* Known from criu(8) but not acted on: refused with 'not supported yet'. */
	bool later;
};

extern const struct option_row option_rows[];
extern const size_t n_option_rows;
extern const char *const option_groups[N_GROUPS];

const struct command *command_find(const char *name);
/* By whole name, or NULL. */
const struct option_row *option_find(const char *name, size_t len);
const struct option_row *option_find_letter(char letter);

#endif
