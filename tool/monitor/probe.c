// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "kernel/bpf_attach.h"
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

static void absent(struct monitor_feature *f, const char *what, int error)
{
	f->present = false;
	f->error = error;
	snprintf(f->why, sizeof(f->why), "%s: %s", what,
		 error == -ENOENT || error == -ESRCH ? "this kernel has none" : strerror(-error));
}

static void check(struct monitor_feature *f, const char *name, enum bpf_attach_type type)
{
	int r = f->present ? bpf_try_attach(name, type) : 0;

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
		int fd = bpf_syscall_event(names[i]);

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
				 "the process-tree monitor", MONITOR_REQUIRED, true, "", 0},
		[FEATURE_STORAGE] = {"task_storage", "records of processes",
				     "the process-tree monitor", MONITOR_REQUIRED, true, "", 0},
		[FEATURE_EVENTS] = {"process_events", "seeing births, execs, deaths and reaping",
				    "the process-tree monitor", MONITOR_REQUIRED, true, "", 0},
		[FEATURE_SCAN] = {"task_iterator", "processes older than the monitor",
				  "the process-tree monitor", MONITOR_REQUIRED, true, "", 0},
		[FEATURE_CHANGE] = {"trace_change_pid", "changes of session and group, at once",
				    "replaced by system call tracepoints: system calls get slower",
				    MONITOR_OPTIONAL, true, "", 0},
		[FEATURE_REPARENT] = {"trace_reparent", "new parents of orphans, at once",
				      "the new parent is noticed at the orphan's next event",
				      MONITOR_OPTIONAL, true, "", 0},
		[FEATURE_SUBREAPER] = {"trace_subreaper", "changes of the subreaper attribute",
				       "replaced by system call tracepoints", MONITOR_OPTIONAL,
				       true, "", 0},
		[FEATURE_SYSCALLS] = {"syscall_tracepoints",
				      "what the three above see, where they are missing",
				      "such changes are noticed at the process's next event",
				      MONITOR_OPTIONAL, true, "", 0},
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
