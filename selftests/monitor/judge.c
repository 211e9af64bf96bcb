// SPDX-License-Identifier: GPL-2.0-only
/* Compare what processes wrote down with what the monitor says. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "monitor/world.h"

#define PF_EXITING 0x4

/* A process that was found in /proc. */
struct found {
	pid_t pid, session, group;
	bool alive;
	bool dying; /* neither here nor there, in birth or death: look again */
	struct monitor_record record;
};

static struct found seen[MAX_SLOTS];

/*
 * This program under the name of every slot, as an exec gives the process its file's name; in a
 * file system that nobody else sees and that goes with the last of us.
 */
static int make_names(const struct world *w)
{
	char exe[512] = "", name[16];
	int fs, dir, r;

	fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
	if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return -1;
	dir = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	if (dir < 0 || readlink("/proc/self/exe", exe, sizeof(exe) - 1) < 0)
		return -1;
	for (int i = 1; i < MAX_SLOTS; i++) {
		life_name(w, i, name);
		if (symlinkat(exe, dir, name))
			return -1;
	}
	r = dup2(dir, WORLD_FD + 1);
	close(dir);
	close(fs);
	return r < 0 ? -1 : 0;
}

/* A BPF file system that goes with the test, and with it a monitor, however the test ends. */
static int own_bpf_fs(void)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -1;
	return mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=0700");
}

struct world *world_init(int argc, char **argv)
{
	struct world *w;
	char name[16];
	int fd;

	if (argc == 3 && !strcmp(argv[0], "life")) {
		w = mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE, MAP_SHARED, WORLD_FD, 0);
		if (w == MAP_FAILED)
			_exit(1);
		lives[atoi(argv[2])](w, atoi(argv[1]));
		leave(w, atoi(argv[1]));
	}
	if (geteuid() || own_bpf_fs()) {
		printf("# needs root, and a kernel with BPF (%s)\n", strerror(errno));
		exit(4);
	}
	fd = memfd_create("world", 0);
	if (fd < 0 || ftruncate(fd, sizeof(*w)) || dup2(fd, WORLD_FD) < 0) {
		perror("# shared memory");
		exit(1);
	}
	close(fd);
	w = mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE, MAP_SHARED, WORLD_FD, 0);
	if (w == MAP_FAILED)
		exit(1);
	world_begin(w, 0);
	if (make_names(w)) {
		perror("# a file system with names of processes");
		exit(1);
	}
	/* Orphans of the world stay here, where they are reaped at its end. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	life_name(w, 0, name);
	prctl(PR_SET_NAME, name);
	return w;
}

void world_begin(struct world *w, uint64_t seed)
{
	struct stat st;

	memset(w, 0, sizeof(*w));
	w->seed = seed;
	w->owner = getpid();
	w->slots = 1;
	w->slot[0].parent = -1;
	w->slot[0].nr = getpid();
	if (stat("/proc/self/ns/pid", &st) == 0)
		w->slot[0].ns = st.st_ino;
}

static int count_threads(pid_t pid)
{
	char path[64];
	struct dirent *e;
	int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (e = readdir(dir)))
		n += isdigit((unsigned char)e->d_name[0]) != 0;
	if (dir)
		closedir(dir);
	return n;
}

static void look_at(struct world *w, pid_t pid)
{
	char path[64], buf[512] = "", *paren, state;
	struct found f = {.pid = pid};
	unsigned int flags, slot, owner;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (read(fd, buf, sizeof(buf) - 1) < 0)
		buf[0] = '\0';
	close(fd);
	paren = strrchr(buf, ')');
	if (!paren || sscanf(strchr(buf, '('), "(" LIFE_NAME, &slot, &owner) != 2 ||
	    sscanf(paren + 2, "%c %*d %d %d %*d %*d %u", &state, &f.group, &f.session, &flags) != 4)
		return;
	if (owner != (w->owner & 0x3fffffu) || slot >= w->slots || slot >= MAX_SLOTS)
		return;
	f.alive = state != 'Z' && state != 'X';
	/* The first of a pid namespace waits for all others in its exit. */
	f.dying = state == 'X' || (state != 'Z' && flags & PF_EXITING);
	/* A zombie leader whose threads go on is a living process. */
	if (state == 'Z' && count_threads(pid) > 1)
		f.alive = true;
	/* Two of a name: a child that has not named itself yet. */
	if (seen[slot].pid)
		f.dying = true;
	seen[slot] = f;
}

