// SPDX-License-Identifier: GPL-2.0-only
/* Probes: BPF. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <unistd.h>

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

/* A program that does nothing, attached for a moment. */
static int probe_attach(const char *name, enum bpf_attach_type type)
{
	const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = type);
	int id, prog;

	libbpf_set_print(NULL);
	id = libbpf_find_vmlinux_btf_id(name, type);
	if (id < 0)
		return id;
	opts.attach_btf_id = id;
	prog = bpf_prog_load(BPF_PROG_TYPE_TRACING, "probe", "GPL", code, 2, &opts);
	return prog < 0 ? -errno : probe_call(bpf_raw_tracepoint_open(NULL, prog));
}

int probe_bpf_events(void)
{
	return probe_attach("sched_process_fork", BPF_TRACE_RAW_TP);
}

int probe_bpf_functions(void)
{
	return probe_attach("change_pid", BPF_TRACE_FENTRY);
}
