// SPDX-License-Identifier: GPL-2.0-only
// What PIDFD_ATTACH_SESSION does and what it refuses, without terminals and namespaces.

#define _GNU_SOURCE
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <pthread.h>

#include "../kselftest_harness.h"
#include "session.h"

#define NOBODY	   65534
#define OTHER_USER 65533

/*
 * leader     leader of a session and a group
 * member     its child, in the same group
 * grouped    its child, in a group of its own
 * caller     in the session and group of the test, as which it started
 */
FIXTURE(attach)
{
	struct stage stage;
	struct puppet *leader, *member, *grouped, *caller;
	struct ids before;
};

FIXTURE_SETUP(attach)
{
	SKIP_ATTACH_OBSTACLE(true);
	ASSERT_TRUE(stage_open(&self->stage));
	self->leader = spawn(&self->stage, NULL, 0);
	ASSERT_NE(NULL, self->leader);
	ASSERT_EQ(0, call(self->leader, act_setsid, 0, 0));
	self->member = spawn(&self->stage, self->leader, 0);
	ASSERT_NE(NULL, self->member);
	self->grouped = spawn(&self->stage, self->leader, 0);
	ASSERT_NE(NULL, self->grouped);
	ASSERT_EQ(0, call(self->grouped, act_setpgid, 0, 0));
	self->caller = spawn(&self->stage, NULL, 0);
	ASSERT_NE(NULL, self->caller);
	ASSERT_TRUE(read_ids(self->caller->pid, &self->before));
}

FIXTURE_TEARDOWN(attach)
{
	stage_clear(&self->stage);
}

#define EXPECT_IDS(puppet, want_sid, want_pgrp)                 \
	do {                                                    \
		struct ids now_ids = {0};                       \
		EXPECT_TRUE(read_ids((puppet)->pid, &now_ids)); \
		EXPECT_EQ((want_sid), now_ids.sid);             \
		EXPECT_EQ((want_pgrp), now_ids.pgrp);           \
	} while (0)

/* Refused with the errno, and nothing has changed. */
#define EXPECT_REFUSED(error, pidfd, arg)                                            \
	do {                                                                         \
		struct ids now_ids = {0};                                            \
		EXPECT_EQ(-(error), call(self->caller, act_attach, (pidfd), (arg))); \
		EXPECT_TRUE(read_ids(self->caller->pid, &now_ids));                  \
		EXPECT_TRUE(same_ids(&self->before, &now_ids));                      \
	} while (0)

TEST_F(attach, to_leader)
{
	EXPECT_EQ(0, call(self->caller, act_attach, self->leader->pidfd, 0));
	EXPECT_IDS(self->caller, self->leader->pid, self->leader->pid);
	EXPECT_EQ(self->leader->pid, call(self->caller, act_getsid, 0, 0));
	EXPECT_EQ(self->leader->pid, call(self->caller, act_getpgid, 0, 0));
}

TEST_F(attach, to_member)
{
	EXPECT_EQ(0, call(self->caller, act_attach, self->member->pidfd, 0));
	EXPECT_IDS(self->caller, self->leader->pid, self->leader->pid);
}

TEST_F(attach, to_member_of_another_group)
{
	EXPECT_EQ(0, call(self->caller, act_attach, self->grouped->pidfd, 0));
	EXPECT_IDS(self->caller, self->leader->pid, self->grouped->pid);
}

TEST_F(attach, to_member_whose_leader_is_gone)
{
	ASSERT_EQ(0, kill_and_reap(self->leader));
	EXPECT_EQ(0, call(self->caller, act_attach, self->member->pidfd, 0));
	EXPECT_IDS(self->caller, self->leader->pid, self->leader->pid);
}

TEST_F(attach, to_zombie_leader)
{
	ASSERT_EQ(0, make_zombie(self->leader));
	EXPECT_EQ(0, call(self->caller, act_attach, self->leader->pidfd, 0));
	EXPECT_IDS(self->caller, self->leader->pid, self->leader->pid);
}

/* The session lives on in the zombie alone, and after it in the caller alone. */
TEST_F(attach, to_last_zombie)
{
	ASSERT_EQ(0, kill_and_reap(self->leader));
	ASSERT_EQ(0, kill_and_reap(self->grouped));
	ASSERT_EQ(0, make_zombie(self->member));
	EXPECT_EQ(0, call(self->caller, act_attach, self->member->pidfd, 0));
	ASSERT_EQ(0, act_reap(self->member->pidfd, 0));
	EXPECT_IDS(self->caller, self->leader->pid, self->leader->pid);
}

