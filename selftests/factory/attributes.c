// SPDX-License-Identifier: GPL-2.0-only
/* What a task has besides memory and files: names, limits, scheduling, credentials, filters. */
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/ioprio.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/capability.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "factory/factory.h"

/* Most of these are compared from outside; what /proc doesn't show is asked for here. */

static void write_self(const char *path, const char *text)
{
	int fd = MUST(open(path, O_WRONLY | O_CLOEXEC));

	if (write(fd, text, strlen(text)) < 0)
		skip("%s: %s", path, strerror(errno));
	close(fd);
}

static void *named_thread(void *arg)
{
	prctl(PR_SET_NAME, "a thread's name");
	pthread_barrier_wait(arg);
	hold_peer();
	return NULL;
}

KIND(comm, "names of a process and a thread, with odd characters")
{
	pthread_barrier_t b;
	char name[17] = {};
	pthread_t id;

	pthread_barrier_init(&b, NULL, 2);
	pthread_create(&id, NULL, named_thread, &b);
	pthread_barrier_wait(&b);
	prctl(PR_SET_NAME, "(a) b\tc) R 1");
	hold();
	prctl(PR_GET_NAME, name);
	CHECK(!strcmp(name, "(a) b\tc) R 1"));
	pthread_join(id, NULL);
}

KIND(umask_cwd, "a umask and a working directory")
{
	char at[4096];

	MUST(mkdir(in_work("below"), 0755));
	MUST(chdir(in_work("below")));
	umask(0137);
	hold();
	CHECK(getcwd(at, sizeof(at)) && !strcmp(at, in_work("below")));
	CHECK_EQ(umask(0), 0137);
}

KIND(cwd_deleted, "a working directory that is deleted")
{
	char at[4096];

	MUST(mkdir(in_work("gone"), 0755));
	MUST(chdir(in_work("gone")));
	MUST(rmdir(in_work("gone")));
	hold();
	CHECK(!getcwd(at, sizeof(at)) && errno == ENOENT);
	CHECK_EQ(open("new", O_CREAT | O_WRONLY, 0644), -1);
}

KIND(root, "a root directory of its own (chroot)")
{
	MUST(mkdir(in_work("newroot"), 0755));
	MUST(chroot(work_dir));
	MUST(chdir("/newroot"));
	/* What hold() needs, as it is called now. */
	strcpy(go_path, "/go");
	tell_ready_at("/ready");
	hold_peer();
	CHECK_EQ(access("/newroot", F_OK), 0);
	CHECK(access("/proc", F_OK) < 0);
}

KIND(nice, "a nice value")
{
	MUST(setpriority(PRIO_PROCESS, 0, 7));
	hold();
	CHECK_EQ(getpriority(PRIO_PROCESS, 0), 7);
}

static void scheduled(int policy, int priority)
{
	struct sched_param p = {.sched_priority = priority};

	if (sched_setscheduler(0, policy, &p) < 0)
		skip("sched_setscheduler(%d): %s", policy, strerror(errno));
	hold();
	CHECK_EQ(sched_getscheduler(0), policy);
}

KIND(sched_fifo, "SCHED_FIFO, with a nice value for when it is no more")
{
	MUST(setpriority(PRIO_PROCESS, 0, 7));
	scheduled(SCHED_FIFO, 5);
	CHECK_EQ(getpriority(PRIO_PROCESS, 0), 7);
}

KIND(sched_rr, "SCHED_RR, reset on fork", .lost = "sched")
{
	scheduled(SCHED_RR | SCHED_RESET_ON_FORK, 9);
}

KIND(sched_batch, "SCHED_BATCH")
{
	scheduled(SCHED_BATCH, 0);
}

KIND(sched_idle, "SCHED_IDLE")
{
	scheduled(SCHED_IDLE, 0);
}

KIND(sched_deadline, "SCHED_DEADLINE", .no_criu = "CRIU 4.2 doesn't know SCHED_DEADLINE")
{
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t runtime, deadline, period;
	} a = {.size = 48,
	       .policy = SCHED_DEADLINE,
	       .runtime = 1000000,
	       .deadline = 50000000,
	       .period = 100000000},
	  got = {};

	if (syscall(SYS_sched_setattr, 0, &a, 0) < 0)
		skip("SCHED_DEADLINE: %s", strerror(errno));
	hold();
	CHECK_EQ(syscall(SYS_sched_getattr, 0, &got, sizeof(got), 0), 0);
	CHECK(got.policy == a.policy && got.runtime == a.runtime && got.period == a.period);
}

