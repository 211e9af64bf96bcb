/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A restore plan: for every task and thread a list of steps, mostly single
 * system calls, in phases. Plain data: made by the planner (restore/) and by
 * kinds and attributes (resource/), printed, laid out as programs of the stub,
 * and run by restore/.
 *
 * Steps of one slot run in the order of their phases, within a phase in the
 * order in which they were added. Slots run side by side; where one depends on
 * another they meet at a word: plan_signal() and plan_await().
 *
 * Making steps needs no checks: running out of memory is remembered in the
 * plan (plan_ok()), and everything else is refused where it is noticed with
 * fail(&p->run->err, ...).
 */
#ifndef STASIS_PLAN_PLAN_H
#define STASIS_PLAN_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>

#include "image/pagemap.h"
#include "lib/run.h"
#include "lib/vec.h"
#include "model/model.h"
#include "plan/operand.h"
#include "remote/stub.h"

enum plan_phase {
	PHASE_SEED,    /* root only: shed what came from the tool */
	PHASE_BIRTH,   /* sessions, groups, children */
	PHASE_GROUPS,  /* join groups; helpers go, zombies die */
	PHASE_FILES,   /* descriptor tables */
	PHASE_MEMORY,  /* mappings and their contents */
	PHASE_THREADS, /* clone the threads */
	PHASE_TASK,    /* state of processes and threads that privileges may be needed for */
	PHASE_LIMITS,  /* resource limits, which could stand in the way of the former */
	PHASE_FILTERS, /* seccomp; in processes that have any, the tool traces from here on */
	PHASE_CREDS,   /* credentials, and what they reset */
	PHASE_SIGNALS, /* everything is blocked: signal actions */
	PHASE_PENDING, /* pending signals, timers */
	PHASE_LAST,    /* what changes of credentials reset: dumpable, death signal */
	PHASE_COUNT
};

/* There are some 70 for every task: operands lie aside, as many as there are. */
struct step {
	uint16_t nr; /* system call or STUB_* */
	uint16_t flags;
	uint8_t phase, n_args;
	uint32_t slot;
	uint32_t next;	/* next step of slot and phase, or NO_STEP */
	uint32_t kinds; /* of the operands, four bits each, operand 0 lowest; see step_arg() */
	uint32_t args;	/* the first one's value in plan->values */
	uint64_t op;	/* arena offset, once laid out */
	int64_t expect;
	const char *why;  /* literal; may hold one %ld for `subject` */
	uint64_t subject; /* what it is done to: descriptor, address, pid ... */
};

#define NO_STEP UINT32_MAX

/* Helpers are processes, fillers threads of the task; both are gone at the end. */
enum slot_kind { SLOT_TASK, SLOT_THREAD, SLOT_HELPER, SLOT_FILLER };

struct fd_sim;

/* One task or thread that runs steps. */
struct plan_slot {
	uint32_t index;
	enum slot_kind kind;
	pid_t tid;
	bool parks;  /* lives at the end of its program; zombies and helpers do not */
	bool stops;  /* by job control, at the end of its program */
	bool split;  /* has a second program, from PHASE_FILTERS on */
	bool killed; /* by us: its number may be another's by now */
	const struct task *task;
	const struct thread *thread; /* NULL for helpers */
	enum plan_phase phase;	     /* of the steps that are added next */
	uint32_t head[PHASE_COUNT], tail[PHASE_COUNT];
	uint32_t n_steps;
	struct fd_sim *fds;	    /* PHASE_FILES: the descriptor table as it will be; else NULL */
	struct operand table_ready; /* word: its descriptors are in place; see plan_await_table() */
	bool has_table_ready;
	/* Arena offsets, once laid out. */
	uint64_t arena;	  /* of the stub_slot */
	uint64_t program; /* of the ops ... */
	uint32_t n_ops;
	uint64_t second; /* ... and of the second program */
	uint32_t n_second;
};

#define VDSO_PARTS 8

/* The tool's own vDSO and its data mappings, from which every task has its own. */
struct vdso {
	struct {
		uint64_t start, len;
	} part[VDSO_PARTS]; /* in address order and without gaps */
	int n_parts;
	uint64_t start, end; /* of all */
	uint64_t text;	     /* where [vdso] starts */
	uint64_t syscall_at; /* of a `syscall` instruction, from `text` on */
};

struct range {
	uint64_t start, end;
};

/* An address that the plan's data holds: filled in when addresses are known. */
struct relocation {
	uint64_t at; /* byte of the data where the u64 lies */
	struct operand target;
};

struct objects;
struct file_state;
struct inherited;