TEST_F(attach, then_own_group)
{
	EXPECT_EQ(0, call(self->caller, act_attach, self->leader->pidfd, 0));
	EXPECT_EQ(0, call(self->caller, act_setpgid, 0, 0));
	EXPECT_IDS(self->caller, self->leader->pid, self->caller->pid);
}

TEST_F(attach, then_other_group_of_the_session)
{
	EXPECT_EQ(0, call(self->caller, act_attach, self->leader->pidfd, 0));
	EXPECT_EQ(0, call(self->caller, act_attach, self->grouped->pidfd, 0));
	EXPECT_IDS(self->caller, self->leader->pid, self->grouped->pid);
	EXPECT_EQ(0, call(self->caller, act_setpgid, 0, self->leader->pid));
	EXPECT_IDS(self->caller, self->leader->pid, self->leader->pid);
}

TEST_F(attach, then_other_session)
{
	struct puppet *second = spawn(&self->stage, NULL, 0);

	ASSERT_NE(NULL, second);
	ASSERT_EQ(0, call(second, act_setsid, 0, 0));
	EXPECT_EQ(0, call(self->caller, act_attach, self->leader->pidfd, 0));
	EXPECT_EQ(0, call(self->caller, act_attach, second->pidfd, 0));
	EXPECT_IDS(self->caller, second->pid, second->pid);
}

TEST_F(attach, then_setsid)
{
	EXPECT_EQ(0, call(self->caller, act_attach, self->grouped->pidfd, 0));
	EXPECT_EQ(0, call(self->caller, act_setsid, 0, 0));
	EXPECT_IDS(self->caller, self->caller->pid, self->caller->pid);
}

TEST_F(attach, to_itself_changes_nothing)
{
	EXPECT_EQ(0, call(self->caller, act_attach, self->caller->pidfd, 0));
	EXPECT_IDS(self->caller, self->before.sid, self->before.pgrp);
}

TEST_F(attach, children_inherit)
{
	struct puppet *old = spawn(&self->stage, self->caller, 0), *young;

	ASSERT_NE(NULL, old);
	EXPECT_EQ(0, call(self->caller, act_attach, self->grouped->pidfd, 0));
	young = spawn(&self->stage, self->caller, 0);
	ASSERT_NE(NULL, young);
	EXPECT_IDS(old, self->before.sid, self->before.pgrp);
	EXPECT_IDS(young, self->leader->pid, self->grouped->pid);
}

TEST_F(attach, group_signal_reaches_caller)
{
	siginfo_t info = {0};

	ASSERT_EQ(0, call(self->caller, act_attach, self->grouped->pidfd, 0));
	ASSERT_EQ(0, kill(-self->grouped->pid, SIGTERM));
	ASSERT_EQ(0, waitid(P_PIDFD, self->caller->pidfd, &info, WEXITED));
	EXPECT_EQ(CLD_KILLED, info.si_code);
	EXPECT_EQ(SIGTERM, info.si_status);
}

/* --- threads --- */

struct thread_attach {
	int pidfd;
	long ret;
	pid_t tid;
	int pipe[2];
};

static void *attach_in_thread(void *arg)
{
	struct thread_attach *t = arg;

	t->ret = act_attach(t->pidfd, 0);
	return NULL;
}

static long act_attach_in_thread(long pidfd, long unused)
{
	struct thread_attach t = {.pidfd = pidfd, .ret = -EIO};
	pthread_t thread;

	(void)unused;
	if (pthread_create(&thread, NULL, attach_in_thread, &t))
		return -EAGAIN;
	pthread_join(thread, NULL);
	return t.ret;
}

TEST_F(attach, in_thread_moves_the_process)
{
	EXPECT_EQ(0, call(self->caller, act_attach_in_thread, self->grouped->pidfd, 0));
	EXPECT_IDS(self->caller, self->leader->pid, self->grouped->pid);
}

static void *attach_after_leader_thread(void *arg)
{
	struct thread_attach *t = arg;
	struct ids ids = {0};
	long ret;

	/* The main thread leaves a zombie behind until the whole process has exited. */
	while (read_ids(getpid(), &ids) && ids.state != 'Z')
		usleep(1000);
	ret = act_attach(t->pidfd, 0);
	if (write(t->pipe[1], &ret, sizeof(ret)) != sizeof(ret))
		_exit(1);
	pause();
	return NULL;
}

