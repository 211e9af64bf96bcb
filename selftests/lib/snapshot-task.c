// SPDX-License-Identifier: GPL-2.0-only
/* What /proc and a few system calls tell of a process and of its threads. */
#include <linux/sched/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/snapshot.h"

/* Lines of /proc/TID/status that stay; the others count what time and memory do. */
static const char *const status_keys[] = {
	"Name",
	"Umask",
	"State",
	"Tgid",
	"PPid",
	"Uid",
	"Gid",
	"Groups",
	"NStgid",
	"NSpid",
	"NSpgid",
	"NSsid",
	"VmLck",
	"Threads",
	"SigPnd",
	"ShdPnd",
	"SigBlk",
	"SigIgn",
	"SigCgt",
	"CapInh",
	"CapPrm",
	"CapEff",
	"CapBnd",
	"CapAmb",
	"Seccomp",
	"NoNewPrivs",
	"Seccomp_filters",
	"Cpus_allowed",
	"Mems_allowed",
	"THP_enabled",
	"Speculation_Store_Bypass",
	"SpeculationIndirectBranch",
};

/* Fields of /proc/TID/stat, by their number in proc(5). */
static const struct {
	int number;
	const char *name;
} stat_fields[] = {
	{3, "state"},	     {4, "ppid"},	  {5, "pgrp"},	     {6, "session"},
	{7, "tty_nr"},	     {8, "tpgid"},	  {18, "priority"},  {19, "nice"},
	{20, "num_threads"}, {26, "startcode"},	  {27, "endcode"},   {28, "startstack"},
	{38, "exit_signal"}, {40, "rt_priority"}, {41, "policy"},    {45, "start_data"},
	{46, "end_data"},    {47, "start_brk"},	  {48, "arg_start"}, {49, "arg_end"},
	{50, "env_start"},   {51, "env_end"},	  {52, "exit_code"},
};

static const char *const process_files[] = {
	"cmdline",	   "environ", "auxv",	"limits",	  "oom_score_adj",
	"coredump_filter", "cgroup",  "timers", "timens_offsets", "ksm_merging_pages"};
static const char *const process_links[] = {"exe",    "cwd",	"root",	  "ns/mnt", "ns/pid",
					    "ns/net", "ns/uts", "ns/ipc", "ns/user"};

/* One line whatever is in @value: other bytes than text as their hash. */
static void add_value(struct snapshot *s, pid_t task, const char *key, const struct text *value)
{
	bool plain = value->n < 200;

	for (size_t i = 0; i < value->n && plain; i++)
		plain = value->at[i] >= ' ' || value->at[i] == '\n';
	if (!plain) {
		text_add(&s->lines, "%d %s hash %zu %016lx\n", task, key, value->n,
			 (unsigned long)fnv(FNV_START, value->at, value->n));
		return;
	}
	text_add(&s->lines, "%d %s ", task, key);
	for (size_t i = 0; i < value->n; i++)
		text_add(&s->lines, "%c", value->at[i] == '\n' ? '|' : value->at[i]);
	text_add(&s->lines, "\n");
}

/* What a parent can still learn of a zombie. */
static const char *const zombie_keys[] = {"Name",  "State",  "Tgid",  "PPid",	     "NStgid",
					  "NSpid", "NSpgid", "NSsid", "exit_signal", "exit_code"};

static char state_of(pid_t task)
{
	struct text t = {};
	char *state;
	char c;

	text_read(&t, "/proc/%d/stat", task);
	state = strrchr(t.at, ')');
	c = state ? state[2] : 'X';
	text_free(&t);
	return c;
}

bool is_zombie(pid_t task)
{
	return strchr("ZX", state_of(task));
}

static bool zombie_key(const char *key)
{
	for (size_t i = 0; i < sizeof(zombie_keys) / sizeof(zombie_keys[0]); i++)
		if (!strcmp(key, zombie_keys[i]))
			return true;
	return false;
}

static bool known_status(const char *key)
{
	for (size_t i = 0; i < sizeof(status_keys) / sizeof(status_keys[0]); i++)
		if (!strcmp(key, status_keys[i]))
			return true;
	return false;
}

