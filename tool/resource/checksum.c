// SPDX-License-Identifier: GPL-2.0-only
#include "resource/checksum.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <search.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/crc32c.h"

#define THREADS 2
#define PIECE	(128 * 1024) /* stays in the CPU's cache between read and checksum */
/* Bytes further apart than this are read one by one. */
#define FAR 4096
/* So much of a file is mapped at a time: not copied, it costs half. */
#define WINDOW (2 * 1024 * 1024)
/* Files that are open because they wait for a thread. */
#define WAITING 64

struct checksum {
	uint64_t dev, ino, size;
	enum checksum_extent extent;
	uint32_t n;
	int fd;	   /* our own */
	int error; /* negative errno */
	bool done;
	uint32_t value;
	struct checksum *next; /* in the queue */
};

/* What a thread sees of a file. */
struct window {
	uint8_t *at;
	size_t len;
	volatile sig_atomic_t lost; /* the file was cut off, or cannot be read, under our eyes */
};

/* It allocates nothing itself: at restore, what is mapped is known by then. */
struct worker {
	struct checksums *s;
	pthread_t thread;
	struct crc32c crc;
	uint8_t buf[PIECE];
};

struct checksums {
	void *known; /* tsearch(3) */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct checksum *first, **last;
	unsigned int waiting;
	struct worker *workers[THREADS];
	unsigned int n_threads;
	bool end;
	bool has_old_action;
	struct sigaction old_action; /* of SIGBUS */
};

/* --- looking without copying ------------------------------------------------ */

/* A handler of signals is told nothing else of whose fault it is: this thread's. */
static _Thread_local struct window *volatile looking_through;

/* In place of what is lost come zeros, and the thread finds out when it is through. */
static void on_bus_error(int sig, siginfo_t *info, void *context)
{
	struct window *w = looking_through;
	uint8_t *at = info->si_addr;

	if (w && at >= w->at && at < w->at + w->len &&
	    mmap(w->at, w->len, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == w->at)
		w->lost = 1;
	else
		signal(sig, SIG_DFL); /* a fault of ours: it comes again */
}

static void catch_bus_errors(struct checksums *s)
{
	struct sigaction act = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};

	s->has_old_action = !sigaction(SIGBUS, &act, &s->old_action);
}

static bool open_window(struct window *w, int fd, uint64_t at, size_t len)
{
	w->at = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, at);
	if (w->at == MAP_FAILED)
		return false;
	w->len = len;
	w->lost = 0;
	looking_through = w;
	/* Linux 5.14; nearly always it is what finds that something cannot be read. */
	return !madvise(w->at, len, MADV_POPULATE_READ);
}

static bool close_window(struct window *w)
{
	looking_through = NULL;
	if (w->at != MAP_FAILED)
		munmap(w->at, w->len);
	return !w->lost;
}

/* Every @every'th byte; @skip of them before the first. */
static void add_some(struct crc32c *crc, uint8_t *buf, const struct window *w, size_t skip,
		     uint32_t every)
{
	size_t i, k = 0;

	for (i = skip; i < w->len; i += every) {
		buf[k++] = w->at[i];
		if (k < PIECE)
			continue;
		crc32c_add(crc, buf, k);
		k = 0;
	}
	crc32c_add(crc, buf, k);
}

/* false: it has to be read after all. */
static bool sum_mapped(struct crc32c *crc, uint8_t *buf, int fd, uint64_t size, uint32_t every)
{
	struct window w = {.at = MAP_FAILED};
	uint64_t at;
	bool fine = true;

	for (at = 0; fine && at < size; at += WINDOW) {
		fine = open_window(&w, fd, at, size - at < WINDOW ? size - at : WINDOW);
		if (fine && every == 1)
			crc32c_add(crc, w.at, w.len);
		else if (fine)
			add_some(crc, buf, &w, (every - at % every) % every, every);
		fine &= close_window(&w);
	}
	return fine;
}

/* Holes of a file on tmpfs would be filled by looking at them. */
static bool is_mappable(int fd, uint64_t size)
{
	struct stat st;

	return !fstat(fd, &st) && (uint64_t)st.st_size == size &&
	       (uint64_t)st.st_blocks * 512 >= size && st.st_blksize < WINDOW;
}

/* --- computing -------------------------------------------------------------- */

