// SPDX-License-Identifier: GPL-2.0-only
#include "lib/parallel.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "lib/cleanup.h"

/* Fewer are done before a thread has started. */
#define ENOUGH 8

struct work {
	size_t n;
	size_t next; /* atomic */
	int error;   /* the first; atomic */
	int (*f)(void *context, size_t i);
	void *theirs;
};

static void take_part(struct work *w, void *context)
{
	int none, ret;
	size_t i;

	while (!__atomic_load_n(&w->error, __ATOMIC_ACQUIRE)) {
		i = __atomic_fetch_add(&w->next, 1, __ATOMIC_ACQ_REL);
		if (i >= w->n)
			break;
		ret = w->f(context, i);
		none = 0;
		if (ret < 0)
			__atomic_compare_exchange_n(&w->error, &none, ret, false, __ATOMIC_ACQ_REL,
						    __ATOMIC_ACQUIRE);
	}
}

static void *help(void *arg)
{
	struct work *w = arg;

	take_part(w, w->theirs);
	return NULL;
}

int parallel_for(size_t n, int (*f)(void *context, size_t i), void *mine, void *theirs)
{
	struct work w = {.n = n, .f = f, .theirs = theirs};
	pthread_t helper;
	bool helped = n >= ENOUGH && !pthread_create(&helper, NULL, help, &w);

	take_part(&w, mine);
	if (helped)
		pthread_join(helper, NULL);
	return w.error;
}

/* --- in order -------------------------------------------------------------- */

struct line {
	size_t n, depth;
	size_t next; /* to be made */
	size_t used;
	bool ends;
	bool *made; /* of the @depth things behind the used ones */
	void (*make)(void *context, size_t i);
	void *context;
	pthread_mutex_t lock;
	pthread_cond_t changed;
};

/* Called with the lock, which it lets go of meanwhile. False: there is nothing to make now. */
static bool make_next(struct line *l)
{
	size_t i = l->next;

	if (l->ends || i >= l->n || i >= l->used + l->depth)
		return false;
	l->next++;
	pthread_mutex_unlock(&l->lock);
	l->make(l->context, i);
	pthread_mutex_lock(&l->lock);
	l->made[i % l->depth] = true;
	pthread_cond_broadcast(&l->changed);
	return true;
}

static void *help_in_order(void *arg)
{
	struct line *l = arg;

	pthread_mutex_lock(&l->lock);
	while (!l->ends && l->next < l->n)
		if (!make_next(l))
			pthread_cond_wait(&l->changed, &l->lock);
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

static void wait_until_made(struct line *l, size_t i)
{
	pthread_mutex_lock(&l->lock);
	while (!l->made[i % l->depth])
		if (!make_next(l))
			pthread_cond_wait(&l->changed, &l->lock);
	l->made[i % l->depth] = false;
	pthread_mutex_unlock(&l->lock);
}

static void tell(struct line *l, size_t used, bool ends)
{
	pthread_mutex_lock(&l->lock);
	l->used = used;
	l->ends = ends;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
}

int parallel_in_order(size_t n, size_t depth, void (*make)(void *context, size_t i),
		      int (*use)(void *context, size_t i), void (*drop)(void *context, size_t i),
		      void *context)
{
	_cleanup_free_ bool *made = calloc(depth, sizeof(*made));
	struct line l = {.n = n,
			 .depth = depth,
			 .made = made,
			 .make = make,
			 .context = context,
			 .lock = PTHREAD_MUTEX_INITIALIZER,
			 .changed = PTHREAD_COND_INITIALIZER};
	pthread_t helper;
	bool helped;
	int ret = 0;

	if (!made)
		return -ENOMEM;
	helped = !pthread_create(&helper, NULL, help_in_order, &l);
	while (!ret && l.used < n) {
		wait_until_made(&l, l.used);
		ret = use(context, l.used);
		tell(&l, l.used + 1, false);
	}
	tell(&l, l.used, true);
	if (helped)
		pthread_join(helper, NULL);
	for (; l.used < l.next; l.used++)
		drop(context, l.used);
	return ret;
}

/* --- one behind the other -------------------------------------------------- */

/* The helper sleeps until so many are led: waking it for each would cost more than it does. */
#define FAR 8

struct pursuit {
	size_t n, led, followed;
	int error; /* the first */
	bool done; /* leading */
	int (*follow)(void *context, size_t i);
	void *theirs;
	pthread_mutex_t lock;
	pthread_cond_t changed;
};

static void set_error(struct pursuit *p, int ret)
{
	if (ret < 0 && !p->error)
		p->error = ret;
}

/* Called with the lock, which it lets go of meanwhile. */
static void follow_next(struct pursuit *p, void *context)
{
	size_t i = p->followed++;
	int ret;

	pthread_mutex_unlock(&p->lock);
	ret = p->follow(context, i);
	pthread_mutex_lock(&p->lock);
	set_error(p, ret);
}

static void *pursue(void *arg)
{
	struct pursuit *p = arg;

	pthread_mutex_lock(&p->lock);
	while (!p->error && !(p->done && p->followed == p->led)) {
		if (p->followed == p->led)
			while (!p->error && !p->done && p->led < p->followed + FAR)
				pthread_cond_wait(&p->changed, &p->lock);
		else
			follow_next(p, p->theirs);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* Called with the lock, which it lets go of meanwhile. */
static void lead_all(struct pursuit *p, int (*lead)(void *context, size_t i), void *mine)
{
	int ret;

	while (!p->error && p->led < p->n) {
		pthread_mutex_unlock(&p->lock);
		ret = lead(mine, p->led); /* nobody else changes it */
		pthread_mutex_lock(&p->lock);
		set_error(p, ret);
		if (ret >= 0 && ++p->led == p->followed + FAR)
			pthread_cond_signal(&p->changed);
	}
	p->done = true;
	pthread_cond_signal(&p->changed);
}

int parallel_behind(size_t n, int (*lead)(void *context, size_t i),
		    int (*follow)(void *context, size_t i), void *mine, void *theirs)
{
	struct pursuit p = {.n = n,
			    .follow = follow,
			    .theirs = theirs,
			    .lock = PTHREAD_MUTEX_INITIALIZER,
			    .changed = PTHREAD_COND_INITIALIZER};
	pthread_t helper;
	bool helped = n >= ENOUGH && !pthread_create(&helper, NULL, pursue, &p);

	pthread_mutex_lock(&p.lock);
	lead_all(&p, lead, mine);
	while (!p.error && p.followed < p.led)
		follow_next(&p, mine);
	pthread_mutex_unlock(&p.lock);
	if (helped)
		pthread_join(helper, NULL);
	return p.error;
}