KIND(affinity, "one CPU of several", .no_criu = "CRIU 4.2 loses affinity")
{
	cpu_set_t set;

	CPU_ZERO(&set);
	MUST(sched_getaffinity(0, sizeof(set), &set));
	if (CPU_COUNT(&set) < 2)
		skip("only one CPU");
	CPU_ZERO(&set);
	CPU_SET(1, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		skip("CPU 1: %s", strerror(errno));
	hold();
	CHECK_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
	CHECK(CPU_COUNT(&set) == 1 && CPU_ISSET(1, &set));
}

static void *attribute_thread(void *arg)
{
	setpriority(PRIO_PROCESS, gettid(), 11);
	prctl(PR_SET_TIMERSLACK, 123456);
	pthread_barrier_wait(arg);
	hold_peer();
	CHECK_EQ(getpriority(PRIO_PROCESS, gettid()), 11);
	CHECK_EQ(prctl(PR_GET_TIMERSLACK), 123456);
	return NULL;
}

KIND(thread_attributes, "a thread with its own nice value and timer slack",
     .no_criu = "CRIU 4.2 loses timer slack")
{
	int mine = getpriority(PRIO_PROCESS, 0);
	pthread_barrier_t b;
	pthread_t id;

	pthread_barrier_init(&b, NULL, 2);
	pthread_create(&id, NULL, attribute_thread, &b);
	pthread_barrier_wait(&b);
	hold();
	pthread_join(id, NULL);
	CHECK_EQ(getpriority(PRIO_PROCESS, 0), mine);
}

KIND(timer_slack, "a timer slack", .no_criu = "CRIU 4.2 loses timer slack")
{
	MUST(prctl(PR_SET_TIMERSLACK, 7654321));
	hold();
	CHECK_EQ(prctl(PR_GET_TIMERSLACK), 7654321);
}

KIND(io_priority, "an I/O priority", .no_criu = "CRIU 4.2 loses I/O priority")
{
	int want = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6);

	MUST(syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, want));
	hold();
	CHECK_EQ(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0), want);
}

static void death_child(void *arg)
{
	int sig = 0;

	MUST(prctl(PR_SET_PDEATHSIG, SIGUSR2));
	gate_pass(arg);
	hold_peer();
	CHECK_EQ(prctl(PR_GET_PDEATHSIG, &sig), 0);
	CHECK_EQ(sig, SIGUSR2);
}

KIND(death_signal, "a child with a parent death signal")
{
	struct gate g = gate_make();
	pid_t pid = spawn(death_child, &g);

	gate_wait(&g, 1);
	hold();
	reap_good(pid);
}

KIND(subreaper, "a subreaper")
{
	int is = 0;

	MUST(prctl(PR_SET_CHILD_SUBREAPER, 1));
	hold();
	CHECK_EQ(prctl(PR_GET_CHILD_SUBREAPER, &is), 0);
	CHECK_EQ(is, 1);
}

KIND(personality, "a personality: addresses not random, read implies exec",
     .no_criu = "CRIU 4.2 takes the hexadecimal personality for a decimal number")
{
	MUST(personality(ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC));
	hold();
	CHECK_EQ(personality(0xffffffff), ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC);
}

KIND(oom_score_adj, "an OOM score adjustment")
{
	write_self("/proc/self/oom_score_adj", "321");
	hold();
}

KIND(coredump_filter, "a core dump filter", .lost = "coredump_filter")
{
	write_self("/proc/self/coredump_filter", "0x7f");
	hold();
}

KIND(limits, "resource limits, all of them set")
{
	struct rlimit set[RLIM_NLIMITS], got;

	for (int i = 0; i < RLIM_NLIMITS; i++) {
		MUST(getrlimit(i, &set[i]));
		if (set[i].rlim_cur == RLIM_INFINITY)
			set[i].rlim_cur = 1ul << 40;
		set[i].rlim_cur -= set[i].rlim_cur > 100 ? 1 : 0;
		MUST(setrlimit(i, &set[i]));
	}
	hold();
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		CHECK_EQ(getrlimit(i, &got), 0);
		CHECK_EQ(got.rlim_cur, set[i].rlim_cur);
		CHECK_EQ(got.rlim_max, set[i].rlim_max);
	}
}

