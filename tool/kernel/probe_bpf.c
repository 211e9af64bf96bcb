// SPDX-License-Identifier: GPL-2.0-only
/* Probes: BPF. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <unistd.h>

#include "kernel/bpf_attach.h"
#include "kernel/probe.h"

int probe_btf(void)
{
	return probe_path("/sys/kernel/btf/vmlinux");
}

/* Load a program that does nothing, attach it to the iterator and open that. */
int probe_bpf_iter(void)
{
	const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TRACE_ITER);
	int id, prog, link, fd;
	char byte;

	libbpf_set_print(NULL);
	id = libbpf_find_vmlinux_btf_id("task_file", BPF_TRACE_ITER);
	if (id < 0)
		return id;
	opts.attach_btf_id = id;
	prog = bpf_prog_load(BPF_PROG_TYPE_TRACING, "probe", "GPL", code, 2, &opts);
	if (prog < 0)
		return -errno;
	link = bpf_link_create(prog, 0, BPF_TRACE_ITER, NULL);
	if (link < 0)
		return -errno;
	fd = bpf_iter_create(link);
	return fd < 0 ? -errno : probe_call(read(fd, &byte, 1));
}

int probe_bpf_task_storage(void)
{
	int r;

	libbpf_set_print(NULL);
	r = libbpf_probe_bpf_map_type(BPF_MAP_TYPE_TASK_STORAGE, NULL);
	return r < 0 ? r : r ? 0 : geteuid() ? -EPERM : -EOPNOTSUPP;
}

/* The first of @names that cannot be attached to decides. */
static int all_of(const char *const names[], enum bpf_attach_type type)
{
	int r = 0;

	while (!r && *names)
		r = bpf_try_attach(*names++, type);
	return r;
}

int probe_bpf_events(void)
{
	const char *const names[] = {"sched_process_fork", "sched_process_exec",
				     "sched_process_exit", "sched_process_free", NULL};

	return all_of(names, BPF_TRACE_RAW_TP);
}

int probe_bpf_functions(void)
{
	const char *const entry[] = {"change_pid", "kill_orphaned_pgrp", NULL};
	int r = all_of(entry, BPF_TRACE_FENTRY);

	return r ? r : bpf_try_attach("security_task_prctl", BPF_TRACE_FEXIT);
}

int probe_bpf_syscalls(void)
{
	int fd = bpf_syscall_event("sys_exit_setsid");

	return fd < 0 ? fd : 0;
}
