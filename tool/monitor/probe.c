// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "lib/cleanup.h"
#include "monitor/probe.h"

static int say_nothing(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return 0;
}

void probe_quiet(void)
{
	libbpf_set_print(say_nothing);
}

static int say_warnings(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, fmt, ap) : 0;
}

void probe_loud(void)
{
	libbpf_set_print(say_warnings);
}

int probe_function(const struct btf *btf, const char *name)
{
	int id = btf__find_by_name_kind(btf, name, BTF_KIND_FUNC);
	const struct btf_type *t;

	if (id < 0)
		return -ENOENT;
	t = btf__type_by_id(btf, id);
	t = btf__type_by_id(btf, t->type);
	return t ? btf_vlen(t) : -ENOENT;
}

/* The tracepoint's number, out of a tracefs of our own that is mounted nowhere. */
static int event_id(const char *name)
{
	_cleanup_close_ int fs = -1, mnt = -1, fd = -1;
	char path[128], buf[32] = "";

	fs = fsopen("tracefs", FSOPEN_CLOEXEC);
	if (fs < 0 || fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		return -errno;
	mnt = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	if (mnt < 0)
		return -errno;
	snprintf(path, sizeof(path), "events/syscalls/%s/id", name);
	fd = openat(mnt, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, buf, sizeof(buf) - 1) <= 0)
		return -errno;
	return atoi(buf);
}

int probe_syscall_event(const char *name)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(attr),
		.sample_period = 1,
		.wakeup_events = 1,
	};
	int id = event_id(name), fd;

	if (id < 0)
		return id;
	attr.config = id;
	/* A tracepoint's programs run on every CPU, whichever one the event was opened for. */
	fd = syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static const struct bpf_insn nothing[] = {
	{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
	{.code = BPF_JMP | BPF_EXIT},
};

/* Attach a program that does nothing to function or tracepoint @name, and let it go. */
static int try_attach(const char *name, enum bpf_attach_type type)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = type);
	_cleanup_close_ int prog = -1, link = -1;
	int id = libbpf_find_vmlinux_btf_id(name, type);

	if (id < 0)
		return -ENOENT;
	opts.attach_btf_id = id;
	prog = bpf_prog_load(BPF_PROG_TYPE_TRACING, "stasis_probe", "GPL", nothing, 2, &opts);
	if (prog < 0)
		return -errno;
	if (type == BPF_TRACE_ITER)
		return 0;
	link = bpf_raw_tracepoint_open(NULL, prog);
	return link < 0 ? -errno : 0;
}

static void absent(struct monitor_feature *f, const char *what, int error)
{
	f->present = false;
	snprintf(f->why, sizeof(f->why), "%s: %s", what,
		 error == -ENOENT ? "this kernel has none" : strerror(-error));
}

static void check(struct monitor_feature *f, const char *name, enum bpf_attach_type type)
{
	int r = f->present ? try_attach(name, type) : 0;

	if (r)
		absent(f, name, r);
}

static void check_storage(struct monitor_feature *f)
{
	int r = libbpf_probe_bpf_map_type(BPF_MAP_TYPE_TASK_STORAGE, NULL);

	if (r != 1)
		absent(f, "BPF_MAP_TYPE_TASK_STORAGE", r ? r : -ENOENT);
}

static void check_syscalls(struct monitor_feature *f)
{
	static const char *const names[] = {"sys_exit_setsid", "sys_exit_setpgid",
					    "sys_exit_prctl"};

	for (size_t i = 0; i < 3; i++) {
		int fd = probe_syscall_event(names[i]);

		if (fd >= 0) {
			close(fd);
			continue;
		}
		absent(f, names[i], fd);
		return;
	}
}

void monitor_probe(struct monitor_feature f[static MONITOR_FEATURES])
{
	static const struct monitor_feature rows[MONITOR_FEATURES] = {
		[FEATURE_BTF] = {"btf", "fitting the monitor's programs to this kernel",
				 "the process-tree monitor", MONITOR_REQUIRED, true, ""},
		[FEATURE_STORAGE] = {"task_storage", "records of processes",
				     "the process-tree monitor", MONITOR_REQUIRED, true, ""},
		[FEATURE_EVENTS] = {"process_events", "seeing births, execs, deaths and reaping",
				    "the process-tree monitor", MONITOR_REQUIRED, true, ""},
		[FEATURE_SCAN] = {"task_iterator", "processes older than the monitor",
				  "the process-tree monitor", MONITOR_REQUIRED, true, ""},
		[FEATURE_CHANGE] = {"trace_change_pid", "changes of session and group, at once",
				    "replaced by system call tracepoints: system calls get slower",
				    MONITOR_OPTIONAL, true, ""},
		[FEATURE_REPARENT] = {"trace_reparent", "new parents of orphans, at once",
				      "the new parent is noticed at the orphan's next event",
				      MONITOR_OPTIONAL, true, ""},
		[FEATURE_SUBREAPER] = {"trace_subreaper", "changes of the subreaper attribute",
				       "replaced by system call tracepoints", MONITOR_OPTIONAL,
				       true, ""},
		[FEATURE_SYSCALLS] = {"syscall_tracepoints",
				      "what the three above see, where they are missing",
				      "such changes are noticed at the process's next event",
				      MONITOR_OPTIONAL, true, ""},
	};
	static const char *const events[] = {"sched_process_fork", "sched_process_exit",
					     "sched_process_free", "sched_process_exec"};
	struct btf *btf;

	probe_quiet();
	memcpy(f, rows, sizeof(rows));
	btf = btf__load_vmlinux_btf();
	if (!btf)
		absent(&f[FEATURE_BTF], "/sys/kernel/btf/vmlinux", -errno);
	btf__free(btf);
	check_storage(&f[FEATURE_STORAGE]);
	for (size_t i = 0; i < 4; i++)
		check(&f[FEATURE_EVENTS], events[i], BPF_TRACE_RAW_TP);
	check(&f[FEATURE_SCAN], "task", BPF_TRACE_ITER);
	check(&f[FEATURE_CHANGE], "change_pid", BPF_TRACE_FENTRY);
	check(&f[FEATURE_REPARENT], "kill_orphaned_pgrp", BPF_TRACE_FENTRY);
	check(&f[FEATURE_SUBREAPER], "security_task_prctl", BPF_TRACE_FEXIT);
	check_syscalls(&f[FEATURE_SYSCALLS]);
}