static ssize_t read_piece(int fd, uint8_t *buf, size_t len, uint64_t at)
{
	ssize_t n;

	do
		n = pread(fd, buf, len, at);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* The first @len bytes, or as many as there are. */
static int sum_first(struct crc32c *crc, int fd, uint8_t *buf, uint64_t len)
{
	uint64_t at;
	ssize_t n;

	for (at = 0; at < len; at += n) {
		n = read_piece(fd, buf, len - at < PIECE ? len - at : PIECE, at);
		if (n <= 0)
			return n;
		crc32c_add(crc, buf, n);
	}
	return 0;
}

static int sum_period(struct crc32c *crc, int fd, uint8_t *buf, uint64_t size, uint32_t every)
{
	size_t piece = every > FAR ? 1 : PIECE / every * every, i, k;
	uint64_t at;
	ssize_t n;

	for (at = 0; at<size; at += piece> 1 ? piece : every) {
		n = read_piece(fd, buf, piece, at);
		if (n <= 0)
			return n;
		for (i = 0, k = 0; i < (size_t)n; i += every)
			buf[k++] = buf[i];
		crc32c_add(crc, buf, k);
		/* Less is the end: of a file on a disk nothing comes in parts. */
		if ((size_t)n < piece)
			break;
	}
	return 0;
}

static int sum(const struct checksum *c, struct crc32c *crc, uint8_t *buf)
{
	uint32_t every = c->extent == CHECKSUM_PERIOD ? c->n : 1;
	uint64_t len = c->extent == CHECKSUM_FIRST && c->n < c->size ? c->n : c->size;

	crc32c_start(crc, false);
	if (every <= FAR && len > PIECE && is_mappable(c->fd, c->size) &&
	    sum_mapped(crc, buf, c->fd, len, every))
		return 0;
	crc32c_start(crc, false);
	return c->extent == CHECKSUM_PERIOD ? sum_period(crc, c->fd, buf, c->size, c->n)
					    : sum_first(crc, c->fd, buf, len);
}

static void compute(struct checksum *c, struct crc32c *crc, uint8_t *buf)
{
	c->error = sum(c, crc, buf);
	c->value = crc32c_value(crc);
	close(c->fd);
	c->fd = -1;
}

/* --- the queue -------------------------------------------------------------- */

/* With the lock held. */
static struct checksum *take(struct checksums *s)
{
	struct checksum *c = s->first;

	s->first = c->next;
	if (!s->first)
		s->last = &s->first;
	s->waiting--;
	return c;
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct checksums *s = worker->s;
	struct checksum *c;

	pthread_mutex_lock(&s->lock);
	while (!s->end) {
		if (!s->first) {
			pthread_cond_wait(&s->changed, &s->lock);
			continue;
		}
		c = take(s);
		pthread_mutex_unlock(&s->lock);
		compute(c, &worker->crc, worker->buf);
		pthread_mutex_lock(&s->lock);
		c->done = true;
		pthread_cond_broadcast(&s->changed);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

struct checksums *checksums_new(void)
{
	struct checksums *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	s->last = &s->first;
	return s;
}

/* Signals are for the thread that runs the rest, but for a fault of this one's own. */
static int start_thread(struct checksums *s)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	sigset_t all, old;
	int ret;

	if (!worker)
		return -ENOMEM;
	worker->s = s;
	if (!s->n_threads)
		catch_bus_errors(s);
	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&worker->thread, NULL, work, worker);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret)
		free(worker);
	else
		s->workers[s->n_threads++] = worker;
	return -ret;
}

static void forget(void *p)
{
	struct checksum *c = p;

	if (c->fd >= 0)
		close(c->fd);
	free(c);
}

void checksums_free(struct checksums *s)
{
	unsigned int i;

	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->end = true;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	for (i = 0; i < s->n_threads; i++) {
		pthread_join(s->workers[i]->thread, NULL);
		free(s->workers[i]);
	}
	if (s->has_old_action)
		sigaction(SIGBUS, &s->old_action, NULL);
	tdestroy(s->known, forget);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

#define ORDER(a, b) ((a) < (b) ? -1 : (a) > (b))

static int compare(const void *pa, const void *pb)
{
	const struct checksum *a = pa, *b = pb;

	return ORDER(a->ino, b->ino)	    ?:
	       ORDER(a->dev, b->dev)	    ?:
	       ORDER(a->extent, b->extent) ?:
	       ORDER(a->n, b->n);
}

static void put(struct checksums *s, struct checksum *c)
{
	pthread_mutex_lock(&s->lock);
	while (s->waiting >= WAITING)
		pthread_cond_wait(&s->changed, &s->lock);
	*s->last = c;
	s->last = &c->next;
	s->waiting++;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

struct checksum *checksum_want(struct checksums *s, int fd, const struct stat *st,
			       enum checksum_extent extent, uint32_t n)
{
	struct checksum *c = calloc(1, sizeof(*c)), **found;

	if (!c)
		return NULL;
	c->dev = st->st_dev;
	c->ino = st->st_ino;
	c->size = st->st_size;
	c->extent = extent;
	c->n = extent == CHECKSUM_FULL ? 0 : n;
	c->fd = -1;
	found = tsearch(c, &s->known, compare);
	if (!found || *found != c) {
		free(c);
		return found ? *found : NULL;
	}
	c->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (c->fd < 0)
		c->error = -errno;
	else if (s->n_threads < THREADS && (c->error = start_thread(s)) && s->n_threads)
		c->error = 0;
	if (c->error)
		c->done = true;
	else
		put(s, c);
	return c;
}

int checksum_wait(struct checksums *s, struct checksum *c, uint32_t *ret)
{
	pthread_mutex_lock(&s->lock);
	while (!c->done)
		pthread_cond_wait(&s->changed, &s->lock);
	pthread_mutex_unlock(&s->lock);
	if (!c->error)
		*ret = c->value;
	return c->error;
}
