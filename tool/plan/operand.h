/* SPDX-License-Identifier: GPL-2.0-only */
/* An operand of a step in a restore plan; plan/plan.h makes and uses them. */
#ifndef STASIS_PLAN_OPERAND_H
#define STASIS_PLAN_OPERAND_H

#include <stdint.h>

enum operand_kind {
	OPERAND_IMM,	/* the value itself */
	OPERAND_DATA,	/* address of byte `value` of the plan's data */
	OPERAND_RESULT, /* result of step number `value` of the plan */
	OPERAND_WORD,	/* u64 at byte `value` of the plan's data, read when the step runs */
	OPERAND_SLOT,	/* address of slot number `value` */
	OPERAND_ANSWER, /* address of the result of step number `value` */
};

struct operand {
	enum operand_kind kind;
	uint64_t value;
};

static inline struct operand imm(uint64_t value)
{
	return (struct operand){OPERAND_IMM, value};
}

#endif
