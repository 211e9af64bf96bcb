// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tree as a whole: pstree, what tasks share, the namespaces they are in,
 * and the inventory.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <search.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dump/state.h"
#include "lib/cleanup.h"
#include "lib/parallel.h"

/* Object ids of this program's own task; those of the tree come behind. */
#define ROOT_ID 1

/* Ids of the namespaces of the tree, all of which are ours so far. */
enum { PID_NS = 1, NET_NS, IPC_NS, UTS_NS, TIME_NS, MNT_NS, USER_NS, CGROUP_NS };

/* One object that kcmp(2) tells apart: a task that has it stands for it. */
struct shared {
	int type;
	pid_t pid;
	uint32_t id;
};

/* tsearch(3): kcmp's order is opaque but total. */
static int compare(const void *pa, const void *pb)
{
	const struct shared *a = pa, *b = pb;
	int order = syscall(SYS_kcmp, a->pid, b->pid, a->type, 0, 0);

	return order == 1 ? -1 : order;
}

/* The id of what @pid has of @type; *is_new tells whether no earlier task has it. */
static int shared_id(struct dump *d, void **tree, int type, pid_t pid, uint32_t *last,
		     uint32_t *ret_id, bool *is_new)
{
	struct shared *s = malloc(sizeof(*s)), **found;

	if (!s)
		return fail(&d->run->err, -ENOMEM, "task %d: compare it", pid);
	*s = (struct shared){type, pid, 0};
	found = tsearch(s, tree, compare);
	if (!found) {
		free(s);
		return fail(&d->run->err, -ENOMEM, "task %d: compare it", pid);
	}
	*is_new = *found == s;
	if (*is_new)
		s->id = ++*last;
	else
		free(s);
	*ret_id = (*found)->id;
	return 0;
}

/* What tasks may share: where the id goes, and what to say where it may not be shared. */
static const struct {
	int type;
	size_t offset;
	const char *refuse;
} shared_rows[] = {
	{KCMP_VM, offsetof(TaskKobjIdsEntry, vm_id), "its memory (vfork or CLONE_VM)"},
	{KCMP_FILES, offsetof(TaskKobjIdsEntry, files_id), NULL},
	{KCMP_FS, offsetof(TaskKobjIdsEntry, fs_id), NULL},
};

#define N_SHARED (sizeof(shared_rows) / sizeof(shared_rows[0]))

static int find_shared(struct dump *d)
{
	void *trees[N_SHARED] = {};
	uint32_t last[N_SHARED];
	bool is_new = false;
	size_t i, k;
	int ret = 0;

	for (k = 0; k < N_SHARED; k++)
		last[k] = ROOT_ID;
	for (i = 0; !ret && i < d->cp->tasks.n; i++) {
		struct task *t = d->cp->tasks.at[i];
		struct dump_task *dt = dump_of(t);
		TaskKobjIdsEntry *ids = t->threads.at[0].core->ids;

		for (k = 0; ids && !ret && k < N_SHARED; k++) {
			ret = shared_id(d, &trees[k], shared_rows[k].type, dt->pid, &last[k],
					(uint32_t *)((char *)ids + shared_rows[k].offset), &is_new);
			/* CLONE_SIGHAND takes CLONE_VM: who shares no memory shares no handlers. */
			if (shared_rows[k].type == KCMP_VM)
				ids->sighand_id = ids->vm_id;
			if (!ret && !is_new && shared_rows[k].refuse) {
				fail_text(&d->run->err, -EOPNOTSUPP,
					  "task %d shares %s with another process of the tree",
					  dt->pid, shared_rows[k].refuse);
				ret = fail_hint(&d->run->err,
						"wait until it has called execve(2), or end "
						"it, and dump again");
			}
		}
	}
	for (k = 0; k < N_SHARED; k++)
		tdestroy(trees[k], free);
	return ret;
}

static const char *const namespaces[N_NAMESPACES] = {"pid", "net",  "ipc",    "uts",
						     "mnt", "user", "cgroup", "time"};

/* Inode numbers of our own; 0: this kernel has no such kind. All are on one file system. */
static void own_namespaces(struct dump *d)
{
	struct stat st;
	char path[40];
	size_t i;

	for (i = 0; i < N_NAMESPACES; i++) {
		snprintf(path, sizeof(path), "/proc/self/ns/%s", namespaces[i]);
		d->own_ns[i] = stat(path, &st) ? 0 : st.st_ino;
	}
}