static long act_attach_without_leader(long pidfd, long pipe_end)
{
	struct thread_attach *t = calloc(1, sizeof(*t)); /* outlives the main thread */
	pthread_t thread;

	if (!t)
		return -ENOMEM;
	t->pidfd = pidfd;
	t->pipe[1] = pipe_end;
	if (pthread_create(&thread, NULL, attach_after_leader_thread, t))
		return -EAGAIN;
	syscall(SYS_exit, 0);
	return 0;
}

TEST_F(attach, in_thread_after_main_thread)
{
	long ret = -EIO;
	int pipe[2];

	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC));
	ASSERT_EQ(0, tell(self->caller, act_attach_without_leader, self->grouped->pidfd, pipe[1]));
	ASSERT_EQ((ssize_t)sizeof(ret), read(pipe[0], &ret, sizeof(ret)));
	EXPECT_EQ(0, ret);
	EXPECT_IDS(self->caller, self->leader->pid, self->grouped->pid);
}

static void *wait_in_thread(void *arg)
{
	struct thread_attach *t = arg;

	__atomic_store_n(&t->tid, syscall(SYS_gettid), __ATOMIC_RELEASE);
	pause();
	return NULL;
}

/* Starts a thread that stays, and returns its thread id. */
static long act_add_thread(long a, long b)
{
	struct thread_attach *t = calloc(1, sizeof(*t));
	pthread_t thread;

	(void)a;
	(void)b;
	if (!t || pthread_create(&thread, NULL, wait_in_thread, t))
		return -EAGAIN;
	while (!__atomic_load_n(&t->tid, __ATOMIC_ACQUIRE))
		usleep(1000);
	return t->tid;
}

TEST_F(attach, to_thread)
{
	long tid = call(self->grouped, act_add_thread, 0, 0);
	int pidfd;

	ASSERT_GT(tid, 0);
	pidfd = sys_pidfd_open(tid, PIDFD_THREAD);
	ASSERT_GE(pidfd, 0);
	EXPECT_EQ(0, call(self->caller, act_attach, pidfd, 0));
	EXPECT_IDS(self->caller, self->leader->pid, self->grouped->pid);
}

#ifdef __x86_64__
/* System calls as 32-bit programs make them. */
static long compat_syscall(long nr, long a, long b, long c)
{
	long ret;

	asm volatile("int $0x80"
		     : "=a"(ret)
		     : "a"(nr), "b"(a), "c"(b), "d"(c)
		     : "memory", "r8", "r9", "r10", "r11");
	return (int)ret;
}

static long act_compat_attach(long pidfd, long arg)
{
	return compat_syscall(54, pidfd, PIDFD_ATTACH_SESSION, arg);
}

TEST_F(attach, by_compat_ioctl)
{
	pid_t pid = fork();
	int status = 0;

	/* Without CONFIG_IA32_EMULATION this raises a signal. */
	if (!pid)
		_exit(compat_syscall(20, 0, 0, 0) != getpid());
	if (waitpid(pid, &status, 0) != pid || status)
		SKIP(return, "no 32-bit system calls (CONFIG_IA32_EMULATION)");
	EXPECT_EQ(-EINVAL, call(self->caller, act_compat_attach, self->grouped->pidfd, 1));
	EXPECT_EQ(0, call(self->caller, act_compat_attach, self->grouped->pidfd, 0));
	EXPECT_IDS(self->caller, self->leader->pid, self->grouped->pid);
}
#endif

/* --- refusals --- */

TEST_F(attach, refuses_session_leader)
{
	ASSERT_EQ(0, call(self->caller, act_setsid, 0, 0));
	ASSERT_TRUE(read_ids(self->caller->pid, &self->before));
	EXPECT_REFUSED(EPERM, self->leader->pidfd, 0);
	EXPECT_REFUSED(EPERM, self->caller->pidfd, 0);
}

TEST_F(attach, refuses_group_leader)
{
	ASSERT_EQ(0, call(self->caller, act_setpgid, 0, 0));
	ASSERT_TRUE(read_ids(self->caller->pid, &self->before));
	EXPECT_REFUSED(EPERM, self->leader->pidfd, 0);
}

/* The caller has left the group that bears its number, but another process is still in it. */
TEST_F(attach, refuses_caller_whose_pid_is_a_group)
{
	struct puppet *child;

	ASSERT_EQ(0, call(self->caller, act_setpgid, 0, 0));
	child = spawn(&self->stage, self->caller, 0);
	ASSERT_NE(NULL, child);
	ASSERT_EQ(0, call(self->caller, act_setpgid, 0, self->before.pgrp));
	EXPECT_IDS(child, self->before.sid, self->caller->pid);
	EXPECT_REFUSED(EPERM, self->leader->pidfd, 0);

	/* The last one has left. */
	ASSERT_EQ(0, call(child, act_setpgid, 0, self->before.pgrp));
	EXPECT_EQ(0, call(self->caller, act_attach, self->leader->pidfd, 0));
}

