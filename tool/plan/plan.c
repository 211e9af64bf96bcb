// SPDX-License-Identifier: GPL-2.0-only
#include "plan/plan.h"

#include <errno.h>
#include <string.h>

int plan_ok(struct plan *p)
{
	if (p->run->err.code)
		return p->run->err.code;
	return p->no_memory ? fail(&p->run->err, -ENOMEM, "restore plan") : 0;
}

struct plan_slot *plan_slot_new(struct plan *p, enum slot_kind kind, const struct task *task,
				const struct thread *thread, pid_t tid)
{
	struct plan_slot *s = calloc(1, sizeof(*s));
	int i;

	if (!s || vec_push(&p->slots, s)) {
		free(s);
		p->no_memory = true;
		return NULL;
	}
	s->index = p->slots.n - 1;
	s->kind = kind;
	s->task = task;
	s->thread = thread;
	s->tid = tid;
	for (i = 0; i < PHASE_COUNT; i++)
		s->head[i] = s->tail[i] = NO_STEP;
	return s;
}

struct operand plan_step(struct plan *p, struct plan_slot *slot, const char *why, uint64_t subject,
			 int nr, int flags, int64_t expect, int n, const struct operand *args)
{
	uint32_t index = p->steps.n;
	struct step *step = vec_reserve(&p->values, n) ? NULL : vec_add(&p->steps);
	int i;

	if (!step) {
		p->no_memory = true;
		return imm(0);
	}
	step->nr = nr;
	step->flags = flags;
	step->expect = expect;
	step->why = why;
	step->subject = subject;
	step->phase = slot->phase;
	step->slot = slot->index;
	step->n_args = n;
	step->next = NO_STEP;
	step->args = p->values.n;
	for (i = 0; i < n; i++) {
		step->kinds |= (uint32_t)args[i].kind << (4 * i);
		p->values.at[p->values.n++] = args[i].value;
	}
	if (slot->head[slot->phase] == NO_STEP)
		slot->head[slot->phase] = index;
	else
		p->steps.at[slot->tail[slot->phase]].next = index;
	slot->tail[slot->phase] = index;
	slot->n_steps++;
	return (struct operand){OPERAND_RESULT, index};
}

struct operand plan_data(struct plan *p, const void *bytes, size_t len)
{
	size_t padded = (len + 15) & ~(size_t)15;
	struct operand o = {OPERAND_DATA, p->data.n};

	if (vec_reserve(&p->data, padded)) {
		p->no_memory = true;
		return (struct operand){OPERAND_DATA, 0};
	}
	if (padded)
		memset(p->data.at + p->data.n, 0, padded);
	if (bytes && len)
		memcpy(p->data.at + p->data.n, bytes, len);
	p->data.n += padded;
	return o;
}

struct operand plan_string(struct plan *p, const char *s)
{
	return plan_data(p, s, strlen(s) + 1);
}

void *plan_bytes(struct plan *p, struct operand data)
{
	return p->no_memory ? NULL : p->data.at + data.value;
}

void plan_pointer(struct plan *p, struct operand data, size_t offset, struct operand target)
{
	if (vec_push(&p->relocations,
		     ((struct relocation){.at = data.value + offset, .target = target})))
		p->no_memory = true;
}

struct operand operand_at(struct operand o, uint64_t offset)
{
	o.value += offset;
	return o;
}

struct operand operand_word(struct operand data)
{
	data.kind = OPERAND_WORD;
	return data;
}

struct operand plan_result_address(struct plan *p, struct operand result)
{
	if (result.kind == OPERAND_RESULT)
		return (struct operand){OPERAND_ANSWER, result.value};
	return plan_data(p, &result.value, sizeof(result.value));
}

struct operand plan_word(struct plan *p)
{
	return plan_data(p, NULL, sizeof(uint32_t));
}

void plan_signal(struct plan *p, struct plan_slot *slot, struct operand word, uint32_t goal)
{
	plan_call(p, slot, "tell those who wait", 0, STUB_WAKE, word, imm(1), imm(goal));
}

void plan_await(struct plan *p, struct plan_slot *slot, struct operand word, uint32_t goal,
		const char *why, uint64_t subject)
{
	plan_call(p, slot, why, subject, STUB_WAIT, word, imm(goal));
}