static int check_namespaces(struct dump *d, struct dump_task *dt)
{
	struct stat its;
	char path[40];
	size_t i;

	for (i = 0; i < N_NAMESPACES; i++) {
		if (!d->own_ns[i])
			continue;
		snprintf(path, sizeof(path), "ns/%s", namespaces[i]);
		if (fstatat(dt->procfd, path, &its, 0))
			return fail(&d->run->err, -errno, "task %d: read its %s namespace", dt->pid,
				    namespaces[i]);
		if (d->own_ns[i] != its.st_ino) {
			fail_text(&d->run->err, -EOPNOTSUPP, "task %d is in another %s namespace",
				  dt->pid, namespaces[i]);
			return fail_hint(&d->run->err,
					 "namespaces of its own are not supported yet: run "
					 "stasis inside it (nsenter -a -t %d)",
					 dt->pid);
		}
	}
	return 0;
}

static TaskKobjIdsEntry *new_ids(void)
{
	TaskKobjIdsEntry *ids = malloc(sizeof(*ids));

	if (!ids)
		return NULL;
	task_kobj_ids_entry__init(ids);
	ids->vm_id = ids->files_id = ids->fs_id = ids->sighand_id = ROOT_ID;
	ids->has_pid_ns_id = ids->has_net_ns_id = ids->has_ipc_ns_id = ids->has_uts_ns_id = true;
	ids->has_mnt_ns_id = ids->has_user_ns_id = ids->has_cgroup_ns_id = true;
	ids->has_time_ns_id = true;
	ids->pid_ns_id = PID_NS;
	ids->net_ns_id = NET_NS;
	ids->ipc_ns_id = IPC_NS;
	ids->uts_ns_id = UTS_NS;
	ids->time_ns_id = TIME_NS;
	ids->mnt_ns_id = MNT_NS;
	ids->user_ns_id = USER_NS;
	ids->cgroup_ns_id = CGROUP_NS;
	return ids;
}

/* An empty core message; the parts that every one has are there. */
static CoreEntry *new_core(bool leader, bool alive)
{
	CoreEntry *c = malloc(sizeof(*c));

	if (!c)
		return NULL;
	core_entry__init(c);
	c->mtype = CORE_ENTRY__MARCH__X86_64;
	if (leader) {
		c->tc = malloc(sizeof(*c->tc));
		if (c->tc)
			task_core_entry__init(c->tc);
	}
	if (leader && alive)
		c->ids = new_ids();
	if (alive) {
		c->thread_core = malloc(sizeof(*c->thread_core));
		if (c->thread_core)
			thread_core_entry__init(c->thread_core);
	}
	if ((leader && !c->tc) || (leader && alive && !c->ids) || (alive && !c->thread_core)) {
		core_entry__free_unpacked(c, NULL);
		return NULL;
	}
	return c;
}

static int add_thread(struct dump *d, struct task *t, pid_t tid, bool alive)
{
	struct thread th = {.tid = tid, .task = t};

	th.core = new_core(t->threads.n == 0, alive);
	if (th.core && !vec_push(&t->threads, th))
		return 0;
	if (th.core)
		core_entry__free_unpacked(th.core, NULL);
	return fail(&d->run->err, -ENOMEM, "task %d: keep its threads", dump_of(t)->pid);
}

