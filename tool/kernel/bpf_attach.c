// SPDX-License-Identifier: GPL-2.0-only
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "kernel/bpf_attach.h"
#include "lib/cleanup.h"

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

int bpf_syscall_event(const char *name)
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

int bpf_try_attach(const char *name, enum bpf_attach_type type)
{
	const struct bpf_insn nothing[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = type);
	_cleanup_close_ int prog = -1, link = -1;
	int id;

	libbpf_set_print(NULL);
	id = libbpf_find_vmlinux_btf_id(name, type);
	if (id < 0)
		return id == -ESRCH ? -ENOENT : id;
	opts.attach_btf_id = id;
	prog = bpf_prog_load(BPF_PROG_TYPE_TRACING, "stasis_probe", "GPL", nothing, 2, &opts);
	if (prog < 0)
		return -errno;
	if (type == BPF_TRACE_ITER)
		return 0;
	link = bpf_raw_tracepoint_open(NULL, prog);
	return link < 0 ? -errno : 0;
}
