// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bpf/caba.skel.h"
#include "kernel/bpf_attach.h"
#include "lib/cleanup.h"
#include "monitor/monitor.h"
#include "monitor/place.h"
#include "monitor/probe.h"

#define INIT_PID_NS 0xeffffffc /* PROC_PID_INIT_INO, include/linux/proc_ns.h */

struct start {
	struct place place;
	struct caba *skel;
	struct monitor_feature features[MONITOR_FEATURES];
	struct caba_head *head;
	size_t size; /* of the node array */
	uint32_t limit;
	bool late; /* CABA_LATE */
};

static void start_end(struct start *s)
{
	if (s->head)
		munmap(s->head, s->size);
	caba__destroy(s->skel);
	place_close(&s->place);
}

static int need_features(const struct start *s, FILE *say, struct error *err)
{
	struct stat st;

	/* The task iterator stays within the caller's pid namespace. */
	if (say && stat("/proc/self/ns/pid", &st) == 0 && st.st_ino != INIT_PID_NS)
		fprintf(say, "note: started inside a pid namespace: processes outside that are "
			     "there already get a record when they next fork or execute\n");
	for (size_t i = 0; i < MONITOR_FEATURES; i++) {
		const struct monitor_feature *f = &s->features[i];

		if (f->present)
			continue;
		if (f->need == MONITOR_REQUIRED && f->error == -EPERM) {
			fail_text(err, -EPERM, "starting the monitor: no permission for %s (%s)",
				  f->name, f->why);
			return fail_hint(err, "it needs root of the initial user namespace, and "
					      "no security policy against it");
		}
		if (f->need == MONITOR_REQUIRED) {
			fail_text(err, -EOPNOTSUPP, "this kernel lacks %s (%s), for %s", f->name,
				  f->why, f->used_for);
			return fail_hint(err, "the monitor needs root and Linux 6.12 or later with "
					      "CONFIG_DEBUG_INFO_BTF and CONFIG_BPF_EVENTS");
		}
		if (say)
			fprintf(say, "note: without %s (%s): %s\n", f->name, f->why, f->lost);
	}
	return 0;
}

/* Which programs take part; of those for one purpose, one. */
static int choose(struct start *s, struct error *err)
{
	const struct monitor_feature *f = s->features;
	bool sys = f[FEATURE_SYSCALLS].present;
	struct btf *btf = btf__load_vmlinux_btf();
	int params, vpid;

	if (!btf)
		return fail(err, -errno, "/sys/kernel/btf/vmlinux: reading");
	params = probe_function(btf, "change_pid");
	vpid = probe_function(btf, "bpf_task_from_vpid");
	btf__free(btf);

	struct {
		struct bpf_program *prog;
		bool on;
	} rows[] = {
		{s->skel->progs.on_change_pid, f[FEATURE_CHANGE].present && params == 3},
		{s->skel->progs.on_change_pid_collect, f[FEATURE_CHANGE].present && params == 4},
		{s->skel->progs.on_reparent, f[FEATURE_REPARENT].present},
		{s->skel->progs.on_prctl, f[FEATURE_SUBREAPER].present},
		{s->skel->progs.on_setsid, sys && !f[FEATURE_CHANGE].present},
		{s->skel->progs.on_setpgid, sys && !f[FEATURE_CHANGE].present && vpid == 1},
		{s->skel->progs.on_setpgid_self, sys && !f[FEATURE_CHANGE].present && vpid != 1},
		{s->skel->progs.on_prctl_exit, sys && !f[FEATURE_SUBREAPER].present},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		bpf_program__set_autoload(rows[i].prog, rows[i].on);
	s->late = !f[FEATURE_CHANGE].present && (!sys || vpid != 1);
	s->skel->rodata->look_at_fork = !sys && !f[FEATURE_CHANGE].present;
	s->skel->rodata->walk_children = !f[FEATURE_REPARENT].present;
	return 0;
}

static int load_once(struct start *s, struct error *err)
{
	uint32_t slots = s->limit + CABA_FIRST_NODE;
	int r;

	s->skel = caba__open();
	if (!s->skel)
		return fail(err, -errno, "opening the monitor's programs");
	s->skel->rodata->max_slots = slots;
	s->size = (size_t)slots * sizeof(struct caba_node);
	bpf_map__set_value_size(s->skel->maps.caba_nodes, s->size);
	bpf_map__set_max_entries(s->skel->maps.caba_led, s->limit);
	r = choose(s, err);
	if (r)
		return r;
	return caba__load(s->skel);
}

static int load(struct start *s, struct error *err)
{
	int r = load_once(s, err);

	if (!r || err->code)
		return r;
	/* Once more, this time with libbpf's words, which hold the verifier's. */
	caba__destroy(s->skel);
	probe_loud();
	r = load_once(s, err);
	probe_quiet();
	if (!r)
		return 0;
	fail(err, r, "loading the monitor's programs for %u nodes", s->limit);
	return fail_hint(err, "with ENOMEM try a smaller --limit; else report the messages above "
			      "with this kernel's version");
}

static int init_head(struct start *s, struct error *err)
{
	void *at = mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_SHARED,
			bpf_map__fd(s->skel->maps.caba_nodes), 0);

	if (at == MAP_FAILED)
		return fail(err, -errno, "mapping the monitor's nodes");
	s->head = at;
	s->head->magic = CABA_MAGIC;
	s->head->layout = CABA_LAYOUT;
	s->head->limit = s->limit;
	s->head->top = CABA_FIRST_NODE;
	/* Until births are seen every process counts as older. */
	s->head->since = UINT64_MAX;
	for (int i = 0; i < 4; i++)
		if (s->features[FEATURE_CHANGE + i].present)
			s->head->features |= 1u << i;
	if (s->late)
		s->head->features |= CABA_LATE;
	return 0;
}