struct plan {
	struct run *run;
	struct checkpoint *cp;
	bool no_memory;
	VEC(struct step) steps;
	VEC(uint64_t) values;	       /* of operands */
	VEC(struct plan_slot *) slots; /* [0] is the root task */
	VEC(uint8_t) data;
	VEC(struct relocation) relocations;
	struct inherited *inherited; /* inherited.h */
	bool has_filters;	     /* some slot is split */
	bool creds_change;	     /* some task's credentials differ from the tool's */
	struct objects *objects;     /* shared memory that several tasks map (shared.c) */
	struct vdso vdso;
	VEC(struct range) used; /* what the tool itself has mapped */
	/* The hole: parked vDSO, scratch, then arena and stub. */
	uint64_t hole, hole_len;
	uint64_t vdso_room, scratch_room;
	uint64_t arena_at, arena_len, text_len; /* once laid out */
	uint64_t data_off;
	uint64_t bytes_filled; /* contents that come out of pages images */
	uint32_t n_parking,
		n_parking_second; /* slots that wait behind their first, second program */
	struct image_chain chain; /* the images folder and its parents */
	VEC(pid_t) wanted;	  /* numbers that tasks, sessions and groups will have; sorted */
	pid_t last_free;	  /* given to a helper last */
	struct file_state *file_states; /* fds.h; file->plan points into it */
	VEC(struct file *) unchecked;	/* by reg_check_all() */
	VEC(struct file *) leftovers;	/* open for others, to be closed */
	struct operand memory_done;	/* word, if there are leftovers that others take */
	uint32_t n_memory_done;
	int service_fd; /* number of the images folder's descriptor in every task; parents follow */
};

/* 0, or -ENOMEM with the run's error set. */
int plan_ok(struct plan *p);

/* --- making steps ------------------------------------------------------- */

struct plan_slot *plan_slot_new(struct plan *p, enum slot_kind kind, const struct task *task,
				const struct thread *thread, pid_t tid);

/* Add a step to slot->phase; its result as an operand. @why: see struct step. */
struct operand plan_step(struct plan *p, struct plan_slot *slot, const char *why, uint64_t subject,
			 int nr, int flags, int64_t expect, int n, const struct operand *args);

static inline struct operand step_arg(const struct plan *p, const struct step *s, int i)
{
	return (struct operand){s->kinds >> (4 * i) & 15, p->values.at[s->args + i]};
}

#define PLAN_ARGS(...)                                                                       \
	sizeof((struct operand[]){__VA_ARGS__}) / sizeof(struct operand), (struct operand[]) \
	{                                                                                    \
		__VA_ARGS__                                                                  \
	}

/* A system call (or STUB_*) that must not fail. */
#define plan_call(p, slot, why, subject, nr, ...) \
	plan_step(p, slot, why, subject, nr, 0, 0, PLAN_ARGS(__VA_ARGS__))

/* The same with stub flags. */
#define plan_call_flags(p, slot, why, subject, nr, flags, ...) \
	plan_step(p, slot, why, subject, nr, flags, 0, PLAN_ARGS(__VA_ARGS__))

/* One whose result must be @expect. */
#define plan_call_expect(p, slot, why, subject, nr, expect, ...) \
	plan_step(p, slot, why, subject, nr, STUB_EXPECT, expect, PLAN_ARGS(__VA_ARGS__))

/* Bytes that steps point to, copied; 16-byte aligned. @bytes NULL: zeroes. */
struct operand plan_data(struct plan *p, const void *bytes, size_t len);
struct operand plan_string(struct plan *p, const char *s);
/* The bytes of a data operand, until the next plan_data(). */
void *plan_bytes(struct plan *p, struct operand data);
/* Let the u64 at byte @offset of @data be the address of @target. */
void plan_pointer(struct plan *p, struct operand data, size_t offset, struct operand target);
/* @len bytes further on. */
struct operand operand_at(struct operand o, uint64_t offset);
/* The u64 that will be at a data operand when the step runs. */
struct operand operand_word(struct operand data);
/* The address of a step's result (64 bits, lowest first). */
struct operand plan_result_address(struct plan *p, struct operand result);

/* --- meeting points ----------------------------------------------------- */

/* A word that counts; give it to plan_signal() and plan_await(). */
struct operand plan_word(struct plan *p);
void plan_signal(struct plan *p, struct plan_slot *slot, struct operand word, uint32_t goal);
void plan_await(struct plan *p, struct plan_slot *slot, struct operand word, uint32_t goal,
		const char *why, uint64_t subject);

/* Where a task may map p->scratch_room bytes for a moment. */
static inline uint64_t plan_scratch(const struct plan *p)
{
	/* The largest of huge pages. */
	return (p->hole + p->vdso_room + (1ull << 30) - 1) & ~((1ull << 30) - 1);
}

#endif
