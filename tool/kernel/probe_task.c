// SPDX-License-Identifier: GPL-2.0-only
/* Probes: tasks, ptrace, ids. */
#include <asm/prctl.h>
#include <elf.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/kcmp.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel/probe.h"
#include "kernel/uapi.h"

#define CAP_CHECKPOINT_RESTORE_NR 40
#ifndef PTRACE_GETSIGMASK
#define PTRACE_GETSIGMASK 0x420a
#endif
#ifndef PTRACE_O_SUSPEND_SECCOMP
#define PTRACE_O_SUSPEND_SECCOMP (1 << 21)
#endif

int probe_pidfd(void)
{
	return probe_call(syscall(__NR_pidfd_open, getpid(), 0));
}

int probe_pidfd_getfd(void)
{
	int fd = syscall(__NR_pidfd_open, getpid(), 0);

	return fd < 0 ? -errno : probe_call(syscall(__NR_pidfd_getfd, fd, fd, 0));
}

int probe_pidfd_thread(void)
{
	return probe_call(syscall(__NR_pidfd_open, gettid(), PIDFD_THREAD));
}

int probe_pidfd_store(void)
{
	int r = probe_pidfd_getfd();

	return r ? r : probe_fdinfo(syscall(__NR_pidfd_open, getpid(), 0), "Pid:");
}

int probe_kcmp(void)
{
	int fd = open("/dev/null", O_RDONLY), twin = dup(fd);
	long r = syscall(__NR_kcmp, getpid(), getpid(), KCMP_FILE, fd, twin);

	return r < 0 ? -errno : r ? -EIO : 0;
}

int probe_children(void)
{
	char path[64], want[16];
	pid_t pid;
	int r = probe_child(NULL, &pid);

	if (r)
		return r;
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", gettid());
	snprintf(want, sizeof(want), "%d ", pid);
	return probe_text(path, want);
}

int probe_mem_read(void)
{
	static const char secret[] = "as expected";
	char got[sizeof(secret)] = "";
	struct iovec to = {got, sizeof(got)}, from = {(void *)secret, sizeof(secret)};
	pid_t pid;
	int r = probe_child(NULL, &pid);

	if (r)
		return r;
	if (process_vm_readv(pid, &to, 1, &from, 1, 0) != sizeof(secret))
		return -errno;
	return strcmp(got, secret) ? -EIO : 0;
}

int probe_ptrace_seize(void)
{
	pid_t pid;

	return probe_tracee(NULL, &pid);
}

int probe_xstate(void)
{
	static char area[32768];
	struct iovec iov = {area, sizeof(area)};
	pid_t pid;
	int r = probe_tracee(NULL, &pid);

	return r ? r : probe_call(ptrace(PTRACE_GETREGSET, pid, NT_X86_XSTATE, &iov));
}

int probe_peeksiginfo(void)
{
	struct __ptrace_peeksiginfo_args args = {.nr = 1};
	siginfo_t info;
	pid_t pid;
	int r = probe_tracee(NULL, &pid);

	return r ? r : probe_call(ptrace(PTRACE_PEEKSIGINFO, pid, &args, &info));
}

int probe_sigmask(void)
{
	uint64_t mask;
	pid_t pid;
	int r = probe_tracee(NULL, &pid);

	return r ? r : probe_call(ptrace(PTRACE_GETSIGMASK, pid, sizeof(mask), &mask));
}

int probe_get_rseq_conf(void)
{
	struct {
		uint64_t address;
		uint32_t size, signature, flags, pad;
	} conf;
	pid_t pid;
	int r = probe_tracee(NULL, &pid);

	return r ? r : probe_call(ptrace(PTRACE_GET_RSEQ_CONFIGURATION, pid, sizeof(conf), &conf));
}

int probe_seccomp_suspend(void)
{
	pid_t pid;
	int r = probe_tracee(NULL, &pid);

	return r ? r : probe_call(ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_SUSPEND_SECCOMP));
}

static int filter_allows_all(void)
{
	struct sock_filter code = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = {.len = 1, .filter = &code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	return probe_call(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog));
}

int probe_seccomp_filters(void)
{
	struct sock_filter code[4];
	pid_t pid;
	int r = probe_tracee(filter_allows_all, &pid);

	return r ? r : probe_call(ptrace(PTRACE_SECCOMP_GET_FILTER, pid, 0, code));
}

int probe_user_dispatch(void)
{
	uint64_t config[4];
	pid_t pid;
	int r = probe_tracee(NULL, &pid);

	return r ? r
		 : probe_call(ptrace(PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, pid, sizeof(config),
				     config));
}

