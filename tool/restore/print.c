// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plan for people: every task's steps as strace would show them, by phase,
 * and why; and the same as JSON. $N stands for the result of step N.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel/features.h"
#include "kernel/syscall_names.h"
#include "restore/execute.h"

#define LONGEST_STRING 60

static const char *const phase_names[PHASE_COUNT] = {
	[PHASE_SEED] = "seed",	     [PHASE_BIRTH] = "birth",	    [PHASE_GROUPS] = "groups",
	[PHASE_FILES] = "files",     [PHASE_MEMORY] = "memory",	    [PHASE_THREADS] = "threads",
	[PHASE_TASK] = "task",	     [PHASE_CREDS] = "credentials", [PHASE_SIGNALS] = "signals",
	[PHASE_FILTERS] = "filters", [PHASE_LAST] = "last",
};

static const char *phase_name(unsigned int phase)
{
	return phase < PHASE_COUNT && phase_names[phase] ? phase_names[phase] : "other";
}

static const char *const slot_names[] = {[SLOT_TASK] = "task",
					 [SLOT_THREAD] = "thread",
					 [SLOT_HELPER] = "helper",
					 [SLOT_FILLER] = "filler"};

/* Text that grows within a buffer, and stops at its end. */
struct out {
	char *at;
	size_t n, size;
};

static void put(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(struct out *o, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (o->n + 1 >= o->size)
		return;
	va_start(ap, fmt);
	n = vsnprintf(o->at + o->n, o->size - o->n, fmt, ap);
	va_end(ap);
	o->n = o->n + n < o->size ? o->n + n : o->size - 1;
}

struct bit {
	uint64_t bits;
	const char *name;
};

/* "A|B|0x4"; @none when nothing is set. */
static void put_bits(struct out *o, uint64_t v, const struct bit *bits, const char *none)
{
	const char *sep = "";

	for (; bits->name; bits++) {
		if ((v & bits->bits) != bits->bits)
			continue;
		put(o, "%s%s", sep, bits->name);
		v &= ~bits->bits;
		sep = "|";
	}
	if (v)
		put(o, "%s%#" PRIx64, sep, v);
	else if (!*sep)
		put(o, "%s", none);
}

static void put_prot(struct out *o, uint64_t v)
{
	static const struct bit bits[] = {{PROT_READ, "PROT_READ"},
					  {PROT_WRITE, "PROT_WRITE"},
					  {PROT_EXEC, "PROT_EXEC"},
					  {PROT_GROWSDOWN, "PROT_GROWSDOWN"},
					  {0, NULL}};

	put_bits(o, v, bits, "PROT_NONE");
}

static void put_map(struct out *o, uint64_t v)
{
	static const struct bit bits[] = {
		{MAP_SHARED, "MAP_SHARED"},	   {MAP_PRIVATE, "MAP_PRIVATE"},
		{0x100000, "MAP_FIXED_NOREPLACE"}, {MAP_FIXED, "MAP_FIXED"},
		{MAP_ANONYMOUS, "MAP_ANONYMOUS"},  {MAP_GROWSDOWN, "MAP_GROWSDOWN"},
		{MAP_LOCKED, "MAP_LOCKED"},	   {MAP_NORESERVE, "MAP_NORESERVE"},
		{MAP_HUGETLB, "MAP_HUGETLB"},	   {0, NULL}};

	put_bits(o, v, bits, "0");
}

static void put_open(struct out *o, uint64_t v)
{
	static const struct bit bits[] = {{O_PATH, "O_PATH"},	    {O_DIRECTORY, "O_DIRECTORY"},
					  {O_CLOEXEC, "O_CLOEXEC"}, {O_NOFOLLOW, "O_NOFOLLOW"},
					  {O_APPEND, "O_APPEND"},   {O_NONBLOCK, "O_NONBLOCK"},
					  {O_CREAT, "O_CREAT"},	    {O_EXCL, "O_EXCL"},
					  {O_TRUNC, "O_TRUNC"},	    {O_NOCTTY, "O_NOCTTY"},
					  {O_SYNC, "O_SYNC"},	    {O_DIRECT, "O_DIRECT"},
					  {0100000, "O_LARGEFILE"}, {0, NULL}};
	static const char *const modes[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};

	put(o, "%s", modes[v & O_ACCMODE]);
	if (v & ~(uint64_t)O_ACCMODE) {
		put(o, "|");
		put_bits(o, v & ~(uint64_t)O_ACCMODE, bits, "0");
	}
}

/* Words that the plan's data holds for the kernel to read: a path, or just an address. */
static void put_data(struct out *o, const struct plan *p, uint64_t at)
{
	const char *s = (const char *)p->data.at + at;
	size_t n = 0, left = at < p->data.n ? p->data.n - at : 0;

	while (n < left && n <= LONGEST_STRING && isprint((unsigned char)s[n]) && s[n] != '"')
		n++;
	if (n > 1 && n < left && (!s[n] || n > LONGEST_STRING))
		put(o, "\"%.*s\"%s", (int)n, s, s[n] ? "..." : "");
	else
		put(o, "data+%#" PRIx64, at);
}

static void put_operand(struct out *o, const struct plan *p, const struct operand *a)
{
	switch (a->kind) {
	case OPERAND_RESULT:
		put(o, "$%" PRIu64, a->value);
		break;
	case OPERAND_DATA:
		put_data(o, p, a->value);
		break;
	case OPERAND_WORD:
		put(o, "*(data+%#" PRIx64 ")", a->value);
		break;
	default:
		if ((int64_t)a->value < 0 && (int64_t)a->value > -4096)
			put(o, "%" PRId64, (int64_t)a->value);
		else
			put(o, a->value < 4096 ? "%" PRIu64 : "%#" PRIx64, a->value);
	}
}

/* An argument whose bits have names. */
static bool put_named(struct out *o, const struct step *s, const struct operand *a, int i)
{
	if (a->kind != OPERAND_IMM)
		return false;
	if ((s->nr == __NR_mmap || s->nr == __NR_mprotect) && i == 2)
		put_prot(o, a->value);
	else if (s->nr == __NR_mmap && i == 3)
		put_map(o, a->value);
	else if (s->nr == __NR_openat && i == 2)
		put_open(o, a->value);
	else if (s->nr == __NR_openat && i == 0 && (int)a->value == AT_FDCWD)
		put(o, "AT_FDCWD");
	else
		return false;
	return true;
}

static const char *op_name(unsigned int nr)
{
	switch (nr) {
	case STUB_COPY:
		return "copy";
	case STUB_CLONE:
		return "clone3";
	case STUB_WAIT:
		return "wait";
	case STUB_WAKE:
		return "signal";
	case STUB_STORE:
		return "store";
	case STUB_PARK:
		return "park";
	case STUB_JUMP_IF_NEG:
		return "skip_if_negative";
	default:
		return syscall_name(nr);
	}
}

static void put_call(struct out *o, const struct plan *p, const struct step *s)
{
	const char *name = op_name(s->nr);
	struct operand a;
	int i;

	if (name)
		put(o, "%s(", name);
	else
		put(o, "syscall_%u(", s->nr);
	for (i = 0; i < s->n_args; i++) {
		put(o, "%s", i ? ", " : "");
		a = step_arg(p, s, i);
		if (!put_named(o, s, &a, i))
			put_operand(o, p, &a);
	}
	put(o, ")");
	if (s->flags & STUB_EXPECT && (s->expect < 0 || s->expect >= 4096))
		put(o, " = %#" PRIx64, s->expect);
	else if (s->flags & STUB_EXPECT)
		put(o, " = %" PRId64, s->expect);
	else if (s->flags & STUB_MAY_FAIL)
		put(o, " (may fail)");
}

static void put_why(struct out *o, const struct step *s)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	if (s->why)
		put(o, s->why, (long)s->subject);
#pragma GCC diagnostic pop
}

