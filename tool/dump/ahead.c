// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of a task with many mappings, dumped by a second thread while the list of its
 * mappings is still being read: the kernel takes about as long to write an entry of
 * smaps as to hand out a page. The thread ends with the list; what it has not come to
 * is dumped where the pages of all tasks are.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "dump/pages.h"

/* Mappings that the reader hands over at a time. Fewer are read before a thread pays. */
#define ENOUGH 512

/* Memory in large mappings takes longer than any list: it comes later, with progress shown. */
#define LARGE (16ull << 20)

struct ahead {
	/* The thread's own. */
	struct run run;
	struct dump dump;
	struct dump_task *dt;
	pthread_t thread;
	/* Both threads', under the lock. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	area_vec queue;
	size_t n_taken;
	bool ended;
	int error;
	/* The reader's. */
	bool runs;
	size_t n_given; /* of dt->vmas */
	bool enough;	/* nothing is given any more */
};

/* Up to ENOUGH areas of the queue, waiting for the first; 0 when it is to end. */
static size_t take(struct ahead *a, struct page_area *areas)
{
	size_t n = 0;

	pthread_mutex_lock(&a->lock);
	while (!a->ended && a->n_taken == a->queue.n)
		pthread_cond_wait(&a->changed, &a->lock);
	if (!a->ended) {
		n = a->queue.n - a->n_taken;
		n = n < ENOUGH ? n : ENOUGH;
		memcpy(areas, a->queue.at + a->n_taken, n * sizeof(*areas));
		a->n_taken += n;
	}
	pthread_mutex_unlock(&a->lock);
	return n;
}

static void *work(void *arg)
{
	struct page_area areas[ENOUGH];
	struct ahead *a = arg;
	size_t n;

	while (!a->error && (n = take(a, areas))) {
		a->error = page_dump_areas(&a->dump, a->dt->pages, areas, n);
		a->dt->n_ahead += n;
	}
	return NULL;
}

static int start(struct ahead *a, struct dump *d, struct dump_task *dt)
{
	int ret;

	a->run = *d->run;
	a->dump = *d;
	a->dump.run = &a->run;
	dt->pages_id = ++d->last_pages_id;
	ret = page_dump_start(d, dt);
	if (ret)
		return ret;
	a->runs = !pthread_create(&a->thread, NULL, work, a);
	a->enough = !a->runs;
	return 0;
}

static int give(struct ahead *a, struct dump_task *dt)
{
	int ret;

	pthread_mutex_lock(&a->lock);
	ret = page_areas(dt, a->n_given, &a->queue);
	pthread_cond_signal(&a->changed);
	pthread_mutex_unlock(&a->lock);
	a->n_given = dt->vmas.n;
	return ret;
}

static bool is_large(const struct dump_task *dt, size_t i)
{
	const VmaEntry *e = dt->task->mm->vmas.at[i].msg;

	return dt->vmas.at[i].private_anon && e->end - e->start > LARGE;
}

int ahead_add(struct dump *d, struct dump_task *dt)
{
	struct ahead *a = dt->ahead;
	int ret = 0;

	if (!a) {
		a = dt->ahead = calloc(1, sizeof(*a));
		if (!a)
			return fail(&d->run->err, -ENOMEM, "task %d: read its mappings", dt->pid);
		a->dt = dt;
		pthread_mutex_init(&a->lock, NULL);
		pthread_cond_init(&a->changed, NULL);
	}
	a->enough |= is_large(dt, dt->vmas.n - 1);
	if (a->enough || dt->vmas.n < a->n_given + ENOUGH)
		return 0;
	if (!a->runs)
		ret = start(a, d, dt);
	if (!ret && a->runs && give(a, dt))
		ret = fail(&d->run->err, -ENOMEM, "task %d: list its mappings", dt->pid);
	return ret;
}

int ahead_end(struct dump *d, struct dump_task *dt, int ret)
{
	struct ahead *a = dt->ahead;

	if (!a)
		return ret;
	dt->ahead = NULL;
	if (a->runs) {
		pthread_mutex_lock(&a->lock);
		a->ended = true;
		pthread_cond_signal(&a->changed);
		pthread_mutex_unlock(&a->lock);
		pthread_join(a->thread, NULL);
	}
	if (!ret && a->error) {
		ret = a->error;
		d->run->err = a->run.err;
	}
	pthread_cond_destroy(&a->changed);
	pthread_mutex_destroy(&a->lock);
	vec_free(&a->queue);
	free(a);
	return ret;
}
