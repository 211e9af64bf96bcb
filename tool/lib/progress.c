// SPDX-License-Identifier: GPL-2.0-only
#include "lib/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_AFTER_MS 700
#define THEN_EVERY_MS  120

static void set_next(struct timespec *t, long ms)
{
	t->tv_nsec += ms * 1000000;
	t->tv_sec += t->tv_nsec / 1000000000;
	t->tv_nsec %= 1000000000;
}

void progress_start(struct progress *p, const struct run *run, const char *what, uint64_t total,
		    bool bytes)
{
	const char *term = getenv("TERM");

	memset(p, 0, sizeof(*p));
	p->what = what;
	p->total = total;
	p->bytes = bytes;
	p->on = run->opt.verbosity && isatty(STDERR_FILENO) && (!term || strcmp(term, "dumb")) &&
		(run->log.fd != STDERR_FILENO || run->log.level < LOG_INFO);
	clock_gettime(CLOCK_MONOTONIC, &p->next);
	set_next(&p->next, FIRST_AFTER_MS);
}

static void draw(struct progress *p)
{
	char line[120];
	int n;

	if (p->bytes)
		n = snprintf(line, sizeof(line), "\r%s: %.1f", p->what, p->done / 1048576.0);
	else
		n = snprintf(line, sizeof(line), "\r%s: %llu", p->what,
			     (unsigned long long)p->done);
	if (p->total && p->bytes)
		n += snprintf(line + n, sizeof(line) - n, " of %.1f MiB", p->total / 1048576.0);
	else if (p->bytes)
		n += snprintf(line + n, sizeof(line) - n, " MiB");
	else if (p->total)
		n += snprintf(line + n, sizeof(line) - n, " of %llu", (unsigned long long)p->total);
	if (p->total)
		n += snprintf(line + n, sizeof(line) - n, " (%u%%)",
			      (unsigned int)(p->done * 100.0 / p->total));
	n += snprintf(line + n, sizeof(line) - n, "\033[K");
	/* A terminal that takes no more is no reason to stop. */
	p->drawn = write(STDERR_FILENO, line, n) == n;
}

/* Not more often than it can be read. */
static void draw_at_times(struct progress *p)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec < p->next.tv_sec ||
	    (now.tv_sec == p->next.tv_sec && now.tv_nsec < p->next.tv_nsec))
		return;
	p->next = now;
	set_next(&p->next, THEN_EVERY_MS);
	draw(p);
}

void progress_add(struct progress *p, uint64_t more)
{
	__atomic_fetch_add(&p->done, more, __ATOMIC_RELAXED);
	if (!p->on || __atomic_exchange_n(&p->busy, true, __ATOMIC_ACQUIRE))
		return;
	draw_at_times(p);
	__atomic_store_n(&p->busy, false, __ATOMIC_RELEASE);
}

void progress_end(struct progress *p)
{
	if (p->drawn && write(STDERR_FILENO, "\r\033[K", 4) != 4)
		p->on = false;
	p->drawn = false;
}