void print_step(const struct plan *p, const struct step *s, char *buf, size_t size)
{
	struct out o = {buf, 0, size};

	put_why(&o, s);
	put(&o, s->why ? ": " : "");
	put_call(&o, p, s);
}

struct tally {
	unsigned int steps, calls, meetings, tasks, threads, helpers;
};

static void count_step(struct tally *t, const struct step *s)
{
	t->steps++;
	t->calls += s->nr < STUB_COPY || s->nr == STUB_CLONE;
	t->meetings += s->nr == STUB_WAIT;
}

/* By phase, and within it in the order in which they run. */
static void print_steps(const struct plan *p, const struct plan_slot *slot, struct tally *t)
{
	char call[512], why[256];
	unsigned int phase;
	uint32_t i;

	for (phase = 0; phase < PHASE_COUNT; phase++) {
		if (slot->head[phase] == NO_STEP)
			continue;
		printf("  %s\n", phase_name(phase));
		for (i = slot->head[phase]; i != NO_STEP; i = p->steps.at[i].next) {
			const struct step *s = &p->steps.at[i];
			struct out o = {call, 0, sizeof(call)}, w = {why, 0, sizeof(why)};

			if (s->flags & STUB_SKIP)
				continue;
			why[0] = 0;
			put_call(&o, p, s);
			put_why(&w, s);
			printf("    %5u  %-60s  # %s\n", i, call, why);
			count_step(t, s);
		}
	}
}

