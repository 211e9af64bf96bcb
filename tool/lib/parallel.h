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

#endif
