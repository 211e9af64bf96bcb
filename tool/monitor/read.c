// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "monitor/monitor_priv.h"
#include "monitor/place.h"

const char *monitor_how(uint32_t how)
{
	static const char *const names[] = {
		[CABA_HOW_UNKNOWN] = "unknown",	    [CABA_HOW_BORN] = "born",
		[CABA_HOW_SETSID] = "setsid",	    [CABA_HOW_SETPGID_NEW] = "new",
		[CABA_HOW_SETPGID_JOIN] = "joined", [CABA_HOW_ATTACH] = "attached",
	};

	return how < sizeof(names) / sizeof(names[0]) ? names[how] : "?";
}

const char *monitor_what(uint32_t what)
{
	static const char *const names[] = {
		[CABA_EV_NONE] = "none",
		[CABA_EV_SESSION] = "session",
		[CABA_EV_GROUP] = "group",
		[CABA_EV_REPARENT] = "reparent",
		[CABA_EV_SUBREAPER] = "subreaper",
		[CABA_EV_EXEC_THREAD] = "exec-in-thread",
		[CABA_EV_LEADER_EXIT] = "leader-exit",
	};

	return what < sizeof(names) / sizeof(names[0]) ? names[what] : "?";
}

static int open_pin(const char *folder, const char *name, struct error *err)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/monitor/%s", folder, name);
	fd = bpf_obj_get(path);
	if (fd >= 0)
		return fd;
	/* A kernel without BPF has no monitor either. */
	if (errno == ENOENT || errno == ENOSYS)
		return -ENOENT;
	fail(err, -errno, "%s: opening", path);
	return errno == EPERM || errno == EACCES
		       ? fail_hint(err,
				   "asking the monitor needs root of the initial user namespace")
		       : err->code;
}

static int map_nodes(struct monitor *m, struct error *err)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);
	void *at;

	if (bpf_obj_get_info_by_fd(m->nodes_fd, &info, &len))
		return fail(err, -errno, "%s: reading the size of the nodes", m->folder);
	m->size = info.value_size;
	at = mmap(NULL, m->size, PROT_READ, MAP_SHARED, m->nodes_fd, 0);
	if (at == MAP_FAILED)
		return fail(err, -errno, "%s: mapping %zu bytes of nodes", m->folder, m->size);
	m->head = at;
	m->nodes = at;
	if (m->head->magic == CABA_MAGIC && m->head->layout == CABA_LAYOUT)
		return 0;
	fail_text(err, -EPROTO, "%s: its layout is %u, this tool's is %u", m->folder,
		  m->head->layout, CABA_LAYOUT);
	return fail_hint(err,
			 "another version of the tool started it; stasis monitor stop and start "
			 "begin anew");
}

int monitor_open(const char *folder, struct error *err, struct monitor **ret)
{
	struct monitor *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return fail(err, -ENOMEM, "opening the monitor");
	m->nodes_fd = m->records_fd = m->deep_fd = -1;
	snprintf(m->folder, sizeof(m->folder), "%s", folder ? folder : MONITOR_FOLDER);
	r = m->nodes_fd = open_pin(m->folder, "caba_nodes", err);
	if (r >= 0)
		r = m->records_fd = open_pin(m->folder, "caba_records", err);
	if (r >= 0)
		r = m->deep_fd = open_pin(m->folder, "caba_deep", err);
	if (r >= 0)
		r = map_nodes(m, err);
	if (r < 0) {
		monitor_close(m);
		return r;
	}
	*ret = m;
	return 0;
}

void monitor_close(struct monitor *m)
{
	if (!m)
		return;
	if (m->head)
		munmap((void *)m->head, m->size);
	cleanup_close(&m->nodes_fd);
	cleanup_close(&m->records_fd);
	cleanup_close(&m->deep_fd);
	free(m);
}

uint64_t monitor_seq(const struct monitor *m)
{
	uint64_t seq;

	while ((seq = __atomic_load_n(&m->head->seq, __ATOMIC_ACQUIRE)) & 1)
		sched_yield();
	return seq;
}

bool monitor_quiet(const struct monitor *m, uint64_t seq)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&m->head->seq, __ATOMIC_RELAXED) == seq;
}

uint32_t monitor_edge_doubts(const struct caba_node *n)
{
	if (n->edge & CABA_EDGE_UNKNOWN)
		return n->up ? MONITOR_LINE_GUESSED : MONITOR_LINE_BROKEN;
	return n->edge & CABA_EDGE_GUESS ? MONITOR_LINE_GUESSED : 0;
}

static struct monitor_kin kin(const struct caba_node *n, uint32_t steps)
{
	struct monitor_kin k = {
		.id = n->id,
		.start = n->start,
		.tgid = n->tgid,
		.nr = n->nr,
		.ns = n->ns,
		.steps = steps,
		.state = n->state,
	};