TEST_F(attach, refuses_argument)
{
	EXPECT_REFUSED(EINVAL, self->leader->pidfd, 1);
	EXPECT_REFUSED(EINVAL, self->leader->pidfd, -1);
}

TEST_F(attach, refuses_reaped_target)
{
	ASSERT_EQ(0, kill_and_reap(self->leader));
	EXPECT_REFUSED(ESRCH, self->leader->pidfd, 0);
}

TEST_F(attach, refuses_other_descriptors)
{
	int null = open("/dev/null", O_RDONLY), dir = open("/proc/self", O_RDONLY | O_DIRECTORY);

	EXPECT_REFUSED(ENOTTY, null, 0);
	EXPECT_REFUSED(ENOTTY, dir, 0);
	EXPECT_REFUSED(EBADF, -1, 0);
}

TEST_F(attach, refuses_kernel_thread)
{
	char comm[32] = "";
	int fd = open("/proc/2/comm", O_RDONLY);

	if (fd < 0 || read(fd, comm, sizeof(comm) - 1) <= 0 || strcmp(comm, "kthreadd\n"))
		SKIP(return, "pid 2 is not kthreadd in this pid namespace");
	EXPECT_REFUSED(EPERM, sys_pidfd_open(2, 0), 0);
}

#define SKIP_UNLESS_ROOT()                                                                    \
	do {                                                                                  \
		if (geteuid())                                                                \
			SKIP(return, "needs root in order to change users and capabilities"); \
	} while (0)

TEST_F(attach, refuses_unprivileged)
{
	SKIP_UNLESS_ROOT();
	ASSERT_EQ(0, call(self->caller, act_become, NOBODY, 0));
	EXPECT_REFUSED(EPERM, self->leader->pidfd, 0);
	/* The same user does not suffice either, nor does being the target. */
	ASSERT_EQ(0, call(self->member, act_become, NOBODY, 0));
	EXPECT_REFUSED(EPERM, self->member->pidfd, 0);
	EXPECT_REFUSED(EPERM, self->caller->pidfd, 0);
	/* What does not depend on the target is said to everybody. */
	EXPECT_REFUSED(EINVAL, self->leader->pidfd, 1);
}

TEST_F(attach, refuses_root_without_capability)
{
	SKIP_UNLESS_ROOT();
	ASSERT_EQ(0, call(self->caller, act_become, 0,
			  ~(CAP(CAP_CHECKPOINT_RESTORE) | CAP(CAP_SYS_ADMIN))));
	EXPECT_REFUSED(EPERM, self->leader->pidfd, 0);
}

/* Either capability will do, on top of being allowed to trace the target. */
TEST_F(attach, needs_one_capability)
{
	struct puppet *second;

	SKIP_UNLESS_UNPRIVILEGED_TRACE();
	ASSERT_EQ(0, call(self->member, act_become, NOBODY, 0));
	second = spawn(&self->stage, NULL, 0);
	ASSERT_NE(NULL, second);
	ASSERT_EQ(0, call(self->caller, act_become, NOBODY, CAP(CAP_CHECKPOINT_RESTORE)));
	ASSERT_EQ(0, call(second, act_become, NOBODY, CAP(CAP_SYS_ADMIN)));
	EXPECT_EQ(0, call(self->caller, act_attach, self->member->pidfd, 0));
	EXPECT_EQ(0, call(second, act_attach, self->member->pidfd, 0));
	EXPECT_IDS(self->caller, self->leader->pid, self->leader->pid);
	EXPECT_IDS(second, self->leader->pid, self->leader->pid);
}

TEST_F(attach, needs_ptrace_access)
{
	struct puppet *tracer;

	SKIP_UNLESS_UNPRIVILEGED_TRACE();
	ASSERT_EQ(0, call(self->member, act_become, OTHER_USER, 0));
	tracer = spawn(&self->stage, NULL, 0);
	ASSERT_NE(NULL, tracer);
	ASSERT_EQ(0, call(self->caller, act_become, NOBODY, CAP(CAP_CHECKPOINT_RESTORE)));
	EXPECT_REFUSED(EPERM, self->member->pidfd, 0);
	ASSERT_EQ(0, call(tracer, act_become, NOBODY,
			  CAP(CAP_CHECKPOINT_RESTORE) | CAP(CAP_SYS_PTRACE)));
	EXPECT_EQ(0, call(tracer, act_attach, self->member->pidfd, 0));
}