KIND(no_new_privs, "no_new_privs")
{
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	hold();
	CHECK_EQ(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
}

KIND(not_dumpable, "a process that is not dumpable")
{
	MUST(prctl(PR_SET_DUMPABLE, 0));
	hold();
	CHECK_EQ(prctl(PR_GET_DUMPABLE), 0);
}

KIND(securebits, "securebits")
{
	int bits = SECBIT_KEEP_CAPS | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED;

	MUST(prctl(PR_SET_SECUREBITS, bits));
	hold();
	CHECK_EQ(prctl(PR_GET_SECUREBITS), bits);
}

KIND(groups, "supplementary groups, more than fit into a line")
{
	gid_t set[300], got[300];

	for (int i = 0; i < 300; i++)
		set[i] = 5000 + i;
	MUST(setgroups(300, set));
	hold();
	CHECK_EQ(getgroups(300, got), 300);
	CHECK(!memcmp(set, got, sizeof(set)));
}

KIND(ids_apart, "real, effective, saved and file system ids that differ")
{
	uid_t r, e, s;

	MUST(setresgid(1001, 1002, 1003));
	setfsgid(1001);
	MUST(setresuid(2001, 0, 2003));
	setfsuid(2003);
	hold();
	CHECK_EQ(getresuid(&r, &e, &s), 0);
	CHECK(r == 2001 && e == 0 && s == 2003);
	CHECK_EQ(setfsuid(2003), 2003);
	CHECK_EQ(setfsgid(1001), 1001);
}

static void be_nobody(void)
{
	MUST(setgroups(0, NULL));
	MUST(setresgid(65534, 65534, 65534));
	MUST(setresuid(65534, 65534, 65534));
}

KIND(nobody, "a task that has given up root")
{
	be_nobody();
	hold();
	CHECK_EQ(getuid(), 65534);
	CHECK(setuid(0) < 0 && errno == EPERM);
}

KIND(capabilities, "some capabilities, in each of the five sets")
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct set[2], got[2];

	MUST(prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT, 0, 0, 0));
	MUST(syscall(SYS_capget, &h, set));
	set[0].permitted &= ~(1u << CAP_SYS_TIME | 1u << CAP_SYS_BOOT);
	set[0].effective &= ~(1u << CAP_SYS_TIME | 1u << CAP_SYS_BOOT | 1u << CAP_NET_RAW);
	set[0].inheritable = 1u << CAP_CHOWN | 1u << CAP_KILL;
	MUST(syscall(SYS_capset, &h, set));
	MUST(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0));
	MUST(syscall(SYS_capget, &h, set));
	hold();
	CHECK_EQ(syscall(SYS_capget, &h, got), 0);
	CHECK(!memcmp(set, got, sizeof(set)));
	CHECK_EQ(prctl(PR_CAPBSET_READ, CAP_SYS_BOOT, 0, 0, 0), 0);
	CHECK_EQ(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0), 1);
}

static void *thread_of_nobody(void *arg)
{
	/* The raw calls change one thread; the C library's would change all. */
	MUST(syscall(SYS_setresgid, 65534, 65534, 65534));
	MUST(syscall(SYS_setresuid, 65534, 65534, 65534));
	pthread_barrier_wait(arg);
	hold_peer();
	CHECK_EQ(syscall(SYS_getuid), 65534);
	return NULL;
}

KIND(thread_credentials, "a thread with credentials of its own")
{
	pthread_barrier_t b;
	pthread_t id;

	pthread_barrier_init(&b, NULL, 2);
	pthread_create(&id, NULL, thread_of_nobody, &b);
	pthread_barrier_wait(&b);
	hold();
	CHECK_EQ(getuid(), 0);
	pthread_join(id, NULL);
}

static void add_filter(int nr, int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = 4, .filter = code};

	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
		skip("seccomp: %s", strerror(errno));
}

static void filter_child(void *arg)
{
	add_filter(SYS_getsid, 44);
	gate_pass(arg);
	hold_peer();
	CHECK(getpgid(0) < 0 && errno == 43);
	CHECK(getsid(0) < 0 && errno == 44);
}

KIND(seccomp_filter, "a seccomp filter, inherited, and another one in a child")
{
	struct gate g = gate_make();
	pid_t pid;

	add_filter(SYS_getpgid, 43);
	pid = spawn(filter_child, &g);
	gate_wait(&g, 1);
	hold();
	CHECK(getpgid(0) < 0 && errno == 43);
	CHECK(getsid(0) > 0);
	reap_good(pid);
}

static void *filter_thread(void *arg)
{
	add_filter(SYS_getsid, 45);
	pthread_barrier_wait(arg);
	hold_peer();
	CHECK(getsid(0) < 0 && errno == 45);
	return NULL;
}

KIND(seccomp_thread, "a seccomp filter of one thread")
{
	pthread_barrier_t b;
	pthread_t id;

	pthread_barrier_init(&b, NULL, 2);
	pthread_create(&id, NULL, filter_thread, &b);
	pthread_barrier_wait(&b);
	hold();
	CHECK(getsid(0) > 0);
	pthread_join(id, NULL);
}

KIND(seccomp_no_mmap, "a filter that forbids what a checkpoint does in a task")
{
	static const int nrs[] = {SYS_mmap,  SYS_munmap,       SYS_mremap,  SYS_mprotect,
				  SYS_clone, SYS_clone3,       SYS_socket,  SYS_sendmsg,
				  SYS_prctl, SYS_memfd_create, SYS_openat2, SYS_rt_sigaction};

	for (size_t i = 0; i < sizeof(nrs) / sizeof(nrs[0]); i++)
		add_filter(nrs[i] == SYS_prctl ? SYS_getsid : nrs[i], EPERM);
	hold();
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
	CHECK(getsid(0) < 0 && errno == EPERM);
}

/* Only read, write, exit and sigreturn: the test writes to the FIFO that is read here. */
KIND(seccomp_strict, "strict seccomp", .moves = "fd pipe")
{
	int fd = MUST(open(go_path, O_RDWR | O_CLOEXEC)), out;
	static const char bad[] = "strict seccomp: read came back with something else\n";
	char c;

	out = MUST(open(in_work("differences"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
	tell_ready();
	MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
	if (syscall(SYS_read, fd, &c, 1) != 1 || c != 'g')
		syscall(SYS_write, out, bad, sizeof(bad) - 1);
	syscall(SYS_exit, 0);
}
