// SPDX-License-Identifier: GPL-2.0-only
/* What processes of a world do, writing it down. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/world.h"

static void settled(struct world *w, int slot)
{
	w->slot[slot].settled = true;
	__atomic_fetch_sub(&w->working, 1, __ATOMIC_SEQ_CST);
}

void life_name(const struct world *w, int slot, char name[static 16])
{
	snprintf(name, 16, LIFE_NAME, slot & (MAX_SLOTS - 1), w->owner & 0x3fffff);
}

static void introduce(struct world *w, int me)
{
	char name[16];
	struct stat st;

	life_name(w, me, name);
	prctl(PR_SET_NAME, name);
	if (stat("/proc/thread-self/ns/pid", &st) == 0)
		w->slot[me].ns = st.st_ino;
	__atomic_store_n(&w->slot[me].nr, getpid(), __ATOMIC_SEQ_CST);
}

struct job {
	struct world *w;
	int me, slot, life;
	unsigned long flags;
	pid_t pid;
};

static void *fork_it(void *arg)
{
	struct job *j = arg;

	j->w->slot[j->slot].by_thread = gettid() != getpid();
	j->pid = syscall(SYS_clone, j->flags | SIGCHLD, NULL, NULL, NULL, NULL);
	if (j->pid)
		return NULL;
	introduce(j->w, j->slot);
	lives[j->life](j->w, j->slot);
	leave(j->w, j->slot);
}

static int new_slot(struct world *w, int me, enum spawn how)
{
	uint32_t n = __atomic_fetch_add(&w->slots, 1, __ATOMIC_SEQ_CST);
	struct slot *s = &w->slot[n];

	if (n >= MAX_SLOTS)
		return -1;
	*s = (struct slot){
		.parent = me,
		.clone_parent = how == SPAWN_SIBLING,
		.session_how = CABA_HOW_BORN,
		.group_how = CABA_HOW_BORN,
	};
	__atomic_fetch_add(&w->working, 1, __ATOMIC_SEQ_CST);
	return n;
}

static int spawn_pid(struct world *w, int me, enum spawn how, int life, pid_t *pid)
{
	struct job j = {.w = w, .me = me, .life = life, .slot = new_slot(w, me, how)};
	pthread_t thread;

	if (j.slot < 0)
		return -1;
	/* Only one that the kernel keeps for itself may be its pid namespace's parent. */
	j.flags = how == SPAWN_SIBLING ? CLONE_PARENT : how == SPAWN_NEWPID ? CLONE_NEWPID : 0;
	if (how == SPAWN_THREAD) {
		if (pthread_create(&thread, NULL, fork_it, &j))
			j.pid = -1;
		else
			pthread_join(thread, NULL);
	} else {
		fork_it(&j);
	}
	if (j.pid < 0) {
		w->slot[j.slot].failed = true;
		settled(w, j.slot);
		return -1;
	}
	*pid = j.pid;
	return j.slot;
}

int spawn(struct world *w, int me, enum spawn how, int life)
{
	pid_t pid;

	return spawn_pid(w, me, how, life, &pid);
}

void spawn_and_reap(struct world *w, int me, enum spawn how, int life)
{
	pid_t pid;

	if (spawn_pid(w, me, how, life, &pid) >= 0 && how != SPAWN_SIBLING)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
}

void rest(struct world *w, int me)
{
	settled(w, me);
	while (!__atomic_load_n(&w->end, __ATOMIC_SEQ_CST))
		syscall(SYS_futex, &w->end, FUTEX_WAIT, 0, NULL, NULL, 0);
	_exit(0);
}

void leave(struct world *w, int me)
{
	settled(w, me);
	_exit(0);
}

static void *go_on(void *arg)
{
	struct job *j = arg;

	/* Until the leader is a zombie this is not what is to be tested. */
	for (char state = 'R'; state != 'Z';) {
		char path[64], buf[512] = "", *paren;
		int fd;

		snprintf(path, sizeof(path), "/proc/self/task/%d/stat", getpid());
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || read(fd, buf, sizeof(buf) - 1) <= 0)
			break; /* no /proc of this pid namespace: do without */
		close(fd);
		paren = strrchr(buf, ')');
		state = paren ? paren[2] : 'Z';
		sched_yield();
	}
	lives[j->life](j->w, j->me);
	leave(j->w, j->me);
}

void leader_leaves(struct world *w, int me, int life)
{
	struct job *j = malloc(sizeof(*j));
	pthread_t thread;

	*j = (struct job){.w = w, .me = me, .life = life};
	if (pthread_create(&thread, NULL, go_on, j))
		leave(w, me);
	syscall(SYS_exit, 0);
	__builtin_unreachable();
}

static void *exec_it(void *arg)
{
	struct job *j = arg;
	char name[16], me[16], life[16];
	char *argv[] = {"life", me, life, NULL};

	/* The file's name becomes the process's, so that it can be found all the time. */
	life_name(j->w, j->me, name);
	snprintf(me, sizeof(me), "%d", j->me);
	snprintf(life, sizeof(life), "%d", j->life);
	j->w->slot[j->me].execs++;
	syscall(SYS_execveat, WORLD_FD + 1, name, argv, NULL, 0);
	j->w->slot[j->me].execs--;
	leave(j->w, j->me);
}

void execute(struct world *w, int me, bool by_thread, int life)
{
	struct job j = {.w = w, .me = me, .life = life};
	pthread_t thread;

	if (by_thread && !pthread_create(&thread, NULL, exec_it, &j))
		for (;;)
			pause();
	exec_it(&j);
	__builtin_unreachable();
}

void do_setsid(struct world *w, int me)
{
	if (setsid() < 0)
		return;
	w->slot[me].session_how = CABA_HOW_SETSID;
	w->slot[me].group_how = CABA_HOW_SETSID;
}

void do_setpgid(struct world *w, int me, int whose, pid_t pgid)
{
	pid_t pid = whose == me ? getpid() : slot_pid(w, whose);
	pid_t before = getpgid(pid);

	if (!pgid)
		pgid = pid;
	if (before == pgid || setpgid(pid, pgid) < 0)
		return;
	w->slot[whose].group_how = pgid == pid ? CABA_HOW_SETPGID_NEW : CABA_HOW_SETPGID_JOIN;
}

void do_subreaper(struct world *w, int me, bool on)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, on) == 0)
		w->slot[me].subreaper = on;
}

pid_t slot_pid(struct world *w, int slot)
{
	pid_t pid;

	while (!(pid = __atomic_load_n(&w->slot[slot].nr, __ATOMIC_SEQ_CST)))
		sched_yield();
	return pid;
}