static struct bpf_link *attach_one(struct bpf_program *prog)
{
	const char *section = bpf_program__section_name(prog);
	struct bpf_link *link;
	int fd;

	if (strncmp(section, "tracepoint/", 11) != 0)
		return bpf_program__attach(prog);
	fd = bpf_syscall_event(strrchr(section, '/') + 1);
	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	link = bpf_program__attach_perf_event(prog, fd);
	if (!link)
		close(fd);
	return link;
}

/* Attach and pin. The link object goes, the pin holds what is attached. */
static int attach(struct start *s, struct bpf_program *prog, struct error *err)
{
	const char *name = bpf_program__name(prog);
	char path[PATH_MAX];
	struct bpf_link *link;
	int r;

	if (!bpf_program__autoload(prog) || prog == s->skel->progs.scan)
		return 0;
	link = attach_one(prog);
	if (!link)
		return fail(err, -errno, "attaching %s to %s", name,
			    bpf_program__section_name(prog));
	place_path(&s->place, "new", name, path, sizeof(path));
	r = bpf_link__pin(link, path);
	bpf_link__destroy(link);
	return r ? fail(err, r, "%s: pinning", path) : 0;
}

static int pin_maps(struct start *s, struct error *err)
{
	struct bpf_map *const maps[] = {s->skel->maps.caba_nodes, s->skel->maps.caba_records,
					s->skel->maps.caba_deep};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		int r;

		place_path(&s->place, "new", bpf_map__name(maps[i]), path, sizeof(path));
		r = bpf_map__pin(maps[i], path);
		if (r)
			return fail(err, r, "%s: pinning", path);
	}
	return 0;
}

static int scan_once(struct start *s)
{
	struct bpf_link *link = bpf_program__attach_iter(s->skel->progs.scan, NULL);
	_cleanup_close_ int fd = -1;
	char buf[64];
	ssize_t n;

	if (!link)
		return -errno;
	fd = bpf_iter_create(bpf_link__fd(link));
	n = fd < 0 ? -1 : 1;
	while (n > 0 || (n < 0 && fd >= 0 && errno == EAGAIN))
		n = read(fd, buf, sizeof(buf));
	n = n < 0 ? -errno : 0;
	bpf_link__destroy(link);
	return n;
}

static int run(struct start *s, FILE *say, struct error *err)
{
	struct bpf_program *prog;
	struct timespec now;
	int r;

	r = init_head(s, err);
	if (!r)
		r = pin_maps(s, err);
	if (r)
		return r;
	bpf_object__for_each_program(prog, s->skel->obj)
	{
		r = attach(s, prog, err);
		if (r)
			return r;
	}
	clock_gettime(CLOCK_BOOTTIME, &now);
	__atomic_store_n(&s->head->since, now.tv_sec * 1000000000ull + now.tv_nsec,
			 __ATOMIC_SEQ_CST);
	for (int pass = 0; pass < 2; pass++) {
		r = scan_once(s);
		if (r)
			return fail(err, r, "reading the processes that are there already");
	}
	if (say && s->head->lost_limit)
		fprintf(say,
			"note: there are more processes than the limit of %u: those without a "
			"record say so\n",
			s->limit);
	return place_commit(&s->place, err);
}

int monitor_start(const struct monitor_options *opt, FILE *say, struct error *err)
{
	_cleanup_(start_end) struct start s = {.place.fd = -1};
	struct error ignored = {0};
	int r;

	s.limit = opt->limit ? opt->limit : MONITOR_LIMIT_DEFAULT;
	if (s.limit < MONITOR_LIMIT_MIN || s.limit > MONITOR_LIMIT_MAX)
		return fail_text(err, -ERANGE, "limit %u: not between %u and %u", s.limit,
				 MONITOR_LIMIT_MIN, MONITOR_LIMIT_MAX);
	monitor_probe(s.features);
	if (opt->light && s.features[FEATURE_SYSCALLS].present) {
		s.features[FEATURE_SYSCALLS].present = false;
		snprintf(s.features[FEATURE_SYSCALLS].why, sizeof(s.features[0].why), "not wanted");
	}
	r = need_features(&s, say, err);
	if (!r)
		r = place_open(&s.place, opt->folder, true, err);
	if (r)
		return r;
	if (place_has(&s.place, "monitor")) {
		fail_text(err, -EEXIST, "%s: a monitor is running already", s.place.folder);
		return fail_hint(err, "stasis monitor status shows it; stasis monitor stop ends it "
				      "and forgets what it knows");
	}
	r = place_begin(&s.place, err);
	if (!r)
		r = load(&s, err);
	if (!r)
		r = run(&s, say, err);
	if (r) {
		place_drop(&s.place, "new", &ignored);
		place_remove(&s.place);
	}
	return r;
}

int monitor_stop(const char *folder, struct error *err)
{
	struct place place = {.fd = -1};
	int r;

	r = place_open(&place, folder, false, err);
	if (!r && !place_has(&place, "monitor"))
		r = -ENOENT;
	if (r == -ENOENT) {
		fail_text(err, r, "%s: no monitor is running", folder ? folder : MONITOR_FOLDER);
		fail_hint(err, "stasis monitor start starts one");
	}
	if (!r)
		r = place_drop(&place, "monitor", err);
	if (!r)
		r = place_drop(&place, "new", err);
	if (!r)
		place_remove(&place);
	place_close(&place);
	return r;
}
