// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random trees, mappings and descriptors. FACTORY_SEED says which; the same seed makes the
 * same. What must be equal is seen from outside, so little is checked here.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "factory/factory.h"

#define PAGE 4096ul
#define RW   (PROT_READ | PROT_WRITE)

struct dice {
	uint64_t x;
};

static struct dice dice_of(uint64_t salt)
{
	const char *seed = getenv("FACTORY_SEED");

	return (struct dice){((seed ? strtoull(seed, NULL, 0) : 1) * 2654435761u + salt) | 1};
}

static unsigned int roll(struct dice *d, unsigned int sides)
{
	d->x ^= d->x << 13;
	d->x ^= d->x >> 7;
	d->x ^= d->x << 17;
	return (d->x >> 20) % sides;
}

/* --- trees ------------------------------------------------------------- */

/* What the whole tree knows of itself, shared while it is built. */
struct forest {
	_Atomic int left;	 /* tasks that may still be made */
	_Atomic int ready, held; /* tasks that are built, and how many there are to be */
};

struct grove {
	struct forest *f;
	struct dice d;
	int depth;
};

static void *idle_thread(void *arg)
{
	char name[16];

	snprintf(name, sizeof(name), "thread %d", (int)(long)arg);
	prctl(PR_SET_NAME, name);
	hold_peer();
	return NULL;
}

static void become_something(struct grove *g)
{
	char name[16];

	snprintf(name, sizeof(name), "random %u", roll(&g->d, 100));
	prctl(PR_SET_NAME, name);
	if (roll(&g->d, 4) == 0)
		setpriority(PRIO_PROCESS, 0, roll(&g->d, 10));
	if (roll(&g->d, 4) == 0)
		umask(roll(&g->d, 0777));
	if (roll(&g->d, 5) == 0)
		setsid();
	else if (roll(&g->d, 3) == 0)
		setpgid(0, 0);
	else if (roll(&g->d, 3) == 0)
		setpgid(0, getppid()); /* into the parent's group, if it leads one here */
}

static void grow(struct grove *g);

/* A child that makes a child and goes: the grandchild is left to the root task. */
static void leave_orphan(struct grove *g)
{
	pid_t pid = MUST(fork());
	int status;

	if (pid == 0) {
		pid = MUST(fork());
		if (pid == 0) {
			grow(g);
			_exit(0);
		}
		_exit(0);
	}
	waitpid(pid, &status, 0);
}

static void grow_children(struct grove *g)
{
	int n = g->depth > 4 ? 0 : roll(&g->d, 5);
	siginfo_t si;

	for (int i = 0; i < n && g->f->left > 0; i++) {
		struct grove child = {g->f, {g->d.x * 31 + i}, g->depth + 1};
		int how = roll(&g->d, 8);
		pid_t pid;

		g->f->left--;
		if (how == 0) {
			pid = MUST(fork());
			if (pid == 0)
				_exit(roll(&child.d, 256));
			MUST(waitid(P_PID, pid, &si, WEXITED | WNOWAIT));
			continue;
		}
		g->f->held++;
		if (how == 1) {
			leave_orphan(&child);
			continue;
		}
		pid = MUST(fork());
		if (pid == 0) {
			grow(&child);
			_exit(0);
		}
		/* At times the parent changes session or group when it has a child already. */
		if (roll(&g->d, 6) == 0 && g->depth > 0)
			become_something(g);
	}
}

static void grow(struct grove *g)
{
	pid_t session, group;
	pthread_t id;
	int threads;

	become_something(g);
	threads = roll(&g->d, 3) ? 0 : roll(&g->d, 4);
	for (int i = 0; i < threads; i++)
		pthread_create(&id, NULL, idle_thread, (void *)(long)i);
	grow_children(g);
	session = getsid(0);
	group = getpgrp();
	g->f->ready++;
	hold_peer();
	CHECK_EQ(getsid(0), session);
	CHECK_EQ(getpgrp(), group);
}

KIND(random_tree, "a random tree of sessions, groups, zombies, orphans and threads",
     .no_criu = "CRIU 4.2 can't restore every random tree")
{
	struct forest *f = map_anon(PAGE, RW, MAP_SHARED);
	struct grove g = {f, dice_of(1), 0};

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	f->left = 40;
	grow_children(&g);
	grow_children(&g);
	while (f->ready < f->held)
		sched_yield();
	hold();
}

/* --- mappings ---------------------------------------------------------- */

#define N_AREAS 48
#define ROOM	64 /* pages of each */

struct areas {
	char *at[N_AREAS];
	int made;
};

