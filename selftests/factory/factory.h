/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The object factory: a program that makes one kind of kernel object on request, waits
 * while it is checkpointed, and then checks from inside that nothing has changed.
 *
 * A kind is a function: it builds its objects, calls hold(), and after that uses CHECK().
 * Its table row is the KIND() line above it.
 */
#ifndef SELFTEST_FACTORY_H
#define SELFTEST_FACTORY_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

struct kind {
	const char *name;
	const char *text; /* what is in the checkpoint */
	void (*run)(void);
	const char *no_criu;	     /* why CRIU can't do it; NULL: it can */
	const char *no_criu_restore; /* CRIU dumps it, but does not restore it right */
	const char *lost;	     /* keys of the snapshot that CRIU doesn't bring back */
	const char *moves;	     /* keys that differ as after any interruption by a signal */
	const char *later;	     /* belongs to a later stage: a clean refusal is a skip */
	const char *options;	     /* for dump and restore */
	bool stopped;		     /* the tree is stopped: SIGCONT sets it going */
	bool spins;		     /* never sleeps */
};

#define KIND(id, what, ...)                                                \
	static void kind_##id(void);                                       \
	static const struct kind row_##id;                                 \
	static const struct kind *const entry_##id                         \
		__attribute__((used, section("kinds"))) = &row_##id;       \
	static const struct kind row_##id = {                              \
		.name = #id, .text = what, .run = kind_##id, __VA_ARGS__}; \
	static void kind_##id(void)

/* The folder of this run; files that a kind needs go there. */
extern const char *const work_dir;

/*
 * Wait to be checkpointed. The root task of a kind calls hold() when everything is in
 * place; others hold_peer(), before or after. Both return when all may check.
 */
void hold(void);
void hold_peer(void);

/* hold() for kinds that block in a call of their own: tell that all is in place. */
void tell_ready(void);
void tell_ready_at(const char *path);

/* Where hold() waits: a FIFO. A kind that moves its root changes it. */
extern char go_path[];

/* End as 'cannot be made here'. */
void skip(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Record a difference; the program ends with status 1. */
void differ(const char *file, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int differences(void);

#define CHECK(cond)                                                        \
	do {                                                               \
		if (!(cond))                                               \
			differ(__FILE__, __LINE__, "%s (errno %s)", #cond, \
			       strerrorname_np(errno));                    \
	} while (0)

#define CHECK_EQ(got, want)                                                                    \
	do {                                                                                   \
		long long got_ = (long long)(got), want_ = (long long)(want);                  \
		if (got_ != want_)                                                             \
			differ(__FILE__, __LINE__, "%s is %lld, was %lld", #got, got_, want_); \
	} while (0)

/* Building must succeed: what fails here has nothing to do with checkpoints. */
#define MUST(expr)                                            \
	({                                                    \
		__typeof__(expr) must_ = (expr);              \
		if ((long)must_ == -1)                        \
			must_fail(__FILE__, __LINE__, #expr); \
		must_;                                        \
	})
void must_fail(const char *file, int line, const char *what) __attribute__((noreturn));

/* A child that runs @fn(@arg) and ends with status 0 when it saw no difference. */
pid_t spawn(void (*fn)(void *), void *arg);
void reap_good(pid_t pid);

/* Meet: children pass(), the parent waits for @n of them. */
struct gate {
	int fds[2];
};
struct gate gate_make(void);
void gate_pass(struct gate *g);
void gate_wait(struct gate *g, int n);

/* A file in the work folder with @size bytes of fill(). */
int make_file(const char *name, size_t size, int flags);
const char *in_work(const char *name);
void fill(void *at, size_t n, uint64_t seed);
bool filled(const void *at, size_t n, uint64_t seed);

void *map_anon(size_t length, int prot, int flags);

#endif
