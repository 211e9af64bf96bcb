/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Building a program for the stub straight in an arena that the tool has
 * mapped. Results are read where they are written: op->ret, and memory got
 * from program_space().
 */
#ifndef STASIS_REMOTE_PROGRAM_H
#define STASIS_REMOTE_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "remote/stub.h"

struct program {
	uint8_t *base;	  /* the arena as mapped here */
	uint64_t start;	  /* arena offset of ops[0] */
	uint32_t n, room; /* ops used, ops that fit */
	uint64_t data;	  /* arena offset of the next free data byte */
	uint64_t data_end;
};

/* An operand: value and STUB_* kind. */
struct program_arg {
	uint64_t value;
	uint32_t kind;
};

static inline struct program_arg arg_imm(uint64_t v)
{
	return (struct program_arg){v, STUB_IMM};
}

static inline struct program_arg arg_arena(uint64_t offset)
{
	return (struct program_arg){offset, STUB_ARENA};
}

/* The result of the op at arena offset @op. */
static inline struct program_arg arg_result(uint64_t op)
{
	return (struct program_arg){op, STUB_RESULT};
}

/*
 * Append an op; NULL when the arena is full. The op stays where it is.
 * @what is a system call number or a STUB_* special.
 */
struct stub_op *program_op(struct program *p, uint16_t what, uint16_t flags, int n_args,
			   const struct program_arg *args);

#define program_call(p, nr, flags, ...)                                                      \
	program_op(p, nr, flags,                                                             \
		   sizeof((struct program_arg[]){__VA_ARGS__}) / sizeof(struct program_arg), \
		   (struct program_arg[]){__VA_ARGS__})

/* @len zeroed bytes of the arena, 16-byte aligned; their address here, *offset in the arena. NULL
 * when full. */
void *program_space(struct program *p, size_t len, uint64_t *offset);

#endif
