// SPDX-License-Identifier: GPL-2.0-only
/* caba.img: what the process-tree monitor knows of the tasks, when it runs. */
#include <errno.h>
#include <string.h>

#include "dump/state.h"
#include "image/image.h"
#include "lib/cleanup.h"
#include "monitor/monitor.h"

/* One entry with room for all that it points to. */
struct entry {
	CabaEntry msg;
	CabaBirthEntry birth;
	CabaMemberEntry session, group;
	CabaPidEntry pids[CABA_LEVELS], *pids_at[CABA_LEVELS];
	CabaEventEntry events[CABA_EVENTS], *events_at[CABA_EVENTS];
	char comm[CABA_COMM + 1];
};

static void fill_member(CabaMemberEntry *e, const struct caba_member *m)
{
	caba_member_entry__init(e);
	e->how = m->how;
	e->host_pid = m->nr;
	e->has_when = true;
	e->when = m->when;
	e->has_by_host_pid = m->by != 0;
	e->by_host_pid = m->by;
	e->has_birth_host_pid = m->birth_nr != 0;
	e->birth_host_pid = m->birth_nr;
}

static void fill_birth(struct entry *e, const struct caba_rec *r)
{
	caba_birth_entry__init(&e->birth);
	e->birth.host_pid = r->parent_tgid;
	e->birth.host_tid = r->parent_tid;
	e->birth.start = r->parent_start;
	e->birth.has_pid = r->parent_nr != 0;
	e->birth.pid = r->parent_nr;
	memcpy(e->comm, r->parent_comm, CABA_COMM);
	/* Names are bytes, strings of messages UTF-8. */
	for (char *c = e->comm; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	e->birth.comm = e->comm;
	e->msg.birth = &e->birth;
}

static void fill_events(struct entry *e, const struct caba_rec *r)
{
	uint32_t i = r->nr_events > CABA_EVENTS ? r->nr_events - CABA_EVENTS : 0;

	e->msg.events = e->events_at;
	for (; i < r->nr_events; i++) {
		const struct caba_event *from = &r->events[i % CABA_EVENTS];
		CabaEventEntry *to = &e->events[e->msg.n_events];

		caba_event_entry__init(to);
		to->what = from->what;
		to->when = from->when;
		to->has_from = to->has_to = true;
		to->from = from->a;
		to->to = from->b;
		to->has_by_host_pid = from->by != 0;
		to->by_host_pid = from->by;
		e->events_at[e->msg.n_events++] = to;
	}
}

static void fill_pids(struct entry *e, const struct monitor_record *r)
{
	e->msg.pids = e->pids_at;
	for (uint32_t l = 0; l <= r->rec.level && l < CABA_LEVELS; l++) {
		CabaPidEntry *p = &e->pids[l];

		caba_pid_entry__init(p);
		p->pid = r->pids[l].nr;
		p->ns = r->pids[l].ns;
		e->pids_at[e->msg.n_pids++] = p;
	}
}

static void fill_record(struct entry *e, const struct monitor_record *r)
{
	e->msg.has_flags = true;
	e->msg.flags = r->rec.flags;
	e->msg.has_caba_host_pid = e->msg.has_caba_start = r->caba.id != 0;
	e->msg.caba_host_pid = r->caba.tgid;
	e->msg.caba_start = r->caba.start;
	if (!(r->rec.flags & (CABA_OLD | CABA_LOST)))
		fill_birth(e, &r->rec);
	fill_member(&e->session, &r->rec.session);
	fill_member(&e->group, &r->rec.group);
	e->msg.session = &e->session;
	e->msg.group = &e->group;
	fill_pids(e, r);
	fill_events(e, &r->rec);
}

static int write_entry(struct image_writer *w, const struct monitor_birth *b, const struct task *t)
{
	_cleanup_free_ struct entry *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	caba_entry__init(&e->msg);
	e->msg.has_pid = t != NULL;
	e->msg.pid = t ? task_pid(t) : 0;
	e->msg.host_pid = b->record.rec.tgid;
	e->msg.start = b->record.rec.start;
	e->msg.has_above = b->up >= 0;
	e->msg.above = b->up >= 0 ? b->up : 0;
	e->msg.doubts = b->record.doubts;
	e->msg.above_doubts = b->doubts;
	if (t && !(b->record.doubts & MONITOR_NO_RECORD))
		fill_record(e, &b->record);
	return image_write(w, &e->msg.base);
}

static int write_all(struct dump *d, const struct monitor_birth *births, size_t n)
{
	struct image_writer *w;
	int ret = image_create(d->run->images_dirfd, IMG_CABA, 0, &d->run->err, &w);
	int end;

	if (ret)
		return ret;
	for (size_t i = 0; !ret && i < n; i++)
		ret = write_entry(w, &births[i], i < d->cp->tasks.n ? d->cp->tasks.at[i] : NULL);
	if (ret == -ENOMEM)
		fail(&d->run->err, ret, "image caba.img: writing %zu entries", n);
	end = image_close(w);
	return ret ? ret : end;
}

/* Whatever an earlier dump left here is not of these tasks. */
static int remove_old(struct dump *d)
{
	char name[64];

	image_name(IMG_CABA, 0, name, sizeof(name));
	if (unlinkat(d->run->images_dirfd, name, 0) && errno != ENOENT)
		return fail(&d->run->err, -errno, "image %s: cannot remove the old one", name);
	return 0;
}

int dump_caba(struct dump *d)
{
	_cleanup_(cleanup_monitor) struct monitor *m = NULL;
	_cleanup_free_ struct monitor_birth *births = NULL;
	_cleanup_free_ pid_t *pids = NULL;
	struct error why = {0};
	size_t n = d->cp->tasks.n, n_births;
	int ret = remove_old(d);

	if (ret)
		return ret;
	ret = monitor_open(NULL, &why, &m);
	if (ret == -ENOENT)
		return 0;
	if (!ret) {
		pids = calloc(n, sizeof(*pids));
		if (!pids)
			return fail(&d->run->err, -ENOMEM, "asking the monitor for %zu tasks", n);
		for (size_t i = 0; i < n; i++)
			pids[i] = dump_of(d->cp->tasks.at[i])->pid;
		ret = monitor_walk(m, pids, n, &why, &births, &n_births);
	}
	if (ret) {
		/* A checkpoint is complete without it; who may not ask cannot know of one. */
		if (ret == -EPERM || ret == -EACCES)
			log_info(&d->run->log, "no caba.img: %s", why.text);
		else
			log_warn(&d->run->log, "no caba.img, the monitor cannot be asked: %s",
				 why.text);
		return 0;
	}
	return write_all(d, births, n_births);
}