TEST_F(attach, refuses_undumpable_target)
{
	SKIP_UNLESS_UNPRIVILEGED_TRACE();
	ASSERT_EQ(0, call(self->member, act_become, NOBODY, 0));
	ASSERT_EQ(0, call(self->member, act_undumpable, 0, 0));
	ASSERT_EQ(0, call(self->caller, act_become, NOBODY, CAP(CAP_CHECKPOINT_RESTORE)));
	EXPECT_REFUSED(EPERM, self->member->pidfd, 0);
	/* Nor is what is left of it when it has died: what it was counts. */
	sys_pidfd_send_signal(self->member->pidfd, SIGKILL);
	ASSERT_TRUE(has_died(self->member));
	EXPECT_REFUSED(EPERM, self->member->pidfd, 0);
}

TEST_F(attach, refuses_zombie_of_another_user)
{
	SKIP_UNLESS_UNPRIVILEGED_TRACE();
	ASSERT_EQ(0, call(self->member, act_become, OTHER_USER, 0));
	ASSERT_EQ(0, call(self->grouped, act_become, NOBODY, 0));
	ASSERT_EQ(0, call(self->caller, act_become, NOBODY, CAP(CAP_CHECKPOINT_RESTORE)));
	sys_pidfd_send_signal(self->member->pidfd, SIGKILL);
	sys_pidfd_send_signal(self->grouped->pidfd, SIGKILL);
	ASSERT_TRUE(has_died(self->member));
	ASSERT_TRUE(has_died(self->grouped));
	EXPECT_REFUSED(EPERM, self->member->pidfd, 0);
	/* One of the caller's own user is as good as alive. */
	EXPECT_EQ(0, call(self->caller, act_attach, self->grouped->pidfd, 0));
}

/* --- what setsid() does besides --- */

struct proc_event_message {
	struct nlmsghdr nl;
	struct cn_msg cn;
	union {
		enum proc_cn_mcast_op op;
		struct proc_event event;
	};
} __attribute__((packed, aligned(NLMSG_ALIGNTO)));

/* The kernel says nothing to a listener whom it ignores, or if it has no such events. */
static bool is_acknowledged(int fd)
{
	struct proc_event_message msg;

	while (recv(fd, &msg, sizeof(msg), 0) > 0)
		if (msg.event.what == PROC_EVENT_NONE)
			return !msg.event.event_data.ack.err;
	return false;
}

static int listen_to_connector(void)
{
	struct sockaddr_nl addr = {.nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC};
	struct timeval tv = {.tv_sec = 10};
	struct proc_event_message msg;
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_CONNECTOR);

	memset(&msg, 0, sizeof(msg));
	msg.nl.nlmsg_len = NLMSG_LENGTH(sizeof(struct cn_msg) + sizeof(msg.op));
	msg.nl.nlmsg_type = NLMSG_DONE;
	msg.cn.id.idx = CN_IDX_PROC;
	msg.cn.id.val = CN_VAL_PROC;
	msg.cn.len = sizeof(msg.op);
	msg.op = PROC_CN_MCAST_LISTEN;
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) ||
	    send(fd, &msg, msg.nl.nlmsg_len, 0) < 0 || !is_acknowledged(fd)) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

TEST_F(attach, sends_session_event)
{
	struct proc_event_message msg;
	int fd = listen_to_connector();
	bool seen = false;

	if (fd < 0)
		SKIP(return,
			   "no process events (CONFIG_PROC_EVENTS, root in the initial namespaces)");
	/* Within the session there is nothing to tell. */
	ASSERT_EQ(0, call(self->caller, act_attach, self->member->pidfd, 0));
	ASSERT_EQ(0, call(self->caller, act_attach, self->grouped->pidfd, 0));
	ASSERT_EQ(0, kill_and_reap(self->caller));
	while (recv(fd, &msg, sizeof(msg), 0) > 0) {
		if (msg.event.what == PROC_EVENT_SID &&
		    msg.event.event_data.sid.process_pid == self->caller->pid) {
			EXPECT_FALSE(seen);
			seen = true;
		}
		if (msg.event.what == PROC_EVENT_EXIT &&
		    msg.event.event_data.exit.process_pid == self->caller->pid)
			break;
	}
	EXPECT_TRUE(seen);
	close(fd);
}

TEST_HARNESS_MAIN
