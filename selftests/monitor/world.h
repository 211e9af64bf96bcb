/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Families of processes that write down, in memory they share, who forked whom and what they
 * did; and a judge that compares this with what the monitor says. Nothing here asks the
 * monitor who was born of whom, and the processes do not know that there is one.
 */
#ifndef SELFTESTS_MONITOR_WORLD_H
#define SELFTESTS_MONITOR_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "monitor/monitor.h"

#define MAX_SLOTS 1024
#define WORLD_FD  200 /* the shared memory, kept over exec */

/* A process as it and its parent wrote it down. */
struct slot {
	int32_t parent; /* slot of who forked it */
	int32_t nr;	/* getpid() */
	uint32_t ns;	/* inode of its pid namespace */
	bool failed;	/* fork failed, there is no such process */
	bool settled;	/* at rest, or about to exit */
	bool by_thread, clone_parent;
	bool subreaper;
	uint8_t session_how, group_how; /* enum caba_how */
	uint32_t execs;
	uint32_t rounds; /* for the use of lives */
};

struct world {
	uint64_t seed;
	int32_t owner;	  /* pid of the test */
	uint32_t slots;	  /* used so far; 0 is the test itself */
	uint32_t working; /* processes that have not come to rest */
	uint32_t end;	  /* futex: everybody may go */
	uint32_t budget;  /* births that random lives may still have */
	struct slot slot[MAX_SLOTS];
};

enum spawn {
	SPAWN_FORK,
	SPAWN_THREAD,  /* a thread that is not the leader forks */
	SPAWN_SIBLING, /* CLONE_PARENT */
	SPAWN_NEWPID,  /* first of a new pid namespace */
};

/* What a process does; it ends with rest(), leave() or by returning (leave). */
typedef void life_fn(struct world *w, int me);

/* By number, so that it can be named to a program that was executed. Defined by each test. */
extern life_fn *const lives[];

/* --- for the processes (life.c) ---------------------------------------- */

/* A new process that lives lives[@life]: its slot, or -1. */
int spawn(struct world *w, int me, enum spawn how, int life);
/* As spawn(), and wait till that process has exited and been reaped. */
void spawn_and_reap(struct world *w, int me, enum spawn how, int life);
/* Come to rest, until the end of this world. */
void rest(struct world *w, int me) __attribute__((noreturn));
void leave(struct world *w, int me) __attribute__((noreturn));
/* The leader thread exits, another goes on with lives[@life]. */
void leader_leaves(struct world *w, int me, int life) __attribute__((noreturn));
/* Execute this program again, by another thread or not, and go on with lives[@life]. */
void execute(struct world *w, int me, bool by_thread, int life) __attribute__((noreturn));
void do_setsid(struct world *w, int me);
/* Group @pgid (0: its own) for the process in @whose slot: itself or a child. */
void do_setpgid(struct world *w, int me, int whose, pid_t pgid);
void do_subreaper(struct world *w, int me, bool on);
/* Wait for the pid of a slot to be written down. */
pid_t slot_pid(struct world *w, int slot);
/*
 * A process is found by its name, which tells its slot and whose world it is of. Names of tasks
 * have up to 15 characters.
 */
#define LIFE_NAME "life%u-%x"
void life_name(const struct world *w, int slot, char name[static 16]);

/* --- for the test (judge.c) --------------------------------------------- */

/*
 * Called first in main(): never returns in a process that execute() made. The BPF file system
 * is the test's own from here on.
 */
struct world *world_init(int argc, char **argv);
/* An empty world. */
void world_begin(struct world *w, uint64_t seed);
/* Wait until all have come to rest or gone; false after ten seconds. */
bool world_settle(struct world *w);
/* Let everybody go and reap. */
void world_end(struct world *w);

struct verdict {
	unsigned int alive, zombies,
		gone; /* processes that were compared; and that were not there */
	unsigned int wrong;
};

/* Compare every process of the world with the monitor; differences as TAP comments. */
struct verdict judge(struct world *w, struct monitor *m);
/* Only find out which processes are there. */
void world_find(struct world *w);
/* Pid, as the test sees it, of a slot; 0 if it is gone. Valid after either. */
pid_t judged_pid(int slot);
/* The tree's own rules: counts, joints. The number of violations. */
unsigned int check_tree(struct monitor *m);

/* --- TAP ------------------------------------------------------------------ */

/* "ok N - text" or "not ok"; 1 when not. */
int tap(int n, bool ok, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A monitor of the test's own (world_init() sees to that); exits with a skip where none can be. */
struct monitor *own_monitor(uint32_t limit);
void drop_monitor(struct monitor *m);

#endif
