// SPDX-License-Identifier: GPL-2.0-only
/* Signals: what is done about them, masked, and pending; alternate stacks; timers. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "factory/factory.h"

/* As the kernel has it: the C library hides a field and adds a flag. */
struct kernel_action {
	void *handler;
	unsigned long flags;
	void *restorer;
	unsigned long mask;
};

static int kernel_action(int sig, const struct kernel_action *set, struct kernel_action *get)
{
	return syscall(SYS_rt_sigaction, sig, set, get, 8);
}

static void handler(int sig)
{
	(void)sig;
}

KIND(actions, "an action for every signal, with each flag")
{
	static const unsigned long flags[] = {SA_NOCLDSTOP, SA_NOCLDWAIT, SA_SIGINFO, SA_RESTART,
					      SA_NODEFER,   SA_RESETHAND, SA_ONSTACK, 0};
	struct kernel_action set[65] = {}, get;
	struct sigaction any = {.sa_handler = handler};

	/* The restorer that the C library uses. */
	MUST(sigaction(SIGUSR1, &any, NULL));
	MUST(kernel_action(SIGUSR1, NULL, &get));
	for (int sig = 1; sig <= 64; sig++) {
		if (sig == SIGKILL || sig == SIGSTOP || sig == SIGCHLD || sig == SIGTRAP)
			continue;
		set[sig] = (struct kernel_action){.handler = handler,
						  .flags = flags[sig % 8] | get.flags,
						  .restorer = get.restorer,
						  .mask = 1ul << (sig * 7 % 64)};
		if (sig % 5 == 0)
			set[sig].handler = SIG_IGN;
		MUST(kernel_action(sig, &set[sig], NULL));
		MUST(kernel_action(sig, NULL, &set[sig]));
	}
	hold();
	for (int sig = 1; sig <= 64; sig++) {
		CHECK_EQ(kernel_action(sig, NULL, &get), 0);
		if (sig != SIGKILL && sig != SIGSTOP && sig != SIGCHLD && sig != SIGTRAP)
			CHECK(!memcmp(&get, &set[sig], sizeof(get)));
	}
}

KIND(trap_ignored, "SIGTRAP ignored", .no_criu = "CRIU's dump sets it back to the default")
{
	signal(SIGTRAP, SIG_IGN);
	hold();
	CHECK(signal(SIGTRAP, SIG_DFL) == SIG_IGN);
}

