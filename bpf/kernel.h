/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What caba.bpf.c needs of the kernel's types. CO-RE looks up every field by name in the
 * running kernel's BTF, so only names matter here, not order or size; writing them down
 * instead of generating vmlinux.h lets the tree build on machines whose kernel has no BTF.
 */
#ifndef CABA_KERNEL_H
#define CABA_KERNEL_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

#define PF_KTHREAD 0x00200000 /* include/linux/sched.h */

enum pid_type { PIDTYPE_PID, PIDTYPE_TGID, PIDTYPE_PGID, PIDTYPE_SID, PIDTYPE_MAX };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
	unsigned int inum;
};

struct pid_namespace {
	struct ns_common ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live;
	struct pid *pids[PIDTYPE_MAX];
	unsigned int is_child_subreaper : 1;
};

struct sighand_struct;

struct list_head {
	struct list_head *next, *prev;
};

struct task_struct {
	unsigned int flags;
	int pid;
	int tgid;
	int exit_state;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	__u64 start_boottime;
	struct signal_struct *signal;
	struct sighand_struct *sighand;
	char comm[16];
	struct list_head children;
	struct list_head sibling;
};

/* x86-64 */
struct pt_regs {
	unsigned long di;
};

struct bpf_iter_meta {
	__u64 seq_num;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

/* Kernel functions; the second is there from 6.13 on. */
struct task_struct *bpf_task_from_pid(int pid) __attribute__((section(".ksyms"), weak));
struct task_struct *bpf_task_from_vpid(int vpid) __attribute__((section(".ksyms"), weak));
void bpf_task_release(struct task_struct *p) __attribute__((section(".ksyms"), weak));

#endif
