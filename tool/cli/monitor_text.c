// SPDX-License-Identifier: GPL-2.0-only
/* What happened to whom. */
#include <stdarg.h>
#include <string.h>

#include "cli/monitor_show.h"
#include "lib/cleanup.h"

/* Holds the events that are kept, and more. */
struct text {
	char at[640];
	size_t len;
};

static void put(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->at + t->len, sizeof(t->at) - t->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len += n;
	if (t->len >= sizeof(t->at))
		t->len = sizeof(t->at) - 1;
}

/* A process by what it is to the caller: its pid, or that of the initial namespace. */
static void name(const struct show *s, uint32_t tgid, uint64_t start, uint32_t nr, struct text *t)
{
	ssize_t i = show_find_tgid(s, tgid, start);

	if (i >= 0)
		put(t, "%d", s->tasks.at[i].pid);
	else if (nr)
		put(t, "(%u)", nr);
	else
		put(t, "-");
}

static bool own_ns(const struct show *s, const struct caba_rec *r)
{
	return r->level < CABA_INLINE && r->pids[r->level].ns == s->ns;
}

static void born_of(const struct show *s, const struct caba_rec *r, struct text *t)
{
	if (r->flags & CABA_KERNEL_BORN)
		put(t, "kernel");
	else if (r->flags & (CABA_OLD | CABA_LOST) || !r->tgid)
		put(t, "?");
	else
		name(s, r->parent_tgid, r->parent_start, own_ns(s, r) ? r->parent_nr : 0, t);
}

static void caba(const struct show *s, const struct monitor_record *r, struct text *t)
{
	if (r->doubts & MONITOR_NO_RECORD || (!r->caba.id && r->doubts & MONITOR_LINE_BROKEN))
		put(t, "?");
	else if (!r->caba.id)
		put(t, "kernel");
	else
		name(s, r->caba.tgid, r->caba.start, r->caba.ns == s->ns ? r->caba.nr : 0, t);
	if (r->caba.id && r->doubts & MONITOR_LINE_GUESSED)
		put(t, "?");
}

static void event(const struct show *s, const struct caba_event *e, struct text *t)
{
	struct text a = {0}, b = {0}, by = {0};

	name(s, e->a, 0, s->ns ? 0 : e->a, &a);
	name(s, e->b, 0, 0, &b);
	name(s, e->by, 0, 0, &by);
	if (!strcmp(a.at, "-"))
		snprintf(a.at, sizeof(a.at), "(%u)", e->a);
	if (!strcmp(b.at, "-"))
		snprintf(b.at, sizeof(b.at), "(%u)", e->b);
	switch (e->what) {
	case CABA_EV_SESSION:
		put(t, "session %s > %s", a.at, b.at);
		break;
	case CABA_EV_GROUP:
		put(t, "group %s > %s", a.at, b.at);
		break;
	case CABA_EV_REPARENT:
		put(t, e->b ? "parent %s > %s" : "parent %s died", a.at, b.at);
		return;
	case CABA_EV_SUBREAPER:
		put(t, "subreaper %s", e->b ? "on" : "off");
		return;
	case CABA_EV_EXEC_THREAD:
		put(t, "exec in thread %u", e->a);
		return;
	case CABA_EV_LEADER_EXIT:
		put(t, "leader exited");
		return;
	default:
		put(t, "%s", monitor_what(e->what));
		return;
	}
	if (strcmp(by.at, "-"))
		put(t, " by %s", by.at);
}

/* Events from the oldest that is kept. */
static const struct caba_event *event_at(const struct caba_rec *r, uint32_t i)
{
	uint32_t first = r->nr_events > CABA_EVENTS ? r->nr_events - CABA_EVENTS : 0;

	return first + i < r->nr_events ? &r->events[(first + i) % CABA_EVENTS] : NULL;
}

static void what_happened(const struct show *s, const struct monitor_record *r, struct text *t)
{
	const struct caba_event *e;
	const char *sep = "";

	if (r->doubts & MONITOR_NO_RECORD) {
		put(t, "no record");
		return;
	}
	if (r->rec.flags & CABA_LOST)
		put(t, "birth lost%s", (sep = "; "));
	if (r->rec.flags & CABA_CLONE_PARENT)
		put(t, "born a sibling%s", (sep = "; "));
	if (r->rec.flags & CABA_THREAD_FORKED)
		put(t, "born of thread %u%s", r->rec.parent_tid, (sep = "; "));
	if (r->doubts & MONITOR_EVENTS_CUT)
		put(t, "%u earlier; ", r->rec.nr_events - CABA_EVENTS);
	for (uint32_t i = 0; (e = event_at(&r->rec, i)); i++) {
		event(s, e, t);
		put(t, "; ");
	}
	if (t->len >= 2 && !strcmp(t->at + t->len - 2, "; "))
		t->at[t->len -= 2] = '\0';
}