KIND(mask, "a signal mask")
{
	sigset_t set, got;

	sigemptyset(&set);
	for (int sig = 1; sig < 65; sig += 3)
		sigaddset(&set, sig);
	MUST(sigprocmask(SIG_SETMASK, &set, NULL));
	hold();
	sigprocmask(SIG_SETMASK, NULL, &got);
	for (int sig = 1; sig < 65; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			CHECK_EQ(sigismember(&got, sig), sig % 3 == 1 && sig != 32 && sig != 33);
}

static void block_all(void)
{
	sigset_t set;

	sigfillset(&set);
	MUST(sigprocmask(SIG_SETMASK, &set, NULL));
}

/* The next pending signal with its information; 0 when none is. */
static int next_pending(siginfo_t *si)
{
	struct timespec none = {};
	sigset_t set;
	int sig;

	sigfillset(&set);
	/* Not the C library's, which makes SI_TKILL look like SI_USER. */
	sig = syscall(SYS_rt_sigtimedwait, &set, si, &none, 8);
	return sig < 0 ? 0 : sig;
}

KIND(pending, "signals pending for the process, sent by itself and by a child")
{
	siginfo_t si;
	pid_t pid;

	block_all();
	kill(getpid(), SIGUSR1);
	pid = MUST(fork());
	if (pid == 0) {
		kill(getppid(), SIGHUP);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	hold();
	CHECK_EQ(next_pending(&si), SIGHUP);
	CHECK_EQ(si.si_code, SI_USER);
	CHECK_EQ(si.si_pid, pid);
	CHECK_EQ(next_pending(&si), SIGUSR1);
	CHECK_EQ(si.si_pid, getpid());
	CHECK_EQ(next_pending(&si), SIGCHLD);
	CHECK_EQ(si.si_code, CLD_EXITED);
	CHECK_EQ(si.si_pid, pid);
	CHECK_EQ(next_pending(&si), 0);
}

KIND(queued, "real-time signals queued with values, in order")
{
	siginfo_t si;

	block_all();
	for (int i = 0; i < 20; i++)
		MUST(sigqueue(getpid(), SIGRTMIN + i % 3, (union sigval){.sival_int = i}));
	hold();
	for (int s = 0; s < 3; s++)
		for (int i = s; i < 20; i += 3) {
			CHECK_EQ(next_pending(&si), SIGRTMIN + s);
			CHECK_EQ(si.si_code, SI_QUEUE);
			CHECK_EQ(si.si_value.sival_int, i);
		}
	CHECK_EQ(next_pending(&si), 0);
}

struct pending_thread {
	pthread_barrier_t made;
	int nth;
};

static void *thread_pending(void *arg)
{
	struct pending_thread *t = arg;
	int sig = t->nth ? SIGUSR1 : SIGUSR2;
	siginfo_t si;

	syscall(SYS_tgkill, getpid(), gettid(), sig);
	pthread_barrier_wait(&t->made);
	hold_peer();
	CHECK_EQ(next_pending(&si), sig);
	CHECK_EQ(si.si_code, SI_TKILL);
	CHECK_EQ(si.si_pid, getpid());
	CHECK_EQ(next_pending(&si), 0);
	return NULL;
}

KIND(pending_threads, "signals pending for single threads")
{
	struct pending_thread t[2];
	pthread_t id[2];

	block_all();
	for (int i = 0; i < 2; i++) {
		t[i].nth = i;
		pthread_barrier_init(&t[i].made, NULL, 2);
		pthread_create(&id[i], NULL, thread_pending, &t[i]);
		pthread_barrier_wait(&t[i].made);
	}
	hold();
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_join(id[i], NULL), 0);
}

static void *thread_mask(void *arg)
{
	sigset_t set, got;

	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	pthread_barrier_wait(arg);
	hold_peer();
	pthread_sigmask(SIG_BLOCK, NULL, &got);
	CHECK_EQ(sigismember(&got, SIGWINCH), 1);
	CHECK_EQ(sigismember(&got, SIGUSR1), 0);
	return NULL;
}

KIND(mask_threads, "threads with masks of their own")
{
	pthread_barrier_t b;
	sigset_t set, got;
	pthread_t id;

	pthread_barrier_init(&b, NULL, 2);
	pthread_create(&id, NULL, thread_mask, &b);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	pthread_barrier_wait(&b);
	hold();
	pthread_sigmask(SIG_BLOCK, NULL, &got);
	CHECK_EQ(sigismember(&got, SIGUSR1), 1);
	CHECK_EQ(sigismember(&got, SIGWINCH), 0);
	pthread_join(id, NULL);
}

KIND(altstack, "an alternate signal stack")
{
	stack_t set = {.ss_size = 65536}, got;

	set.ss_sp = map_anon(65536, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	MUST(sigaltstack(&set, NULL));
	hold();
	CHECK_EQ(sigaltstack(NULL, &got), 0);
	CHECK(got.ss_sp == set.ss_sp);
	CHECK_EQ(got.ss_size, set.ss_size);
	CHECK_EQ(got.ss_flags, 0);
}

static void hold_in_handler(int sig)
{
	(void)sig;
	hold();
}

KIND(in_handler, "a task in a signal handler on an alternate stack")
{
	struct sigaction sa = {.sa_handler = hold_in_handler, .sa_flags = SA_ONSTACK};
	stack_t set = {.ss_size = 65536}, got;
	sigset_t now;

	set.ss_sp = map_anon(65536, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	MUST(sigaltstack(&set, NULL));
	MUST(sigaction(SIGUSR1, &sa, NULL));
	raise(SIGUSR1);
	CHECK_EQ(sigaltstack(NULL, &got), 0);
	CHECK(got.ss_sp == set.ss_sp && got.ss_flags == 0);
	sigprocmask(SIG_BLOCK, NULL, &now);
	CHECK_EQ(sigismember(&now, SIGUSR1), 0);
}

KIND(itimers, "the three interval timers, running")
{
	static const int which[] = {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF};
	struct itimerval set, got;

	for (int i = 0; i < 3; i++) {
		set = (struct itimerval){{100 + i, 5}, {1000 * (i + 1), 7}};
		MUST(setitimer(which[i], &set, NULL));
	}
	hold();
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(getitimer(which[i], &got), 0);
		CHECK_EQ(got.it_interval.tv_sec, 100 + i);
		CHECK(got.it_interval.tv_usec >= 5 && got.it_interval.tv_usec <= 4005);
		CHECK(got.it_value.tv_sec <= 1000 * (i + 1));
		CHECK(got.it_value.tv_sec > 1000 * (i + 1) - 100);
	}
}

KIND(posix_timers, "POSIX timers with ids that have holes, running and not")
{
	static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME};
	struct itimerspec set = {{50, 60}, {500, 0}}, got;
	timer_t id[6];

	for (int i = 0; i < 6; i++) {
		struct sigevent ev = {.sigev_notify = i == 4 ? SIGEV_NONE : SIGEV_SIGNAL,
				      .sigev_signo = SIGRTMIN + i,
				      .sigev_value.sival_int = 1000 + i};

		/* The kernel's own ids: the C library hides them behind pointers. */
		int kernel_id;

		MUST(syscall(SYS_timer_create, clocks[i % 3], &ev, &kernel_id));
		id[i] = (timer_t)(long)kernel_id;
		if (i != 5)
			MUST(syscall(SYS_timer_settime, kernel_id, 0, &set, NULL));
	}
	MUST(syscall(SYS_timer_delete, id[1]));
	MUST(syscall(SYS_timer_delete, id[2]));
	hold();
	for (int i = 0; i < 6; i++) {
		if (i == 1 || i == 2) {
			CHECK(syscall(SYS_timer_gettime, id[i], &got) < 0);
			continue;
		}
		CHECK_EQ(syscall(SYS_timer_gettime, id[i], &got), 0);
		CHECK_EQ(got.it_interval.tv_sec, i == 5 ? 0 : 50);
		CHECK_EQ(got.it_interval.tv_nsec, i == 5 ? 0 : 60);
		CHECK(i == 5 ? got.it_value.tv_sec == 0
			     : got.it_value.tv_sec > 400 && got.it_value.tv_sec <= 500);
	}
}

KIND(timer_overrun, "a timer that has expired many times with its signal blocked")
{
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL,
			      .sigev_signo = SIGRTMIN + 1,
			      .sigev_value.sival_int = 77};
	struct itimerspec once = {{0, 1000000}, {0, 1000000}}, stop = {};
	struct timespec pass = {.tv_nsec = 50000000};
	siginfo_t si;
	int id, overrun;

	block_all();
	MUST(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id));
	MUST(syscall(SYS_timer_settime, id, 0, &once, NULL));
	/* What is waited for is that time passes. */
	nanosleep(&pass, NULL);
	CHECK_EQ(next_pending(&si), SIGRTMIN + 1);
	overrun = syscall(SYS_timer_getoverrun, id);
	CHECK(overrun > 10);
	MUST(syscall(SYS_timer_settime, id, 0, &stop, NULL));
	while (next_pending(&si))
		;
	overrun = syscall(SYS_timer_getoverrun, id);
	hold();
	CHECK_EQ(syscall(SYS_timer_getoverrun, id), overrun);
}

