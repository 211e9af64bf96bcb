// SPDX-License-Identifier: GPL-2.0-only
#include "kernel/syscall_names.h"

#include <stddef.h>
#include <sys/syscall.h>

/* clang-format off */
#define NAMES(X) \
	X(read) X(write) X(open) X(close) X(fstat) X(lseek) X(mmap) X(mprotect) X(munmap) \
	X(brk) X(rt_sigaction) X(rt_sigprocmask) X(rt_sigpending) X(rt_sigqueueinfo) \
	X(rt_tgsigqueueinfo) X(rt_sigreturn) X(ioctl) X(pread64) X(pwrite64) X(readv) \
	X(writev) X(preadv) X(pwritev) X(preadv2) X(pwritev2) X(pipe) X(pipe2) X(select) \
	X(sched_yield) X(mremap) X(msync) X(mincore) X(madvise) X(shmget) X(shmat) X(shmctl) \
	X(shmdt) X(dup) X(dup2) X(dup3) X(pause) X(nanosleep) X(getitimer) X(alarm) \
	X(setitimer) X(getpid) X(gettid) X(sendfile) X(socket) X(connect) X(accept) \
	X(accept4) X(sendto) X(recvfrom) X(sendmsg) X(recvmsg) X(shutdown) X(bind) X(listen) \
	X(getsockname) X(getpeername) X(socketpair) X(setsockopt) X(getsockopt) X(clone) \
	X(clone3) X(fork) X(vfork) X(execve) X(exit) X(exit_group) X(wait4) X(waitid) X(kill) \
	X(tkill) X(tgkill) X(uname) X(semget) X(semop) X(semctl) X(msgget) X(msgsnd) \
	X(msgrcv) X(msgctl) X(fcntl) X(flock) X(fsync) X(ftruncate) X(truncate) X(getcwd) \
	X(chdir) X(fchdir) X(rename) X(renameat2) X(mkdir) X(mkdirat) X(rmdir) X(creat) \
	X(link) X(linkat) X(unlink) X(unlinkat) X(symlinkat) X(readlink) X(readlinkat) \
	X(chmod) X(fchmod) X(fchmodat) X(chown) X(fchown) X(fchownat) X(umask) X(getrlimit) \
	X(getrusage) X(prlimit64) X(setrlimit) X(getuid) X(getgid) X(setuid) X(setgid) \
	X(setreuid) X(setregid) X(getgroups) X(setgroups) X(setresuid) X(getresuid) \
	X(setresgid) X(getresgid) X(setpgid) X(getppid) X(getpgrp) X(setsid) X(getpgid) \
	X(getsid) X(setfsuid) X(setfsgid) X(capget) X(capset) X(personality) X(sigaltstack) \
	X(utimensat) X(mknod) X(mknodat) X(getpriority) X(setpriority) X(sched_setparam) \
	X(sched_getparam) X(sched_setscheduler) X(sched_getscheduler) X(sched_setattr) \
	X(sched_getattr) X(sched_setaffinity) X(sched_getaffinity) X(mlock) X(munlock) \
	X(mlockall) X(munlockall) X(mlock2) X(pivot_root) X(prctl) X(arch_prctl) X(chroot) \
	X(mount) X(umount2) X(sethostname) X(setdomainname) X(futex) X(set_robust_list) \
	X(get_robust_list) X(set_tid_address) X(restart_syscall) X(timer_create) \
	X(timer_settime) X(timer_gettime) X(timer_getoverrun) X(timer_delete) \
	X(clock_settime) X(clock_gettime) X(epoll_create1) X(epoll_ctl) X(epoll_wait) \
	X(inotify_init1) X(inotify_add_watch) X(fanotify_init) X(fanotify_mark) X(openat) \
	X(openat2) X(newfstatat) X(unshare) X(setns) X(splice) X(tee) X(vmsplice) \
	X(sync_file_range) X(move_pages) X(mbind) X(set_mempolicy) X(get_mempolicy) \
	X(signalfd4) X(timerfd_create) X(timerfd_settime) X(timerfd_gettime) X(eventfd2) \
	X(fallocate) X(perf_event_open) X(process_vm_readv) X(process_vm_writev) X(kcmp) \
	X(seccomp) X(getrandom) X(memfd_create) X(bpf) X(userfaultfd) X(membarrier) \
	X(copy_file_range) X(pkey_mprotect) X(pkey_alloc) X(pkey_free) X(statx) X(rseq) \
	X(io_setup) X(io_destroy) X(io_submit) X(io_getevents) X(io_uring_setup) \
	X(pidfd_open) X(pidfd_getfd) X(pidfd_send_signal) X(close_range) X(process_madvise) \
	X(mount_setattr) X(move_mount) X(open_tree) X(fsopen) X(fsconfig) X(fsmount) \
	X(fspick) X(memfd_secret) X(set_mempolicy_home_node) X(setxattr) X(fsetxattr) \
	X(getxattr) X(fgetxattr) X(add_key) X(keyctl) X(ioprio_set) X(ioprio_get) X(ptrace) \
	X(name_to_handle_at) X(open_by_handle_at) X(sysinfo) X(times) X(time)
/* clang-format on */

const char *syscall_name(unsigned int nr)
{
	static const char *const names[] = {
#define X(name) [__NR_##name] = #name,
		NAMES(X)
#undef X
	};

	return nr < sizeof(names) / sizeof(*names) ? names[nr] : NULL;
}