	memcpy(k.comm, n->comm, sizeof(k.comm));
	k.comm[CABA_COMM - 1] = '\0';
	return k;
}

bool monitor_line(const struct caba_node *at, uint32_t slots, struct monitor_record *ret)
{
	uint32_t i = ret->rec.node, steps = 0;
	struct caba_node n;

	ret->caba = ret->nearest = (struct monitor_kin){0};
	if (i < CABA_FIRST_NODE || i >= slots || at[i].id != ret->rec.id)
		return false;
	n = at[i];
	ret->state = n.state;
	/* A line cannot be longer than there are nodes; while it changes it may seem so. */
	for (uint32_t left = slots; left; left--) {
		ret->doubts |= monitor_edge_doubts(&n);
		if (!n.up || n.up >= slots)
			return true;
		steps += n.skipped + 1;
		n = at[n.up];
		if (!ret->nearest.id && (n.state == CABA_ALIVE || n.state == CABA_ZOMBIE))
			ret->nearest = kin(&n, steps);
		if (n.state == CABA_ALIVE) {
			ret->caba = kin(&n, steps);
			return true;
		}
	}
	return false;
}

static bool read_line(struct monitor *m, struct monitor_record *ret)
{
	uint32_t slots = m->head->limit + CABA_FIRST_NODE, doubts = ret->doubts;
	bool own = false;

	for (int i = 0; i < MONITOR_TRIES; i++) {
		uint64_t seq = monitor_seq(m);

		ret->doubts = doubts;
		own = monitor_line(m->nodes, slots, ret);
		if (monitor_quiet(m, seq))
			return own;
	}
	ret->doubts |= MONITOR_MOVING;
	return own;
}

/* A record changes without a lock: it is whole when two looks agree. */
static int read_record(struct monitor *m, int pidfd, struct caba_rec *ret)
{
	struct caba_rec a, b;
	int r;

	r = bpf_map_lookup_elem(m->records_fd, &pidfd, &a);
	for (int i = 0; !r && i < MONITOR_TRIES; i++) {
		b = a;
		r = bpf_map_lookup_elem(m->records_fd, &pidfd, &a);
		if (!r && memcmp(&a, &b, sizeof(a)) == 0)
			break;
	}
	if (!r)
		*ret = a;
	return r ? -errno : 0;
}

int monitor_lookup_fd(struct monitor *m, int pidfd, struct error *err, struct monitor_record *ret)
{
	struct monitor_record rec = {0};
	struct caba_pids deep;
	int r;

	r = read_record(m, pidfd, &rec.rec);
	if (r == -ESRCH)
		return fail(err, r, "asking the monitor");
	if (r && r != -ENOENT)
		return fail(err, r, "%s: looking up a record", m->folder);
	if (r || !rec.rec.node) {
		*ret = (struct monitor_record){.doubts = MONITOR_NO_RECORD};
		return 0;
	}
	memcpy(rec.pids, rec.rec.pids, sizeof(rec.rec.pids));
	if (rec.rec.level >= CABA_INLINE && !bpf_map_lookup_elem(m->deep_fd, &pidfd, &deep))
		memcpy(rec.pids, deep.at, sizeof(deep.at));
	if (rec.rec.flags & (CABA_OLD | CABA_LOST))
		rec.doubts |= MONITOR_BIRTH_UNSEEN;
	if (m->head->features & CABA_LATE)
		rec.doubts |= MONITOR_CHANGES_LATE;
	if (rec.rec.nr_events > CABA_EVENTS)
		rec.doubts |= MONITOR_EVENTS_CUT;
	if (!read_line(m, &rec))
		rec.doubts |= MONITOR_LINE_BROKEN;
	*ret = rec;
	return 0;
}

/* The process that thread @tid belongs to, or 0. */
static pid_t process_of(pid_t tid)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[64], line[256];
	pid_t pid = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Tgid: %d", &pid) == 1)
			break;
	return pid;
}

int monitor_lookup(struct monitor *m, pid_t pid, struct error *err, struct monitor_record *ret)
{
	_cleanup_close_ int fd = -1;
	pid_t tgid;

	fd = syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0 && (errno == EINVAL || errno == ENOENT) && pid > 0) {
		tgid = process_of(pid);
		fd = tgid > 0 && tgid != pid ? syscall(SYS_pidfd_open, tgid, 0) : -1;
		errno = fd < 0 ? ESRCH : 0;
	}
	if (fd < 0)
		return fail(err, -errno, "process %d", pid);
	return monitor_lookup_fd(m, fd, err, ret);
}
