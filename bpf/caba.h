/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The process-tree monitor's state, as caba.bpf.c keeps it and tool/monitor reads it.
 *
 * A process has a record (task storage of its leader) from the event of its birth, and a node
 * in the tree of births. A node outlives its process only as long as it joins two or more
 * branches that still have pids: a dead node without children is removed, one with a single
 * child is taken out of the line between that child and the node above. So there are never
 * more nodes than twice the processes, every event costs the same few steps, and the nearest
 * ancestors that are left are exactly those that matter.
 *
 * The children of a node are not listed: their number and the exclusive or of their indices
 * are enough, because the only child that ever has to be found is the last one.
 */
#ifndef CABA_H
#define CABA_H

#include <linux/types.h>

#define CABA_MAGIC  0x43414241 /* "CABA" */
#define CABA_LAYOUT 1	       /* changes with any structure below */

#define CABA_COMM   16
#define CABA_LEVELS 33 /* MAX_PID_NS_LEVEL + 1 */
#define CABA_INLINE 4  /* levels kept in the record itself; deeper ones in caba_pids */
#define CABA_EVENTS 8  /* latest events kept per process */

/* Indices 0 and 1 of the node array hold struct caba_head. */
#define CABA_FIRST_NODE 2

enum caba_state {
	CABA_FREE,
	CABA_ALIVE,  /* a thread of it has not begun to exit */
	CABA_ZOMBIE, /* all have; its pid is still in use, or its reaping is a moment old */
	CABA_GONE,   /* reaped; a joint of two or more branches */
};

/* What is known of the edge from a node up to the next. */
enum caba_edge {
	CABA_EDGE_GUESS = 1,   /* not a birth that was seen: the parent when first noticed */
	CABA_EDGE_UNKNOWN = 2, /* born of something, nothing is known of it */
	CABA_EDGE_KERNEL = 4,  /* born of a kernel thread: the line ends here, completely */
};

/* 64 bytes; read through a mapping of the array, in the way caba_head.seq tells. */
struct caba_node {
	__u32 up;	/* index; 0: none. In a free node: the next free one */
	__u32 kids;	/* nodes whose up is this one */
	__u32 kids_xor; /* exclusive or of their indices */
	__u8 state;	/* enum caba_state */
	__u8 edge;	/* enum caba_edge */
	__u16 skipped;	/* ancestors that were taken out below up; stops counting at 65535 */
	__u64 id;	/* number of the record, in order of births; never used twice */
	__u64 start;	/* start_boottime, ns */
	__u32 tgid;	/* in the initial pid namespace */
	__u32 nr;	/* in its own pid namespace */
	__u32 ns;	/* inode number of that */
	__u32 pad;
	char comm[CABA_COMM]; /* when it died; empty while it lives */
};

/* What the monitor could attach to. */
enum caba_feature {
	CABA_HAS_CHANGE = 1,	/* function: changes of session and group */
	CABA_HAS_REPARENT = 2,	/* function: new parents of orphans */
	CABA_HAS_SUBREAPER = 4, /* function: PR_SET_CHILD_SUBREAPER */
	CABA_HAS_SYSCALLS = 8,	/* system calls' tracepoints, for what of these is missing */
	CABA_LATE = 16,		/* some changes of session and group are only found afterwards */
};

struct caba_head {
	__u64 seq; /* odd while nodes are being changed */
	__u32 magic;
	__u32 layout;
	__u32 limit; /* nodes the array has room for, without the head's */
	__u32 top;   /* nodes from here on were never used */
	__u32 free;  /* first of the free ones below top */
	__u32 used;
	__u32 peak; /* most ever used */
	__u32 features;
	__u64 since; /* start of the monitor, ns of boot time */
	__u64 next_id;
	__u64 births;	    /* processes whose birth was seen */
	__u64 threads;	    /* threads born; they have no record */
	__u64 lost_limit;   /* records not made because the limit was reached */
	__u64 lost_storage; /* ... because the kernel had no memory for task storage */
	__u64 deaths;
	__u64 swept; /* nodes of reaped processes found by looking, not by their event */
	__u32 hand;  /* where that goes on */
	__u32 pad[5];
};