static void row(const struct show *s, size_t i, FILE *out)
{
	const struct monitor_record *r = &s->births[i].record;
	const struct show_task *t = &s->tasks.at[i];
	struct text born = {0}, c = {0}, session = {0}, group = {0}, what = {0};

	born_of(s, &r->rec, &born);
	caba(s, r, &c);
	put(&session, "%d %s", t->session, monitor_how(r->rec.session.how));
	put(&group, "%d %s", t->group, monitor_how(r->rec.group.how));
	what_happened(s, r, &what);
	fprintf(out, "%7d %-15s %8s %8s %7d  %-16s %-16s %s\n", t->pid, t->comm, born.at, c.at,
		t->parent, session.at, group.at, what.at);
}

static const char header[] =
	"    PID COMMAND          BORN-OF     CABA  PARENT  SESSION          GROUP            WHAT HAPPENED\n";

int show_text(const struct show *s, FILE *out)
{
	int r = show_trees(s, out);

	if (r)
		return r;
	fprintf(out, "\n%s", header);
	for (size_t i = 0; i < s->tasks.n; i++)
		row(s, i, out);
	fprintf(out,
		"\n? not seen, or resting on a guess: older than the monitor, or its record was lost\n"
		"() a process that is gone, or not visible from this pid namespace\n");
	return 0;
}

static void doubts_text(uint32_t doubts, FILE *out)
{
	static const struct {
		uint32_t bit;
		const char *text;
	} rows[] = {
		{MONITOR_NO_RECORD, "there is no record of it"},
		{MONITOR_BIRTH_UNSEEN, "its birth was not seen"},
		{MONITOR_LINE_GUESSED,
		 "its line of births rests on a parent not seen giving birth"},
		{MONITOR_LINE_BROKEN, "its line of births ends in the unknown"},
		{MONITOR_EVENTS_CUT, "its earliest changes are not kept"},
		{MONITOR_MOVING, "it changed while it was read"},
		{MONITOR_CHANGES_LATE,
		 "changes of session and group between its events are not seen"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (doubts & rows[i].bit)
			fprintf(out, "incomplete  %s\n", rows[i].text);
	if (!doubts)
		fprintf(out, "complete    its birth and every change were seen\n");
}

static void member_text(const char *what, const struct caba_member *m, pid_t now, FILE *out)
{
	fprintf(out, "%-11s %d, %s", what, now, monitor_how(m->how));
	if (m->by)
		fprintf(out, " by %u", m->by);
	if (m->birth_nr && m->birth_nr != m->nr)
		fprintf(out, "; born into %u", m->birth_nr);
	fprintf(out, " (initial namespace: %u), at %.6f s\n", m->nr, m->when / 1e9);
}

void show_text_one(const struct show *s, size_t i, FILE *out)
{
	const struct monitor_record *r = &s->births[i].record;
	const struct show_task *task = &s->tasks.at[i];
	struct text born = {0}, c = {0};
	const struct caba_event *e;

	fprintf(out, "process     %d %s%s\n", task->pid, task->comm,
		task->state == 'Z' ? " (zombie)" : "");
	doubts_text(r->doubts, out);
	if (r->doubts & MONITOR_NO_RECORD)
		return;
	fprintf(out, "pids       ");
	for (uint32_t l = 0; l <= r->rec.level && l < CABA_LEVELS; l++)
		fprintf(out, " %u", r->pids[l].nr);
	fprintf(out, " (from the initial namespace down)\nstarted     %.6f s after boot\n",
		r->rec.start / 1e9);
	born_of(s, &r->rec, &born);
	fprintf(out, "born of     %s %.16s%s\n", born.at, r->rec.parent_comm,
		r->rec.flags & CABA_CLONE_PARENT ? " (as its sibling: CLONE_PARENT)" : "");
	if (r->rec.flags & CABA_THREAD_FORKED)
		fprintf(out, "            by its thread %u\n", r->rec.parent_tid);
	caba(s, r, &c);
	fprintf(out, "caba        %s", c.at);
	if (r->caba.id)
		fprintf(out, ", %u generation%s up", r->caba.steps, r->caba.steps == 1 ? "" : "s");
	fprintf(out, "\nparent      %d\n", task->parent);
	member_text("session", &r->rec.session, task->session, out);
	member_text("group", &r->rec.group, task->group, out);
	fprintf(out, "executed    %u time%s\nsubreaper   %s\n", r->rec.execs,
		r->rec.execs == 1 ? "" : "s", r->rec.flags & CABA_SUBREAPER ? "yes" : "no");
	for (uint32_t n = 0; (e = event_at(&r->rec, n)); n++) {
		struct text t = {0};

		event(s, e, &t);
		fprintf(out, "at %.6f s: %s\n", e->when / 1e9, t.at);
	}
}
