// SPDX-License-Identifier: GPL-2.0-only
/* Who steps over the instruction without being a tracer: the program itself, and uprobes. */
#define _GNU_SOURCE
#include "cpuid_test.h"

#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <ucontext.h>

#include "../kselftest_harness.h"

FIXTURE(step)
{
	int unused;
};

FIXTURE_SETUP(step)
{
	const char *why = unsupported();

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

FIXTURE_TEARDOWN(step)
{
}

extern const char step_cpuid[], step_next[];

/*
 * The trap flag is set with @flags, and reset after the instruction that follows. That one says
 * where it was executed: in its own place if CPUID was a step of its own.
 */
static uint32_t __attribute__((noinline)) ask(uint32_t leaf, uint64_t flags)
{
	uint32_t a = leaf, b, c = 0, d;
	const char *where;

	asm volatile("sub $128, %%rsp\n"
		     "pushfq\n"
		     "or %[flags], (%%rsp)\n"
		     "popfq\n"
		     ".globl step_cpuid, step_next\n"
		     "step_cpuid: cpuid\n"
		     "step_next: lea step_next(%%rip), %[where]\n"
		     "pushfq\n"
		     "andq $~0x100, (%%rsp)\n"
		     "popfq\n"
		     "add $128, %%rsp\n"
		     : "+a"(a), "=&b"(b), "+c"(c), "=&d"(d), [where] "=&r"(where)
		     : [flags] "r"(flags)
		     : "cc", "memory");
	return where == step_next ? a : 0xbad;
}

#define TRAP_FLAG 0x100

static struct {
	int before, after, wrong_code;
	uint32_t answer;
} steps;

static void on_trap(int sig, siginfo_t *info, void *context)
{
	const greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
	const char *ip = (const char *)regs[REG_RIP];

	(void)sig;
	if (info->si_code != TRAP_TRACE)
		steps.wrong_code++;
	if (ip == step_cpuid)
		steps.before++;
	if (ip == step_next) {
		steps.after++;
		steps.answer = regs[REG_RAX];
	}
}

TEST_F(step, own_trap_flag)
{
	struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};

	ASSERT_EQ(0, sigaction(SIGTRAP, &action, NULL));
	ASSERT_EQ(0, set_magic(0x7f));
	EXPECT_EQ(0x7f, ask(MAGIC_LEAF, TRAP_FLAG));
	/* popf traps after the next instruction only, which is cpuid. */
	EXPECT_EQ(0, steps.before);
	EXPECT_EQ(1, steps.after);
	EXPECT_EQ(0x7f, steps.answer);
	EXPECT_EQ(0, steps.wrong_code);
}

/* Where an address of this program lies in its file */
static int file_offset(const void *address, uint64_t *offset)
{
	FILE *f = fopen("/proc/self/maps", "re");
	unsigned long start, end, at;
	char line[4300];
	int ret = -1;

	while (f && ret && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &at) != 3)
			continue;
		if ((uintptr_t)address < start || (uintptr_t)address >= end)
			continue;
		*offset = (uintptr_t)address - start + at;
		ret = 0;
	}
	if (f)
		fclose(f);
	return ret;
}

static int open_uprobe(uint64_t offset, char *why, size_t size)
{
	const char *path = "/sys/bus/event_source/devices/uprobe/type";
	struct perf_event_attr attr = {.size = sizeof(attr), .config2 = offset, .disabled = 1};
	FILE *f = fopen(path, "re");
	char self[4096];
	int type, fd;
	ssize_t n;

	if (!f || fscanf(f, "%d", &type) != 1) {
		snprintf(why, size, "no uprobes: %s can't be read (errno %d)", path, errno);
		if (f)
			fclose(f);
		return -1;
	}
	fclose(f);
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n < 0)
		return -1;
	self[n] = 0;
	attr.type = type;
	attr.config1 = (uintptr_t)self;
	fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		snprintf(why, size, "no uprobe can be set in %s (errno %d)", self, errno);
	return fd;
}

/* The instruction is executed in another place then, as one step. */
TEST_F(step, uprobe)
{
	uint64_t offset, count = 0;
	char why[4200] = "no path of this program";
	int fd;

	ASSERT_EQ(0, file_offset(step_cpuid, &offset));
	fd = open_uprobe(offset, why, sizeof(why));
	if (fd < 0)
		SKIP(return, "%.200s", why);
	ASSERT_EQ(0, set_magic(0x1b));
	EXPECT_EQ(0x1b, ask(MAGIC_LEAF, 0));
	ASSERT_EQ(0, ioctl(fd, PERF_EVENT_IOC_ENABLE, 0));
	/* No SIGTRAP, which would end us. */
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(0x1b, ask(MAGIC_LEAF, 0));
	ASSERT_EQ(0, ioctl(fd, PERF_EVENT_IOC_DISABLE, 0));
	EXPECT_EQ(0x1b, ask(MAGIC_LEAF, 0));
	ASSERT_EQ(sizeof(count), read(fd, &count, sizeof(count)));
	EXPECT_EQ(3, count);
	close(fd);
}

TEST_HARNESS_MAIN
