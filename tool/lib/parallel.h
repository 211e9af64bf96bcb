/* SPDX-License-Identifier: GPL-2.0-only */
/* The same work on many independent things, by two threads. */
#ifndef STASIS_LIB_PARALLEL_H
#define STASIS_LIB_PARALLEL_H

#include <stddef.h>

/*
 * Call f(context, i) once for every i below @n: here with @mine, and where there are enough
 * for a thread to pay, in a helper with @theirs. f may change what belongs to its context
 * and to i. The first negative result ends both; it is returned once both have ended.
 */
int parallel_for(size_t n, int (*f)(void *context, size_t i), void *mine, void *theirs);

/*
 * Things that are made by two threads and used in their order by one: make(context, i) here
 * and in a helper, up to @depth things ahead of use(context, i), which is called here only.
 * i and i + @depth are never there at once. Ends at @n or with the first result of use()
 * that is not 0, which is returned; what was made by then for nothing goes to drop().
 */
int parallel_in_order(size_t n, size_t depth, void (*make)(void *context, size_t i),
		      int (*use)(void *context, size_t i), void (*drop)(void *context, size_t i),
		      void *context);

/*
 * Two steps for each of many things: lead(mine, i) here, in order; follow(context, i) at some
 * time behind it, in a helper with @theirs, and here with @mine once all are led. Without a
 * helper (few things, no thread) here only, when all are led. Errors as parallel_for().
 */
int parallel_behind(size_t n, int (*lead)(void *context, size_t i),
		    int (*follow)(void *context, size_t i), void *mine, void *theirs);

#endif