static int describe_task(struct dump *d, struct task *t)
{
	struct dump_task *dt = dump_of(t);
	bool alive = dt->tracees.n > 0;
	PstreeEntry *e = malloc(sizeof(*e));
	TaskCoreEntry *tc;
	size_t i;
	int ret;

	if (!e)
		return fail(&d->run->err, -ENOMEM, "task %d: keep it", dt->pid);
	pstree_entry__init(e);
	t->msg = e;
	e->pid = dt->pid;
	e->ppid = t->parent ? dump_of(t->parent)->pid : 0;
	e->pgid = dt->stat.pgrp;
	e->sid = dt->stat.session;
	ret = alive ? 0 : add_thread(d, t, dt->pid, false);
	for (i = 0; !ret && i < dt->tracees.n; i++)
		ret = add_thread(d, t, dt->tracees.at[i].tid, true);
	if (ret)
		return ret;
	e->threads = malloc(t->threads.n * sizeof(*e->threads));
	if (!e->threads)
		return fail(&d->run->err, -ENOMEM, "task %d: keep its threads", dt->pid);
	for (i = 0; i < t->threads.n; i++)
		e->threads[e->n_threads++] = t->threads.at[i].tid;

	tc = t->threads.at[0].core->tc;
	tc->task_state = !alive			      ? TASK_DEAD
			 : dt->tracees.at[0].job_stop ? TASK_STOPPED
						      : TASK_ALIVE;
	tc->exit_code = dt->stat.exit_code;
	tc->comm = strdup(dt->stat.comm);
	if (!tc->comm)
		return fail(&d->run->err, -ENOMEM, "task %d: keep its name", dt->pid);
	if (alive && dt->tracees.at[0].job_stop) {
		tc->has_stop_signo = true;
		tc->stop_signo = dt->tracees.at[0].job_stop;
	}
	return 0;
}

/* The root's session is ours to rebuild only if the root leads it. */
static int check_session(struct dump *d)
{
	const PstreeEntry *root = d->cp->tasks.at[0]->msg;

	if (d->run->opt.shell_job || (root->sid == root->pid && root->pgid == root->pid))
		return 0;
	if (root->sid != root->pid)
		fail_text(&d->run->err, -EINVAL,
			  "task %d belongs to session %d, whose leader is not "
			  "in the tree",
			  root->pid, root->sid);
	else
		fail_text(&d->run->err, -EINVAL,
			  "task %d belongs to process group %d, whose leader is "
			  "not in the tree",
			  root->pid, root->pgid);
	return fail_hint(&d->run->err,
			 "for a job of a shell use --shell-job, here and at restore; or "
			 "start the program with setsid(1)");
}

static int new_inventory(struct dump *d)
{
	InventoryEntry *e = malloc(sizeof(*e));
	unsigned char id[16];
	char text[37];

	if (!e)
		return fail(&d->run->err, -ENOMEM, "keep the inventory");
	inventory_entry__init(e);
	d->cp->inventory = e;
	e->img_version = 2;
	e->has_fdinfo_per_id = e->fdinfo_per_id = true;
	e->has_ns_per_id = e->ns_per_id = true;
	e->has_root_cg_set = true;
	e->root_cg_set = 1;
	e->has_lsmtype = true;
	e->lsmtype = LSMTYPE__NO_LSM;
	e->root_ids = new_ids();
	if (getrandom(id, sizeof(id), 0) != sizeof(id))
		return fail(&d->run->err, -EIO, "get random bytes");
	id[6] = (id[6] & 0x0f) | 0x40; /* a random UUID, RFC 9562 */
	id[8] = (id[8] & 0x3f) | 0x80;
	snprintf(text, sizeof(text),
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", id[0],
		 id[1], id[2], id[3], id[4], id[5], id[6], id[7], id[8], id[9], id[10], id[11],
		 id[12], id[13], id[14], id[15]);
	e->dump_criu_run_id = strdup(text);
	if (!e->root_ids || !e->dump_criu_run_id)
		return fail(&d->run->err, -ENOMEM, "keep the inventory");
	return 0;
}

static int check_nth(void *context, size_t i)
{
	struct dump *d = context;
	struct dump_task *dt = dump_of(d->cp->tasks.at[i]);

	return dt->tracees.n ? check_namespaces(d, dt) : 0;
}

/* Eight paths of /proc for every task: by two threads. */
static int check_all_namespaces(struct dump *d)
{
	struct run second_run = *d->run;
	struct dump second = *d;
	int ret;

	second.run = &second_run;
	ret = parallel_for(d->cp->tasks.n, check_nth, d, &second);
	if (!d->run->err.code)
		d->run->err = second_run.err;
	return ret;
}

int dump_tree(struct dump *d)
{
	size_t i;
	int ret = new_inventory(d);

	own_namespaces(d);
	for (i = 0; !ret && i < d->cp->tasks.n; i++)
		ret = describe_task(d, d->cp->tasks.at[i]);
	if (!ret)
		ret = check_all_namespaces(d);
	if (!ret)
		ret = check_session(d);
	if (!ret)
		ret = find_shared(d);
	return ret;
}
