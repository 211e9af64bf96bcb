// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <json-c/json.h>

#include "cli/monitor_show.h"

static void add(struct json_object *o, const char *key, uint64_t v)
{
	json_object_object_add(o, key, json_object_new_uint64(v));
}

static void add_text(struct json_object *o, const char *key, const char *v)
{
	json_object_object_add(o, key, json_object_new_string(v));
}

static void add_flag(struct json_object *o, const char *key, bool v)
{
	json_object_object_add(o, key, json_object_new_boolean(v));
}

static struct json_object *names(uint32_t bits, const char *const *list, size_t n)
{
	struct json_object *a = json_object_new_array();

	for (size_t i = 0; i < n; i++)
		if (bits & 1u << i)
			json_object_array_add(a, json_object_new_string(list[i]));
	return a;
}

static struct json_object *doubts(uint32_t bits)
{
	static const char *const list[] = {"no-record",	  "birth-unseen", "line-guessed",
					   "line-broken", "events-cut",	  "moving",
					   "changes-late"};

	return names(bits, list, sizeof(list) / sizeof(list[0]));
}

static struct json_object *flags(uint32_t bits)
{
	static const char *const list[] = {
		"old",	     "lost",	      "clone-parent", "thread-forked",
		"subreaper", "leader-exited", "ns-init",      "kernel-born",
	};

	return names(bits, list, sizeof(list) / sizeof(list[0]));
}

static struct json_object *kin(const struct show *s, const struct monitor_kin *k)
{
	static const char *const states[] = {"free", "alive", "zombie", "gone"};
	struct json_object *o;
	ssize_t i = show_find_tgid(s, k->tgid, k->start);

	if (!k->id)
		return NULL;
	o = json_object_new_object();
	add(o, "pid", i >= 0 ? s->tasks.at[i].pid : 0);
	add(o, "host_pid", k->tgid);
	add(o, "own_ns_pid", k->nr);
	add(o, "start_ns", k->start);
	add(o, "steps", k->steps);
	add_text(o, "state", k->state < 4 ? states[k->state] : "?");
	return o;
}

static struct json_object *member(const struct caba_member *m, pid_t now)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "pid", json_object_new_int(now));
	add(o, "host_pid", m->nr);
	add_text(o, "how", monitor_how(m->how));
	add(o, "when_ns", m->when);
	add(o, "by_host_pid", m->by);
	add(o, "birth_host_pid", m->birth_nr);
	return o;
}

static struct json_object *events(const struct caba_rec *r)
{
	struct json_object *a = json_object_new_array();
	uint32_t i = r->nr_events > CABA_EVENTS ? r->nr_events - CABA_EVENTS : 0;

	for (; i < r->nr_events; i++) {
		const struct caba_event *e = &r->events[i % CABA_EVENTS];
		struct json_object *o = json_object_new_object();

		add_text(o, "what", monitor_what(e->what));
		add(o, "when_ns", e->when);
		add(o, "from", e->a);
		add(o, "to", e->b);
		add(o, "by_host_pid", e->by);
		json_object_array_add(a, o);
	}
	return a;
}

static struct json_object *pids(const struct monitor_record *r)
{
	struct json_object *a = json_object_new_array();

	for (uint32_t l = 0; l <= r->rec.level && l < CABA_LEVELS; l++) {
		struct json_object *o = json_object_new_object();

		add(o, "pid", r->pids[l].nr);
		add(o, "ns", r->pids[l].ns);
		json_object_array_add(a, o);
	}
	return a;
}

static struct json_object *birth(const struct caba_rec *r)
{
	struct json_object *o;

	if (r->flags & (CABA_OLD | CABA_LOST))
		return NULL;
	o = json_object_new_object();
	add(o, "host_pid", r->parent_tgid);
	add(o, "host_tid", r->parent_tid);
	add(o, "own_ns_pid", r->parent_nr);
	add(o, "start_ns", r->parent_start);
	add_text(o, "comm", r->parent_comm);
	add(o, "real_parent_host_pid", r->real_parent);
	return o;
}

static struct json_object *task(const struct show *s, size_t i)
{
	const struct monitor_record *r = &s->births[i].record;
	const struct show_task *t = &s->tasks.at[i];
	struct json_object *o = json_object_new_object();
	ssize_t up = s->births[i].up;

	add(o, "pid", t->pid);
	add_text(o, "comm", t->comm);
	add_flag(o, "zombie", t->state == 'Z');
	add_flag(o, "complete", !r->doubts);
	json_object_object_add(o, "doubts", doubts(r->doubts));
	json_object_object_add(o, "parent", json_object_new_int(t->parent));
	if (r->doubts & MONITOR_NO_RECORD)
		return o;
	json_object_object_add(o, "pids", pids(r));
	add(o, "start_ns", r->rec.start);
	json_object_object_add(o, "flags", flags(r->rec.flags));
	json_object_object_add(o, "born_of", birth(&r->rec));
	json_object_object_add(o, "caba", kin(s, &r->caba));
	json_object_object_add(o, "nearest_with_pid", kin(s, &r->nearest));
	json_object_object_add(o, "above", json_object_new_int(up));
	json_object_object_add(o, "session", member(&r->rec.session, t->session));
	json_object_object_add(o, "group", member(&r->rec.group, t->group));
	add(o, "execs", r->rec.execs);
	add(o, "events_total", r->rec.nr_events);
	json_object_object_add(o, "events", events(&r->rec));
	return o;
}

static struct json_object *joint(const struct monitor_birth *b)
{
	struct json_object *o = json_object_new_object();

	add(o, "host_pid", b->record.rec.tgid);
	add(o, "start_ns", b->record.rec.start);
	add_flag(o, "gone", b->record.state == CABA_GONE);
	json_object_object_add(o, "above", json_object_new_int(b->up));
	return o;
}

int show_json(const struct show *s, ssize_t only, FILE *out)
{
	struct json_object *o, *tasks, *joints;
	int r;

	if (only >= 0) {
		o = task(s, only);
	} else {
		o = json_object_new_object();
		tasks = json_object_new_array();
		joints = json_object_new_array();
		for (size_t i = 0; i < s->n_births; i++)
			json_object_array_add(i < s->tasks.n ? tasks : joints,
					      i < s->tasks.n ? task(s, i) : joint(&s->births[i]));
		/* `above` counts through both arrays. */
		json_object_object_add(o, "tasks", tasks);
		json_object_object_add(o, "joints", joints);
	}
	r = fprintf(out, "%s\n",
		    json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY |
							      JSON_C_TO_STRING_SPACED));
	json_object_put(o);
	return r < 0 ? -EIO : 0;
}