KIND(timer_overruns_kept, "overruns of a timer that runs on", .no_criu = "CRIU 4.2 loses overruns")
{
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 2};
	struct itimerspec its = {.it_interval = {1000, 0}}, got;
	siginfo_t si;
	int id;

	block_all();
	MUST(syscall(SYS_timer_create, CLOCK_REALTIME, &ev, &id));
	/* As if it had been armed long ago: three more expirations are overdue. */
	MUST(clock_gettime(CLOCK_REALTIME, &its.it_value));
	its.it_value.tv_sec -= 3500;
	MUST(syscall(SYS_timer_settime, id, TIMER_ABSTIME, &its, NULL));
	CHECK_EQ(next_pending(&si), SIGRTMIN + 2);
	CHECK_EQ(syscall(SYS_timer_getoverrun, id), 3);
	hold();
	CHECK_EQ(syscall(SYS_timer_getoverrun, id), 3);
	CHECK_EQ(syscall(SYS_timer_gettime, id, &got), 0);
	CHECK(got.it_interval.tv_sec == 1000 && got.it_value.tv_sec > 300 &&
	      got.it_value.tv_sec < 500);
	CHECK_EQ(next_pending(&si), 0);
}

KIND(timer_fires, "a timer that expires soon after the restore")
{
	struct sigevent ev = {
		.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 78};
	struct itimerspec once = {{}, {3, 0}};
	siginfo_t si = {};
	sigset_t set;
	int id;

	block_all();
	MUST(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id));
	MUST(syscall(SYS_timer_settime, id, 0, &once, NULL));
	hold();
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK_EQ(sigwaitinfo(&set, &si), SIGUSR1);
	CHECK_EQ(si.si_code, SI_TIMER);
	CHECK_EQ(si.si_value.sival_int, 78);
}