static void look_around(struct world *w)
{
	struct dirent *e;
	DIR *dir = opendir("/proc");

	memset(seen, 0, sizeof(seen));
	while (dir && (e = readdir(dir)))
		if (isdigit((unsigned char)e->d_name[0]))
			look_at(w, atoi(e->d_name));
	if (dir)
		closedir(dir);
}

/* What is found twice, 2 ms apart, with nobody in between life and death. */
static bool still(struct world *w)
{
	static struct found before[MAX_SLOTS];
	struct timespec ms = {.tv_nsec = 2000000};

	look_around(w);
	memcpy(before, seen, sizeof(before));
	nanosleep(&ms, NULL);
	look_around(w);
	for (int i = 0; i < MAX_SLOTS; i++)
		if (seen[i].dying || seen[i].pid != before[i].pid ||
		    seen[i].alive != before[i].alive)
			return false;
	return true;
}

/* Members of a pid namespace whose first process left are killed at work. */
static bool killed_at_work(struct world *w)
{
	uint32_t n = w->slots;

	if (!still(w) || n != w->slots)
		return false;
	for (uint32_t i = 1; i < n && i < MAX_SLOTS; i++)
		if (!w->slot[i].settled && seen[i].alive)
			return false;
	return true;
}

bool world_settle(struct world *w)
{
	struct timespec ms = {.tv_nsec = 1000000};
	int left = 10000;

	while (left && __atomic_load_n(&w->working, __ATOMIC_SEQ_CST)) {
		nanosleep(&ms, NULL);
		left--;
		/* Twice, for one that has forked and is not named yet. */
		if (left % 20 == 0 && killed_at_work(w) && killed_at_work(w))
			break;
	}
	while (left--)
		if (still(w))
			return true;
	return false;
}