static char *new_area(struct dice *d)
{
	int flags = roll(d, 2) ? MAP_PRIVATE : MAP_SHARED, fd;
	char name[32], *at;

	switch (roll(d, 3)) {
	case 0:
		return map_anon(ROOM * PAGE, RW, flags);
	case 1:
		snprintf(name, sizeof(name), "map%u", roll(d, 8));
		fd = MUST(open(in_work(name), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
		break;
	default:
		fd = MUST(memfd_create("random", MFD_CLOEXEC));
	}
	MUST(ftruncate(fd, 2 * ROOM * PAGE));
	at = MUST(mmap(NULL, ROOM * PAGE, RW, flags, fd, roll(d, ROOM) * PAGE));
	if (roll(d, 2))
		close(fd);
	else
		fcntl(fd, F_SETFD, 0);
	return at;
}

static void change_area(struct dice *d, char *at)
{
	static const int prots[] = {PROT_NONE, PROT_READ, RW, RW | PROT_EXEC};
	static const int advice[] = {MADV_DONTNEED, MADV_RANDOM, MADV_DONTDUMP, MADV_NOHUGEPAGE};
	unsigned int first = roll(d, ROOM), n = 1 + roll(d, ROOM - first);
	char *from = at + first * PAGE;

	switch (roll(d, 6)) {
	case 0:
		mprotect(from, n * PAGE, prots[roll(d, 4)]);
		break;
	case 1:
		madvise(from, n * PAGE, advice[roll(d, 4)]);
		break;
	case 2:
		munmap(from, (1 + n / 8) * PAGE);
		break;
	default:
		/* Where it can be written: by a system call, which fails where it can't. */
		for (unsigned int i = 0; i < n; i++) {
			int fds[2];
			char bytes[64];

			MUST(pipe(fds));
			fill(bytes, sizeof(bytes), d->x + i);
			MUST(write(fds[1], bytes, sizeof(bytes)));
			if (read(fds[0], from + i * PAGE, sizeof(bytes)) < 0)
				CHECK_EQ(errno, EFAULT);
			close(fds[0]);
			close(fds[1]);
		}
	}
}

static void play_areas(struct dice *d, struct areas *a, int turns)
{
	while (turns-- > 0) {
		if (a->made < N_AREAS && roll(d, 3) == 0)
			a->at[a->made++] = new_area(d);
		else if (a->made)
			change_area(d, a->at[roll(d, a->made)]);
	}
}

/*
 * What an area was once allowed to do stays accounted; nothing shows which of the pages of
 * a read-only file mapping that was, and only the sum of committed memory depends on it.
 */
KIND(random_maps, "random mappings, some shared with children that changed them too",
     .moves = "accounted", .no_criu = "CRIU 4.2 can't map a memfd or a file in every way")
{
	struct dice d = dice_of(2);
	struct gate g = gate_make();
	struct areas a = {};
	pid_t pid[3];

	for (int i = 0; i < 3; i++) {
		play_areas(&d, &a, 60);
		pid[i] = MUST(fork());
		if (pid[i] == 0) {
			struct dice own = {d.x + i * 77 + 1};

			play_areas(&own, &a, 60);
			gate_pass(&g);
			hold_peer();
			_exit(differences() ? 1 : 0);
		}
	}
	play_areas(&d, &a, 60);
	gate_wait(&g, 3);
	hold();
	for (int i = 0; i < 3; i++)
		reap_good(pid[i]);
}

/* --- descriptors ------------------------------------------------------- */

static void new_descriptor(struct dice *d)
{
	char name[32], bytes[512];
	int fds[2], fd;

	fill(bytes, sizeof(bytes), d->x);
	switch (roll(d, 6)) {
	case 0:
		MUST(pipe2(fds, roll(d, 2) ? O_NONBLOCK : 0));
		MUST(write(fds[1], bytes, 1 + roll(d, 500)));
		return;
	case 1:
		MUST(eventfd(roll(d, 1000), roll(d, 2) ? EFD_NONBLOCK : 0));
		return;
	case 2:
		fd = MUST(memfd_create("random", roll(d, 2) ? MFD_ALLOW_SEALING : 0));
		MUST(write(fd, bytes, roll(d, 500)));
		return;
	case 3:
		MUST(open("/dev/null", O_RDWR));
		return;
	default:
		snprintf(name, sizeof(name), "file%u", roll(d, 20));
		fd = MUST(
			open(in_work(name), O_RDWR | O_CREAT | (roll(d, 2) ? O_APPEND : 0), 0644));
		MUST(write(fd, bytes, roll(d, 500)));
		MUST(lseek(fd, roll(d, 400), SEEK_SET));
	}
}

static void play_descriptors(struct dice *d, int turns)
{
	while (turns-- > 0) {
		int a = 3 + roll(d, 60), b = 3 + roll(d, 60);

		switch (roll(d, 5)) {
		case 0:
			dup2(a, b);
			break;
		case 1:
			if (roll(d, 2))
				close(a);
			break;
		case 2:
			fcntl(a, F_SETFD, roll(d, 2));
			break;
		default:
			new_descriptor(d);
		}
	}
}

static void descriptor_child(struct dice *d, struct gate *g, int depth)
{
	play_descriptors(d, 20);
	for (int i = 0; depth < 3 && i < 2; i++) {
		struct dice own = {d->x * 7 + i};

		if (fork() == 0) {
			descriptor_child(&own, g, depth + 1);
			_exit(0);
		}
		play_descriptors(d, 10);
	}
	/* The gate's own number may have been taken by another: it is below all of these. */
	MUST(write(g->fds[1], "p", 1));
	close(g->fds[0]);
	close(g->fds[1]);
	hold_peer();
}

KIND(random_files, "random descriptors, shared at random among 15 tasks",
     .no_criu = "CRIU 4.2 can't restore every pipe whose ends are scattered")
{
	struct dice d = dice_of(3);
	struct gate g;
	char c;

	/* Out of the way of what is played with. */
	g = gate_make();
	for (int i = 0; i < 2; i++) {
		MUST(dup2(g.fds[i], 200 + i));
		close(g.fds[i]);
		g.fds[i] = 200 + i;
	}
	if (fork() == 0) {
		descriptor_child(&d, &g, 0);
		_exit(0);
	}
	/* Tasks: 1 + 2 + 4 + 8. */
	for (int i = 0; i < 15; i++)
		MUST(read(g.fds[0], &c, 1));
	gate_wait(&g, 0);
	hold();
}
