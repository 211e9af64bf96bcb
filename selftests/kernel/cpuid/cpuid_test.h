/* SPDX-License-Identifier: GPL-2.0-only */
/* Helpers for the tests of the CPUID override */
#ifndef SELFTESTS_CPUID_TEST_H
#define SELFTESTS_CPUID_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cpuid_override.h"

#ifndef CAP_CHECKPOINT_RESTORE
#define CAP_CHECKPOINT_RESTORE 40
#endif

#define HELPER static __attribute__((unused))

/* A leaf that no CPU has, so that a row for it can't be mistaken for the machine's answer */
#define MAGIC_LEAF 0x51a51500u

#define XSTATE_LEAF 0xdu

/* What nobody has: a user without names or privileges */
#define NOBODY 65534

/* arch_prctl of 32-bit programs */
#define COMPAT_PRCTL 384

struct regs {
	uint32_t eax, ebx, ecx, edx;
};

#define ROW(leaf_, subleaf_, a, b, c, d) \
	((struct arch_cpuid_row){        \
		.leaf = leaf_, .subleaf = subleaf_, .eax = a, .ebx = b, .ecx = c, .edx = d})
#define ANY_ROW(leaf_, a, b, c, d)                                    \
	((struct arch_cpuid_row){.leaf = leaf_,                       \
				 .flags = ARCH_CPUID_ROW_ANY_SUBLEAF, \
				 .eax = a,                            \
				 .ebx = b,                            \
				 .ecx = c,                            \
				 .edx = d})

HELPER struct regs cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct regs r;

	asm volatile("cpuid"
		     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
		     : "0"(leaf), "2"(subleaf));
	return r;
}

HELPER bool regs_equal(struct regs a, struct regs b)
{
	return !memcmp(&a, &b, sizeof(a));
}

HELPER int arch_prctl(int option, unsigned long arg)
{
	return syscall(SYS_arch_prctl, option, arg) < 0 ? -errno : 0;
}

HELPER int set_table(const struct arch_cpuid_row *rows, uint32_t n)
{
	struct arch_cpuid_override arg = {
		.size = sizeof(arg), .nr_rows = n, .rows = (uintptr_t)rows};

	return arch_prctl(ARCH_SET_CPUID_OVERRIDE, (uintptr_t)&arg);
}

/* The number of rows, of which as many as there is room for are written to @rows, or a negative
 * errno */
HELPER int get_table(struct arch_cpuid_row *rows, uint32_t room)
{
	struct arch_cpuid_override arg = {
		.size = sizeof(arg), .nr_rows = room, .rows = (uintptr_t)rows};
	int ret = arch_prctl(ARCH_GET_CPUID_OVERRIDE, (uintptr_t)&arg);

	return ret ? ret : (int)arg.nr_rows;
}

HELPER int set_row(struct arch_cpuid_row row)
{
	return set_table(&row, 1);
}

HELPER int set_regs(uint32_t leaf, uint32_t subleaf, struct regs r)
{
	return set_row(ROW(leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx));
}

HELPER int set_magic(uint32_t magic)
{
	struct arch_cpuid_row row = ANY_ROW(MAGIC_LEAF, magic, ~magic, 1, 2);

	return set_table(&row, 1);
}

HELPER uint32_t magic(void)
{
	return cpuid(MAGIC_LEAF, 77).eax;
}

#define UNKNOWN_CALL "the kernel has no ARCH_GET_CPUID_OVERRIDE (EINVAL)"

/* Whether the kernel knows the CPU as one that can fault CPUID */
HELPER bool cpu_can_fault(void)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	bool found = false;
	char *line = NULL;
	size_t size = 0;

	while (f && !found && getline(&line, &size, f) > 0) {
		char *rest, *word = strtok_r(line, " \t\n", &rest);

		if (!word || strcmp(word, "flags"))
			continue;
		while (!found && (word = strtok_r(NULL, " \t\n", &rest)))
			found = !strcmp(word, "cpuid_fault");
	}
	free(line);
	if (f)
		fclose(f);
	return found;
}

/* Why there's nothing to test here, or NULL */
HELPER const char *unsupported(void)
{
	switch (get_table(NULL, 0)) {
	case -EINVAL:
		return UNKNOWN_CALL;
	case -ENODEV:
		/* If it can, the tests are to fail. */
		if (!cpu_can_fault())
			return "the CPU can't fault CPUID (ENODEV)";
	}
	return NULL;
}

/* As a 32-bit program would; @arg is where 32 bits reach. */
HELPER int compat_arch_prctl(int option, const void *arg)
{
	int64_t ret = COMPAT_PRCTL;

	asm volatile("int $0x80"
		     : "+a"(ret)
		     : "b"((uint64_t)option), "c"((uintptr_t)arg)
		     : "memory", "cc", "r8", "r9", "r10", "r11");
	return (int)ret;
}

HELPER int compat_probe(void *data)
{
	(void)data;
	compat_arch_prctl(ARCH_GET_CPUID_OVERRIDE, NULL);
	return 0;
}

HELPER int capabilities(uint64_t *effective)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {};

	if (syscall(SYS_capget, &header, data))
		return -errno;
	*effective = data[0].effective | (uint64_t)data[1].effective << 32;
	return 0;
}

/* Keep no capabilities but these, of those that there are. */
HELPER int drop_capabilities(uint64_t keep)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {};
	uint64_t now;
	int ret = capabilities(&now);

	if (ret)
		return ret;
	keep &= now;
	data[0].effective = data[0].permitted = (uint32_t)keep;
	data[1].effective = data[1].permitted = (uint32_t)(keep >> 32);
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

HELPER int run_on(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	return sched_setaffinity(0, sizeof(cpus), &cpus);
}

#define CAP(x) (1ULL << (x))
#define NEEDS_CAPABILITY \
	"needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE, to set one table after another"

HELPER bool may_replace(void)
{
	uint64_t now = 0;

	return !capabilities(&now) && now & (CAP(CAP_SYS_ADMIN) | CAP(CAP_CHECKPOINT_RESTORE));
}

/* Run a function in a process of its own; its value (0 to 127) is its exit status, and a signal is
 * 128 more. */
HELPER int in_child(int (*fn)(void *), void *arg)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -1;
	if (!pid)
		_exit(fn(arg));
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#define NO_COMPAT_CALLS "the kernel has no system calls of 32 bits"

/* A kernel without them answers with SIGSEGV. */
HELPER bool has_compat_calls(void)
{
	return !in_child(compat_probe, NULL);
}

/* The path of a program beside this one */
HELPER char *beside(const char *name, char *path, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", path, size - 1);

	if (n < 0)
		return NULL;
	path[n] = 0;
	strcpy(strrchr(path, '/') + 1, name);
	return path;
}

#endif