void world_end(struct world *w)
{
	__atomic_store_n(&w->end, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &w->end, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
	look_around(w);
	for (int i = 1; i < MAX_SLOTS; i++)
		if (seen[i].pid)
			kill(seen[i].pid, SIGKILL);
	while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
		;
}

static unsigned int wrong(struct world *w, int slot, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static unsigned int wrong(struct world *w, int slot, const char *fmt, ...)
{
	va_list ap;

	printf("# seed %llu slot %d pid %d: ", (unsigned long long)w->seed, slot, seen[slot].pid);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	return 1;
}

/* Nearest up the line that was written down: alive, or at least with a pid. */
static int ancestor(const struct world *w, int slot, bool alive, uint32_t *steps)
{
	*steps = 0;
	do {
		slot = w->slot[slot].parent;
		(*steps)++;
	} while (slot > 0 && !(alive ? seen[slot].alive : seen[slot].pid != 0));
	return slot;
}

static unsigned int judge_kin(struct world *w, int slot, const char *what, bool alive,
			      const struct monitor_kin *k)
{
	uint32_t steps;
	int a = ancestor(w, slot, alive, &steps);

	if (k->id != seen[a].record.rec.id)
		return wrong(w, slot, "%s is slot %d (pid %d), monitor says host pid %u", what, a,
			     seen[a].pid, k->tgid);
	if (k->steps != steps)
		return wrong(w, slot, "%s is %u generations up, monitor says %u", what, steps,
			     k->steps);
	return 0;
}

static unsigned int judge_birth(struct world *w, int slot)
{
	const struct slot *s = &w->slot[slot], *p = &w->slot[s->parent];
	const struct caba_rec *r = &seen[slot].record.rec;
	unsigned int bad = 0;

	if (seen[s->parent].pid && r->parent_id != seen[s->parent].record.rec.id)
		bad += wrong(w, slot, "born of slot %d, monitor says host pid %u", s->parent,
			     r->parent_tgid);
	if (s->ns && s->ns == p->ns && r->parent_nr != (uint32_t)p->nr)
		bad += wrong(w, slot, "born of pid %d, monitor says %u", p->nr, r->parent_nr);
	if (!!(r->flags & CABA_CLONE_PARENT) != s->clone_parent)
		bad += wrong(w, slot, "CLONE_PARENT %d, flags %#x", s->clone_parent, r->flags);
	if (s->by_thread != !!(r->flags & CABA_THREAD_FORKED))
		bad += wrong(w, slot, "by thread %d, flags %#x", s->by_thread, r->flags);
	return bad;
}

static unsigned int judge_members(struct world *w, int slot)
{
	const struct slot *s = &w->slot[slot];
	const struct caba_rec *r = &seen[slot].record.rec;
	unsigned int bad = 0;

	if (r->session.how != s->session_how)
		bad += wrong(w, slot, "session: %s, monitor says %s", monitor_how(s->session_how),
			     monitor_how(r->session.how));
	if (r->group.how != s->group_how)
		bad += wrong(w, slot, "group: %s, monitor says %s", monitor_how(s->group_how),
			     monitor_how(r->group.how));
	if (s->subreaper != !!(r->flags & CABA_SUBREAPER))
		bad += wrong(w, slot, "subreaper %d, flags %#x", s->subreaper, r->flags);
	if (s->execs != r->execs)
		bad += wrong(w, slot, "executed %u times, monitor says %u", s->execs, r->execs);
	/* The same for us is the same for the monitor, and the other way round. */
	for (int i = 1; i < slot; i++) {
		const struct caba_rec *o = &seen[i].record.rec;

		if (!seen[i].pid || !seen[i].session || !seen[slot].session)
			continue;
		if ((seen[i].session == seen[slot].session) != (o->session.nr == r->session.nr))
			bad += wrong(w, slot, "session shared with slot %d or not", i);
		if (seen[i].group && seen[slot].group &&
		    (seen[i].group == seen[slot].group) != (o->group.nr == r->group.nr))
			bad += wrong(w, slot, "group shared with slot %d or not", i);
	}
	return bad;
}

/* /proc shows the pids from our namespace down, the monitor from the initial one down. */
static unsigned int judge_pids(struct world *w, int slot)
{
	const struct monitor_record *r = &seen[slot].record;
	uint32_t nr[CABA_LEVELS], n = 0;
	char path[64], line[512], *at;
	int len;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", seen[slot].pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "NSpid:", 6) != 0)
			continue;
		for (at = line + 6; n < CABA_LEVELS && sscanf(at, "%u%n", &nr[n], &len) == 1; n++)
			at += len;
	}
	if (f)
		fclose(f);
	if (!n || n > r->rec.level + 1)
		return wrong(w, slot, "%u levels of pids, monitor says %u", n, r->rec.level + 1);
	for (uint32_t i = 0; i < n; i++)
		if (nr[i] != r->pids[r->rec.level + 1 - n + i].nr)
			return wrong(w, slot, "pid at level %u of %u is %u", i, n, nr[i]);
	return 0;
}

/* A reaped process leaves the tree a grace period later, or by births that follow. */
static void outlast_reaped(struct world *w, struct monitor *m, int slot)
{
	struct monitor_record *r = &seen[slot].record;
	struct error err = {0};
	uint32_t steps;
	int a = ancestor(w, slot, false, &steps);

	for (int i = 0; i < 200 && r->nearest.state == CABA_ZOMBIE; i++) {
		if (r->nearest.id == seen[a].record.rec.id)
			break;
		for (int k = 0; k < 50; k++) {
			pid_t pid = fork();

			if (!pid)
				_exit(0);
			if (pid > 0)
				waitpid(pid, NULL, 0);
		}
		if (monitor_lookup(m, seen[slot].pid, &err, r))
			break;
	}
}

static unsigned int judge_one(struct world *w, int slot)
{
	const struct monitor_record *r = &seen[slot].record;
	unsigned int bad = 0;

	if (r->doubts & ~MONITOR_EVENTS_CUT)
		return wrong(w, slot, "doubts %#x, flags %#x", r->doubts, r->rec.flags);
	if ((r->state == CABA_ALIVE) != seen[slot].alive)
		bad += wrong(w, slot, "alive %d, state %d", seen[slot].alive, r->state);
	bad += judge_kin(w, slot, "caba", true, &r->caba);
	bad += judge_kin(w, slot, "nearest", false, &r->nearest);
	bad += judge_birth(w, slot);
	bad += judge_members(w, slot);
	bad += judge_pids(w, slot);
	return bad;
}

void world_find(struct world *w)
{
	look_around(w);
	seen[0] = (struct found){.pid = getpid(), .alive = true};
}

struct verdict judge(struct world *w, struct monitor *m)
{
	struct verdict v = {0};

	world_find(w);
	for (uint32_t i = 0; i < w->slots && i < MAX_SLOTS; i++) {
		struct error err = {0};

		if (!seen[i].pid) {
			v.gone++;
			continue;
		}
		if (monitor_lookup(m, seen[i].pid, &err, &seen[i].record))
			v.wrong += wrong(w, i, "%s", err.text);
	}
	for (uint32_t i = 1; i < w->slots && i < MAX_SLOTS; i++) {
		if (!seen[i].pid)
			continue;
		v.alive += seen[i].alive;
		v.zombies += !seen[i].alive;
		outlast_reaped(w, m, i);
		v.wrong += judge_one(w, i);
	}
	return v;
}

pid_t judged_pid(int slot)
{
	return seen[slot].pid;
}
