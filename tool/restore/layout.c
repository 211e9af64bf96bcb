// SPDX-License-Identifier: GPL-2.0-only
/* Give every slot, step and byte of a plan its place in the arena. */
#include <errno.h>
#include <string.h>

#include "restore/memory.h"

static uint64_t align(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

/* The steps of phases [from, to), each its op; returns how many. */
static uint32_t place_steps(struct plan *p, struct plan_slot *s, int from, int to, uint64_t *at)
{
	uint32_t n = 0, i;
	int phase;

	for (phase = from; phase < to; phase++) {
		for (i = s->head[phase]; i != NO_STEP; i = p->steps.at[i].next) {
			p->steps.at[i].op = *at;
			*at += sizeof(struct stub_op);
			n++;
		}
	}
	return n;
}

/* Does it wait in the stub at the end of its first, of its second program? */
static bool parks_first(const struct plan_slot *s)
{
	return s->parks && (s->split || !s->stops);
}

static bool parks_second(const struct plan_slot *s)
{
	return s->split && !s->stops;
}

int plan_layout(struct plan *p)
{
	uint64_t at = align(sizeof(struct stub_arena), 64), i;

	p->data_off = at;
	at = align(at + p->data.n, 64);
	p->n_parking = p->n_parking_second = 0;
	for (i = 0; i < p->slots.n; i++) {
		struct plan_slot *s = p->slots.at[i];

		s->arena = at;
		at += sizeof(struct stub_slot);
		s->program = at;
		s->n_ops = place_steps(p, s, 0, s->split ? PHASE_FILTERS : PHASE_COUNT, &at);
		s->second = at;
		s->n_second = s->split ? place_steps(p, s, PHASE_FILTERS, PHASE_COUNT, &at) : 0;
		p->n_parking += parks_first(s);
		p->n_parking_second += parks_second(s);
		at = align(at, 64);
	}
	p->arena_len = align(at, PAGE_BYTES);
	p->text_len = align(stub_text_end - stub_text, PAGE_BYTES);
	p->arena_at = plan_scratch(p) + align(p->scratch_room, PAGE_BYTES);
	if (p->arena_at + p->arena_len + p->text_len > p->hole + p->hole_len)
		return fail(&p->run->err, -ENOMEM,
			    "no address range for the restorer is free in all tasks");
	return 0;
}

/* An operand as the stub knows it. */
static uint64_t lower(const struct plan *p, struct operand o, enum stub_kind *kind)
{
	switch (o.kind) {
	case OPERAND_DATA:
		*kind = STUB_ARENA;
		return p->data_off + o.value;
	case OPERAND_WORD:
		*kind = STUB_LOAD64;
		return p->data_off + o.value;
	case OPERAND_RESULT:
		*kind = STUB_RESULT;
		return p->steps.at[o.value].op;
	case OPERAND_ANSWER:
		*kind = STUB_ARENA;
		return p->steps.at[o.value].op + offsetof(struct stub_op, ret);
	case OPERAND_SLOT:
		*kind = STUB_ARENA;
		return p->slots.at[o.value]->arena;
	case OPERAND_IMM:
	default:
		*kind = STUB_IMM;
		return o.value;
	}
}

static void write_step(const struct plan *p, const struct step *s, uint8_t *arena)
{
	struct stub_op *op = (struct stub_op *)(arena + s->op);
	enum stub_kind kind;
	int i;

	op->nr = s->nr;
	op->flags = s->flags;
	op->expect = s->expect;
	for (i = 0; i < s->n_args; i++) {
		op->arg[i] = lower(p, step_arg(p, s, i), &kind);
		op->kinds |= STUB_KIND(i, kind);
	}
}

void plan_write(const struct plan *p, uint8_t *arena)
{
	struct stub_arena *head = (struct stub_arena *)arena;
	enum stub_kind kind;
	size_t i;

	head->magic = STUB_MAGIC;
	head->on_death = STUB_EXIT;
	head->goal = p->n_parking;
	head->size = p->arena_len;
	if (p->data.n)
		memcpy(arena + p->data_off, p->data.at, p->data.n);
	for (i = 0; i < p->relocations.n; i++) {
		const struct relocation *r = &p->relocations.at[i];
		uint64_t target = p->arena_at + lower(p, r->target, &kind);

		memcpy(arena + p->data_off + r->at, &target, sizeof(target));
	}
	for (i = 0; i < p->slots.n; i++) {
		const struct plan_slot *s = p->slots.at[i];
		struct stub_slot *slot = (struct stub_slot *)(arena + s->arena);

		slot->program = s->program;
		slot->n_ops = s->n_ops;
	}
	for (i = 0; i < p->steps.n; i++)
		write_step(p, &p->steps.at[i], arena);
	memcpy(arena + p->arena_len, stub_text, stub_text_end - stub_text);
}