static void count_slot(struct tally *t, const struct plan_slot *slot)
{
	t->tasks += slot->kind == SLOT_TASK;
	t->threads += slot->kind == SLOT_THREAD;
	t->helpers += slot->kind == SLOT_HELPER || slot->kind == SLOT_FILLER;
}

/* The features that were asked for, as the plan depends on them. */
static void print_features(const struct features *f)
{
	const char *sep = "features that the plan depends on: ";
	int i;

	for (i = 0; i < N_FEATURES; i++) {
		if (f->at[i].state == FEATURE_UNASKED)
			continue;
		printf("%s%c%s", sep, f->at[i].state == FEATURE_PRESENT ? '+' : '-',
		       feature_rows[i].name);
		sep = " ";
	}
	if (*sep == ' ')
		putchar('\n');
}

static void print_table(const struct plan *p)
{
	struct plan_slot *const *slot;
	struct tally t = {0};

	print_features(p->run->features);
	vec_for_each (&p->slots, slot) {
		printf("%s %d\n", slot_names[(*slot)->kind], (*slot)->tid);
		print_steps(p, *slot, &t);
		count_slot(&t, *slot);
	}
	printf("tasks: %u, further threads: %u, helper tasks: %u; "
	       "steps: %u, of them system calls: %u, meeting points: %u\n",
	       t.tasks, t.threads, t.helpers, t.steps, t.calls, t.meetings);
}

static struct json_object *json_step(const struct plan *p, uint32_t i)
{
	const struct step *s = &p->steps.at[i];
	struct json_object *o = json_object_new_object();
	char call[512], why[256];
	struct out c = {call, 0, sizeof(call)}, w = {why, 0, sizeof(why)};

	why[0] = 0;
	put_call(&c, p, s);
	put_why(&w, s);
	json_object_object_add(o, "step", json_object_new_int64(i));
	json_object_object_add(o, "phase", json_object_new_string(phase_name(s->phase)));
	json_object_object_add(o, "call", json_object_new_string(call));
	json_object_object_add(o, "why", json_object_new_string(why));
	return o;
}

static struct json_object *json_slot(const struct plan *p, const struct plan_slot *slot)
{
	struct json_object *o = json_object_new_object(), *steps = json_object_new_array();
	unsigned int phase;
	uint32_t i;

	json_object_object_add(o, "kind", json_object_new_string(slot_names[slot->kind]));
	json_object_object_add(o, "id", json_object_new_int(slot->tid));
	json_object_object_add(o, "steps", steps);
	for (phase = 0; phase < PHASE_COUNT; phase++)
		for (i = slot->head[phase]; i != NO_STEP; i = p->steps.at[i].next)
			if (!(p->steps.at[i].flags & STUB_SKIP))
				json_object_array_add(steps, json_step(p, i));
	return o;
}

static void print_json(const struct plan *p)
{
	struct json_object *top = json_object_new_object(), *slots = json_object_new_array();
	struct json_object *features = json_object_new_object();
	const struct features *f = p->run->features;
	struct plan_slot *const *slot;
	int i;

	for (i = 0; i < N_FEATURES; i++)
		if (f->at[i].state != FEATURE_UNASKED)
			json_object_object_add(
				features, feature_rows[i].name,
				json_object_new_boolean(f->at[i].state == FEATURE_PRESENT));
	vec_for_each (&p->slots, slot)
		json_object_array_add(slots, json_slot(p, *slot));
	json_object_object_add(top, "features", features);
	json_object_object_add(top, "tasks", slots);
	puts(json_object_to_json_string_ext(top, JSON_C_TO_STRING_PRETTY));
	json_object_put(top);
}

void print_plan(const struct plan *p)
{
	if (p->run->opt.json)
		print_json(p);
	else
		print_table(p);
}

/* With -v4: the steps of every task, in its own log if --log-pid asks for that. */
void log_plan(const struct plan *p)
{
	const struct log *log = &p->run->log;
	struct plan_slot *const *slot;
	unsigned int phase;
	char text[768];
	uint32_t i;

	if (log->fd < 0 || log->level < LOG_DEBUG)
		return;
	vec_for_each (&p->slots, slot) {
		for (phase = 0; phase < PHASE_COUNT; phase++) {
			for (i = (*slot)->head[phase]; i != NO_STEP; i = p->steps.at[i].next) {
				print_step(p, &p->steps.at[i], text, sizeof(text));
				log_task(log, (*slot)->tid, LOG_DEBUG, "%d: %s: %s", (*slot)->tid,
					 phase_name(phase), text);
			}
		}
	}
}