static void __attribute__((noinline)) breakpoint_here(void)
{
	asm volatile("" ::: "memory");
}

/* The registers can be set where the hardware, a virtual machine's, stops nobody: see whether it
 * does. */
int probe_breakpoints(void)
{
	size_t dr = offsetof(struct user, u_debugreg);
	int status, r = 0;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (ptrace(PTRACE_TRACEME, 0, 0, 0))
			_exit(1);
		raise(SIGSTOP);
		breakpoint_here();
		raise(SIGSTOP);
		_exit(1);
	}
	if (waitpid(pid, &status, 0) < 0 || !WIFSTOPPED(status))
		return -EPERM;
	if (ptrace(PTRACE_POKEUSER, pid, dr, breakpoint_here) ||
	    ptrace(PTRACE_POKEUSER, pid, dr + 7 * sizeof(long), 1L) ||
	    ptrace(PTRACE_CONT, pid, 0, 0))
		r = -errno;
	else if (waitpid(pid, &status, 0) < 0 || !WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
		r = -EOPNOTSUPP;
	kill(pid, SIGKILL);
	return r;
}

/* The pid of a child that is gone is free: ask for it. Someone may be faster. */
static int clone_with_pid(void)
{
	struct clone_args args = {.exit_signal = SIGCHLD};
	pid_t pid = fork(), got;

	if (!pid)
		_exit(0);
	if (pid < 0 || waitpid(pid, NULL, 0) < 0)
		return -errno;
	args.set_tid = (uintptr_t)&pid;
	args.set_tid_size = 1;
	got = syscall(__NR_clone3, &args, sizeof(args));
	if (!got)
		_exit(0);
	if (got < 0)
		return -errno;
	return got == pid ? 0 : -EIO;
}

int probe_clone3_set_tid(void)
{
	int tries, r = -EEXIST;

	for (tries = 0; tries < 5 && r == -EEXIST; tries++)
		r = clone_with_pid();
	return r;
}

int probe_set_mm_map(void)
{
	unsigned int size = 0;

	return probe_call(prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0));
}

int probe_timer_cr_ids(void)
{
	struct sigevent none = {.sigev_notify = SIGEV_NONE};
	int id = 1234567, want = id;

	if (prctl(PR_TIMER_CREATE_RESTORE_IDS, PR_TIMER_CREATE_RESTORE_IDS_ON, 0, 0, 0))
		return -errno;
	if (syscall(__NR_timer_create, CLOCK_MONOTONIC, &none, &id))
		return -errno;
	return id == want ? 0 : -EOPNOTSUPP;
}

int probe_ns_pid(void)
{
	return probe_text("/proc/self/status", "\nNSpid:");
}

int probe_ns_pid_ioctl(void)
{
	int fd = open("/proc/self/ns/pid", O_RDONLY);
	long r = ioctl(fd, NS_GET_PID_FROM_PIDNS, getpid());

	return r < 0 ? -errno : r == getpid() ? 0 : -EIO;
}

int probe_shadow_stack(void)
{
	uint64_t on;

	return probe_call(syscall(__NR_arch_prctl, ARCH_SHSTK_STATUS, &on));
}

int probe_cap_checkpoint_restore(void)
{
	return probe_call(prctl(PR_CAPBSET_READ, CAP_CHECKPOINT_RESTORE_NR, 0, 0, 0));
}

int probe_loginuid(void)
{
	return probe_path("/proc/self/loginuid");
}

/* A second vDSO is refused with EEXIST, which says that the call is known. */
int probe_can_map_vdso(void)
{
	long r = syscall(__NR_arch_prctl, ARCH_MAP_VDSO_64, 0);

	return r < 0 && errno != EEXIST ? -errno : 0;
}

#define COMPAT_NR_GETPID 20

static int call_with_32_bits(void)
{
	long r;

	signal(SIGSEGV, SIG_DFL);
	asm volatile("int $0x80"
		     : "=a"(r)
		     : "a"(COMPAT_NR_GETPID)
		     : "r8", "r9", "r10", "r11", "memory");
	return r == getpid() ? 0 : -ENOSYS;
}

/* A kernel with the vDSO may have the calls switched off (ia32_emulation=0): the child is killed.
 */
int probe_compat_cr(void)
{
	long r = syscall(__NR_arch_prctl, ARCH_MAP_VDSO_32, 0);
	pid_t pid;

	if (r < 0 && errno != EEXIST)
		return -errno;
	r = probe_child(call_with_32_bits, &pid);
	return r == -ECHILD ? -ENOSYS : r;
}