static void *timer_thread(void *arg)
{
	pid_t *tid = arg;
	siginfo_t si;
	sigset_t set;

	*tid = gettid();
	sigfillset(&set);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
	hold_peer();
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	CHECK_EQ(sigwaitinfo(&set, &si), SIGUSR2);
	return NULL;
}

KIND(timer_to_thread, "a timer that signals one thread (SIGEV_THREAD_ID)")
{
	static _Atomic pid_t tid;
	struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR2};
	struct itimerspec often = {{1, 0}, {3, 0}};
	pthread_t thread;
	int id;

	block_all();
	pthread_create(&thread, NULL, timer_thread, (void *)&tid);
	while (!tid)
		sched_yield();
	ev._sigev_un._tid = tid;
	MUST(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id));
	MUST(syscall(SYS_timer_settime, id, 0, &often, NULL));
	hold();
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void *overrun_thread(void *arg)
{
	_Atomic pid_t *tid = arg;
	sigset_t set;

	*tid = gettid();
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 3);
	CHECK_EQ(sigwaitinfo(&set, NULL), SIGRTMIN + 3);
	*tid = 0;
	hold_peer();
	return NULL;
}

KIND(timer_thread_overruns, "overruns of a timer that signals another thread",
     .no_criu = "CRIU 4.2 loses overruns")
{
	static _Atomic pid_t tid;
	struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN + 3};
	struct itimerspec its = {.it_interval = {1000, 0}};
	siginfo_t si;
	pthread_t thread;
	int id;

	block_all();
	pthread_create(&thread, NULL, overrun_thread, (void *)&tid);
	while (!tid)
		sched_yield();
	ev._sigev_un._tid = tid;
	MUST(syscall(SYS_timer_create, CLOCK_REALTIME, &ev, &id));
	MUST(clock_gettime(CLOCK_REALTIME, &its.it_value));
	its.it_value.tv_sec -= 4500;
	MUST(syscall(SYS_timer_settime, id, TIMER_ABSTIME, &its, NULL));
	while (tid)
		sched_yield();
	CHECK_EQ(syscall(SYS_timer_getoverrun, id), 4);
	hold();
	CHECK_EQ(syscall(SYS_timer_getoverrun, id), 4);
	CHECK_EQ(next_pending(&si), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}
