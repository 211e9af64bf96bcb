// SPDX-License-Identifier: GPL-2.0-only
/*
 * PIDFD_ATTACH_SESSION asks security modules as setpgid() does. The module is a BPF program, made
 * of bare instructions so that no compiler and no library for them is needed: it refuses
 * security_task_setpgid() to one process.
 */

#define _GNU_SOURCE
#include <linux/bpf.h>
#include <linux/btf.h>
#include <sys/stat.h>

#include "../kselftest_harness.h"
#include "session.h"

#define HOOK	"bpf_lsm_task_setpgid"
#define REFUSAL EUCLEAN /* which the call itself never says */

static long bpf(int cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

/* Words that follow struct btf_type. */
static size_t btf_extra(const struct btf_type *t)
{
	uint32_t n = BTF_INFO_VLEN(t->info);

	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
		return 1;
	case BTF_KIND_ARRAY:
		return 3;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
	case BTF_KIND_ENUM64:
		return 3 * n;
	case BTF_KIND_ENUM:
	case BTF_KIND_FUNC_PROTO:
	case BTF_KIND_DATASEC:
		return n * (BTF_INFO_KIND(t->info) == BTF_KIND_DATASEC ? 3 : 2);
	}
	return 0;
}

/* The number of a function in the kernel's type information; 0: not there. */
static uint32_t find_function(const char *name)
{
	int fd = open("/sys/kernel/btf/vmlinux", O_RDONLY | O_CLOEXEC);
	const struct btf_header *h;
	const uint32_t *at, *end;
	uint32_t id, found = 0;
	struct stat st = {0};
	const char *strings;
	ssize_t got;
	size_t have = 0;
	char *all;

	if (fd < 0 || fstat(fd, &st) || !st.st_size)
		return 0;
	all = malloc(st.st_size);
	while (all && have < (size_t)st.st_size &&
	       (got = read(fd, all + have, st.st_size - have)) > 0)
		have += got;
	close(fd);
	if (!all || have < sizeof(*h)) {
		free(all);
		return 0;
	}
	h = (void *)all;
	strings = all + h->hdr_len + h->str_off;
	at = (void *)(all + h->hdr_len + h->type_off);
	end = at + h->type_len / sizeof(*at);
	for (id = 1; at < end && !found; id++) {
		const struct btf_type *t = (void *)at;

		if (BTF_INFO_KIND(t->info) == BTF_KIND_FUNC && !strcmp(strings + t->name_off, name))
			found = id;
		at += sizeof(*t) / sizeof(*at) + btf_extra(t);
	}
	free(all);
	return found;
}

#define INSN(c, d, s, o, i) \
	((struct bpf_insn){.code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i)})

/* A link that refuses the hook to the process, for as long as it is open. */
static int refuse(pid_t pid, uint32_t hook)
{
	const struct bpf_insn program[] = {
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_current_pid_tgid),
		INSN(BPF_ALU64 | BPF_RSH | BPF_K, BPF_REG_0, 0, 0, 32),
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_0, 0, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0),
		INSN(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_1, 0, 1, pid),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, -REFUSAL),
		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	union bpf_attr attr = {0};
	int prog, link;

	attr.prog_type = BPF_PROG_TYPE_LSM;
	attr.expected_attach_type = BPF_LSM_MAC;
	attr.attach_btf_id = hook;
	attr.insn_cnt = sizeof(program) / sizeof(program[0]);
	attr.insns = (uintptr_t)program;
	attr.license = (uintptr_t) "GPL";
	prog = bpf(BPF_PROG_LOAD, &attr);
	if (prog < 0)
		return -errno;
	memset(&attr, 0, sizeof(attr));
	attr.raw_tracepoint.prog_fd = prog;
	link = bpf(BPF_RAW_TRACEPOINT_OPEN, &attr);
	if (link < 0)
		link = -errno;
	close(prog);
	return link;
}

static bool bpf_is_a_security_module(void)
{
	char list[256] = "";
	int fd = open("/sys/kernel/security/lsm", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, list, sizeof(list) - 1);

	close(fd);
	return n > 0 && strstr(list, "bpf");
}

FIXTURE(lsm)
{
	struct stage stage;
	uint32_t hook;
};

FIXTURE_SETUP(lsm)
{
	SKIP_ATTACH_OBSTACLE(true);
	self->hook = find_function(HOOK);
	if (!self->hook || !bpf_is_a_security_module())
		SKIP(return, "no BPF security module (CONFIG_BPF_LSM, BTF, lsm=...,bpf)");
	ASSERT_TRUE(stage_open(&self->stage));
}

FIXTURE_TEARDOWN(lsm)
{
	stage_clear(&self->stage);
}

TEST_F(lsm, security_module_can_refuse)
{
	struct puppet *leader = spawn(&self->stage, NULL, 0);
	struct puppet *caller = spawn(&self->stage, NULL, 0);
	struct puppet *other = spawn(&self->stage, NULL, 0);
	int link;

	ASSERT_NE(NULL, leader);
	ASSERT_NE(NULL, caller);
	ASSERT_NE(NULL, other);
	ASSERT_EQ(0, call(leader, act_setsid, 0, 0));

	link = refuse(caller->pid, self->hook);
	ASSERT_LE(0, link);
	EXPECT_EQ(-REFUSAL, call(caller, act_attach, leader->pidfd, 0));
	EXPECT_NE(leader->pid, call(caller, act_getsid, 0, 0));
	EXPECT_EQ(0, call(other, act_attach, leader->pidfd, 0));
	close(link);
	EXPECT_EQ(0, call(caller, act_attach, leader->pidfd, 0));
	EXPECT_EQ(leader->pid, call(caller, act_getsid, 0, 0));
}

TEST_HARNESS_MAIN
