// SPDX-License-Identifier: GPL-2.0-only
#include "lib/parallel.h"

#include <pthread.h>
#include <stdbool.h>

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