static void add_status(struct snapshot *s, pid_t task, bool zombie)
{
	char *line, *save = NULL;
	struct text t = {};

	text_read(&t, "/proc/%d/status", task);
	for (line = strtok_r(t.at, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *colon = strchr(line, ':');

		if (!colon)
			continue;
		*colon = '\0';
		if (known_status(line) && (!zombie || zombie_key(line)))
			text_add(&s->lines, "%d status.%s %s\n", task, line, colon + 2);
	}
	text_free(&t);
}

static void add_stat(struct snapshot *s, pid_t task, bool zombie)
{
	size_t n = sizeof(stat_fields) / sizeof(stat_fields[0]), next = 0;
	char *field, *save = NULL, *rest;
	struct text t = {};
	int number = 3;

	text_read(&t, "/proc/%d/stat", task);
	rest = strrchr(t.at, ')');
	for (field = rest ? strtok_r(rest + 2, " \n", &save) : NULL; field && next < n;
	     field = strtok_r(NULL, " \n", &save), number++)
		if (number == stat_fields[next].number) {
			const char *name = stat_fields[next++].name;

			if (!zombie || zombie_key(name))
				text_add(&s->lines, "%d stat.%s %s\n", task, name, field);
		}
	text_free(&t);
}

static void add_file(struct snapshot *s, pid_t task, const char *name)
{
	struct text t = {};

	if (text_read(&t, "/proc/%d/%s", task, name) || t.n)
		add_value(s, task, name, &t);
	text_free(&t);
}

static void add_link(struct snapshot *s, pid_t task, const char *name)
{
	struct text t = {};

	text_link(&t, "/proc/%d/%s", task, name);
	add_value(s, task, name, &t);
	text_free(&t);
}

static void add_scheduling(struct snapshot *s, pid_t task)
{
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
		uint32_t util_min, util_max;
	} a = {.size = sizeof(a)};

	if (syscall(SYS_sched_getattr, task, &a, sizeof(a), 0) == 0)
		text_add(
			&s->lines,
			"%d sched policy %u flags %lx nice %d priority %u %lu/%lu/%lu util %u-%u\n",
			task, a.policy, a.flags, a.nice, a.priority, a.runtime, a.deadline,
			a.period, a.util_min, a.util_max);
	text_add(&s->lines, "%d ioprio %lx\n", task, syscall(SYS_ioprio_get, 1, task));
}

static void add_robust_list(struct snapshot *s, pid_t task)
{
	void *head = NULL;
	size_t len = 0;

	if (syscall(SYS_get_robust_list, task, &head, &len) == 0)
		text_add(&s->lines, "%d robust_list %p %zu\n", task, head, len);
}

/*
 * The blocked system call with its operands, stack pointer and program counter. A stopped
 * task is out of its call, before or after the kernel made it ready to be entered again.
 */
static void add_syscall(struct snapshot *s, pid_t task)
{
	struct text t = {};

	if (text_read(&t, "/proc/%d/syscall", task) && strncmp(t.at, "running", 7) &&
	    strncmp(t.at, "-1", 2) && state_of(task) != 'T')
		add_value(s, task, "syscall", &t);
	text_free(&t);
}

static void add_thread(struct snapshot *s, pid_t tid)
{
	bool zombie = is_zombie(tid);

	add_status(s, tid, zombie);
	add_stat(s, tid, zombie);
	if (zombie)
		return;
	add_file(s, tid, "comm");
	add_file(s, tid, "timerslack_ns");
	add_file(s, tid, "personality");
	add_scheduling(s, tid);
	add_robust_list(s, tid);
	add_syscall(s, tid);
}

void snapshot_task(struct snapshot *s, pid_t pid)
{
	long *tids;
	int n = numbers_in(&tids, "/proc/%d/task", pid);

	for (int i = 0; i < n; i++)
		add_thread(s, tids[i]);
	free(tids);
	if (is_zombie(pid))
		return;
	for (size_t i = 0; i < sizeof(process_files) / sizeof(process_files[0]); i++)
		add_file(s, pid, process_files[i]);
	for (size_t i = 0; i < sizeof(process_links) / sizeof(process_links[0]); i++)
		add_link(s, pid, process_links[i]);
}