enum caba_flag {
	CABA_OLD = 1,		 /* older than the monitor: its birth was not seen */
	CABA_LOST = 2,		 /* younger, but its birth was not recorded (limit, memory) */
	CABA_CLONE_PARENT = 4,	 /* born as a sibling of its birth parent */
	CABA_THREAD_FORKED = 8,	 /* by a thread that was not the leader */
	CABA_SUBREAPER = 16,	 /* is a child subreaper */
	CABA_LEADER_EXITED = 32, /* its leader thread exited, others go on */
	CABA_NS_INIT = 64,	 /* first of its pid namespace */
	CABA_KERNEL_BORN = 128,	 /* birth parent is a kernel thread */
};

/* How a process came to its session or group. */
enum caba_how {
	CABA_HOW_UNKNOWN, /* it was so when the monitor first saw it */
	CABA_HOW_BORN,	  /* inherited from the birth parent */
	CABA_HOW_SETSID,
	CABA_HOW_SETPGID_NEW,  /* setpgid to its own pid */
	CABA_HOW_SETPGID_JOIN, /* setpgid into a group of another */
	CABA_HOW_ATTACH,       /* moved into a session that is not its own (PIDFD_ATTACH_SESSION) */
};

struct caba_member {
	__u32 nr;	/* session or group, initial pid namespace */
	__u32 how;	/* enum caba_how */
	__u64 when;	/* ns of boot time */
	__u32 by;	/* tgid of who did it */
	__u32 birth_nr; /* what it was born into; 0: not seen */
};

enum caba_what {
	CABA_EV_NONE,
	CABA_EV_SESSION,     /* a: from, b: to, by */
	CABA_EV_GROUP,	     /* a: from, b: to, by */
	CABA_EV_REPARENT,    /* a: from, b: to */
	CABA_EV_SUBREAPER,   /* b: 1 set, 0 cleared */
	CABA_EV_EXEC_THREAD, /* a: tid that took over the leader's pid b */
	CABA_EV_LEADER_EXIT, /* b: threads that go on */
};

struct caba_event {
	__u64 when;
	__u16 what; /* enum caba_what */
	__u16 pad;
	__u32 by; /* tgid of who did it, where it may be another */
	__u32 a, b;
};

struct caba_pid {
	__u32 nr;
	__u32 ns; /* inode number of the pid namespace */
};

/* 376 bytes, with the kernel's header within one object of 512. */
struct caba_rec {
	__u64 id;
	__u64 start; /* start_boottime, ns: with tgid it names the process for good */
	__u32 node;  /* 0: not in the tree (yet) */
	__u32 flags; /* enum caba_flag */
	__u32 tgid;
	__u32 level;			   /* depth of its pid namespace; 0: the initial one */
	struct caba_pid pids[CABA_INLINE]; /* from the initial namespace down */
	__u64 parent_id;		   /* the birth parent; 0: unknown or a kernel thread */
	__u64 parent_start;
	__u32 parent_tgid;
	__u32 parent_tid;  /* the thread of it that forked */
	__u32 parent_nr;   /* its pid in the child's pid namespace; 0: not visible there */
	__u32 real_parent; /* tgid of the parent at birth (differs with CLONE_PARENT) */
	char parent_comm[CABA_COMM];
	struct caba_member session;
	struct caba_member group;
	__u64 last_exec; /* ns of boot time */
	__u32 execs;
	__u32 nr_events; /* all that ever were; the last CABA_EVENTS are kept */
	__u32 parent;	 /* tgid of the parent after the last reparenting that was seen; 0: none */
	__u32 pad;
	struct caba_event events[CABA_EVENTS];
};

/* Pids of processes deeper than CABA_INLINE levels. */
struct caba_pids {
	struct caba_pid at[CABA_LEVELS];
};

#endif
