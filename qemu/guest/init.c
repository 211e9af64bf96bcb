// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's first process. It mounts the userland that the host gives it, runs one command,
 * passes its output to virtio ports, and ends the guest.
 *
 * What to do is in /vm of the initramfs, put there by qemu/lib/guest.sh:
 *   argv, env   NUL-terminated strings
 *   conf        lines "KEY VALUE": see read_conf()
 *   modules     if the kernel has not built in all that is needed here: what to load, in order
 *
 * Ports, named stasis.NAME: out and err carry the command's output, in its input if it is to have
 * one, ktap what is written to the FIFO /run/stasis/ktap, ctl lines for the host: "start", then
 * "tick" every other second, "tainted FLAGS" if the kernel had a reason to complain, and one of
 * "exit STATUS", "timeout" or "error TEXT".
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MAX_SHARES    16 /* boot_share() in qemu/lib/guest.sh refuses more */
/* TAINT_BAD_PAGE, TAINT_DIE, TAINT_WARN, TAINT_SOFTLOCKUP: what went wrong in the kernel, as
 * opposed to what was only done to it (Documentation/admin-guide/tainted-kernels.rst). */
#define TAINTED_BY_BUG (1UL << 5 | 1UL << 7 | 1UL << 9 | 1UL << 14)

struct conf {
	const char *tty; /* the command's terminal, or NULL: no terminal, output by pipes */
	const char *cwd;
	struct share {
		const char *path;
		bool writable;
	} shares[MAX_SHARES]; /* more folders of the host, at the same place; the tags are share0,
				 share1 ... */
	int nr_shares;
	long timeout; /* seconds, 0 for none */
	bool input;   /* the command reads the host's standard input, else /dev/null */
	const char *rows, *cols;
};

struct relay {
	int from, to;
};

enum { OUT, ERR, KTAP, NR_RELAYS };

struct guest {
	struct conf conf;
	int ctl;
	struct relay relays[NR_RELAYS];
};

static void tell(struct guest *g, const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (g->ctl < 0 || write(g->ctl, line, n) != n)
		fprintf(stderr, "init: %s", line);
}

static void __attribute__((noreturn)) power_off(void)
{
	sync();
	/* The emulator runs with -no-reboot: a restart ends it, also on kernels without ACPI. */
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

static void __attribute__((noreturn, format(printf, 2, 3)))
fail(struct guest *g, const char *fmt, ...)
{
	char text[400];
	int saved = errno;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tell(g, "error %s: %s\n", text, strerror(saved));
	power_off();
}

static char *read_file(const char *path, size_t *ret_len)
{
	size_t len = 0, room = 4096;
	char *buf = malloc(room);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0 || !buf) {
		free(buf);
		return NULL;
	}
	while ((n = read(fd, buf + len, room - len - 1)) > 0) {
		len += n;
		if (len + 1 == room) {
			room *= 2;
			buf = realloc(buf, room);
			if (!buf)
				return NULL;
		}
	}
	close(fd);
	buf[len] = '\0';
	if (ret_len)
		*ret_len = len;
	return buf;
}

/* Splits a file of NUL-terminated strings. */
static char **read_strings(struct guest *g, const char *path)
{
	size_t len = 0, n = 0;
	char *p = read_file(path, &len), *end = p + len;
	/* There are no more strings than bytes. */
	char **v = calloc(len + 1, sizeof(*v));

	if (!p || !v)
		fail(g, "read %s", path);
	for (; p < end; p += strlen(p) + 1)
		v[n++] = p;
	return v;
}

static void read_conf(struct guest *g)
{
	char *save = NULL, *text = read_file("/vm/conf", NULL), *line;
	struct conf *c = &g->conf;

	if (!text)
		fail(g, "read /vm/conf");
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *value = strchr(line, ' ');

		if (!value)
			continue;
		*value++ = '\0';
		if (!strcmp(line, "tty"))
			c->tty = value;
		else if (!strcmp(line, "cwd"))
			c->cwd = value;
		else if (!strcmp(line, "rows"))
			c->rows = value;
		else if (!strcmp(line, "cols"))
			c->cols = value;
		else if (!strcmp(line, "timeout"))
			c->timeout = atol(value);
		else if (!strcmp(line, "input"))
			c->input = atoi(value);
		else if ((!strcmp(line, "rw") || !strcmp(line, "ro")) && c->nr_shares < MAX_SHARES)
			c->shares[c->nr_shares++] = (struct share){value, !strcmp(line, "rw")};
	}
}

/* mkdir -p */
static void make_dirs(const char *path)
{
	char buf[4096];
	char *p;

	snprintf(buf, sizeof(buf), "%s", path);
	for (p = buf + 1; (p = strchr(p, '/')); *p++ = '/') {
		*p = '\0';
		mkdir(buf, 0755);
	}
	mkdir(buf, 0755);
}

static int open_port(const char *name)
{
	char path[300], want[64], *have;
	struct dirent *e;
	int fd = -1;
	DIR *d = opendir("/sys/class/virtio-ports");

	snprintf(want, sizeof(want), "stasis.%s\n", name);
	while (d && fd < 0 && (e = readdir(d))) {
		snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", e->d_name);
		have = e->d_name[0] == '.' ? NULL : read_file(path, NULL);
		if (have && !strcmp(have, want)) {
			snprintf(path, sizeof(path), "/dev/%s", e->d_name);
			fd = open(path, O_RDWR | O_CLOEXEC);
		}
		free(have);
	}
	if (d)
		closedir(d);
	return fd;
}

/* The driver learns of its ports a little after it was probed. */
static int wait_port(const char *name)
{
	const struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};
	int fd, tries;

	for (tries = 0; (fd = open_port(name)) < 0 && tries < 6000; tries++)
		nanosleep(&pause, NULL);
	return fd;
}

static void mount_early(void)
{
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, "mode=0755");
}

static void load_modules(void)
{
	struct dirent **names;
	int i, fd, n = scandir("/vm/modules", &names, NULL, alphasort);
	char path[300];

	for (i = 0; i < n; i++) {
		if (names[i]->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/vm/modules/%s", names[i]->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
			fprintf(stderr, "init: load %s: %s\n", path, strerror(errno));
		close(fd);
	}
}

#define OPTIONS_9P "trans=virtio,version=9p2000.L,msize=512000,"

static void mount_root(struct guest *g)
{
	make_dirs("/mnt/lower");
	make_dirs("/mnt/upper");
	make_dirs("/mnt/root");
	if (mount("root", "/mnt/lower", "9p", MS_RDONLY, OPTIONS_9P "cache=loose"))
		fail(g, "mount the host's userland (9p)");
	if (mount("upper", "/mnt/upper", "tmpfs", 0, "mode=0755,size=75%"))
		fail(g, "mount tmpfs");
	make_dirs("/mnt/upper/data");
	make_dirs("/mnt/upper/work");
	if (mount("root", "/mnt/root", "overlay", 0,
		  "lowerdir=/mnt/lower,upperdir=/mnt/upper/data,workdir=/mnt/upper/work"))
		fail(g, "mount the overlay");
}

static void switch_root(struct guest *g)
{
	static const char *const moved[] = {"/proc", "/sys", "/dev"};
	char target[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(moved); i++) {
		snprintf(target, sizeof(target), "/mnt/root%s", moved[i]);
		make_dirs(target);
		if (mount(moved[i], target, NULL, MS_MOVE, NULL))
			fail(g, "move %s", moved[i]);
	}
	if (chdir("/mnt/root") || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		fail(g, "switch to the new root");
}

/* What a booted Debian has mounted; a kernel of the user's own may lack some of it. */
static void mount_rest(void)
{
	static const struct {
		const char *type, *where, *options;
	} table[] = {
		{"devpts", "/dev/pts", "mode=620,gid=5,ptmxmode=666"},
		{"tmpfs", "/dev/shm", "mode=1777"},
		{"mqueue", "/dev/mqueue", NULL},
		{"tmpfs", "/run", "mode=0755"},
		{"cgroup2", "/sys/fs/cgroup", NULL},
		{"bpf", "/sys/fs/bpf", "mode=700"},
		{"debugfs", "/sys/kernel/debug", NULL},
		{"tracefs", "/sys/kernel/tracing", NULL},
		{"securityfs", "/sys/kernel/security", NULL},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		make_dirs(table[i].where);
		if (mount(table[i].type, table[i].where, table[i].type, MS_NOSUID,
			  table[i].options))
			fprintf(stderr, "init: no %s on %s: %s\n", table[i].type, table[i].where,
				strerror(errno));
	}
	unlink("/dev/ptmx");
	(void)!symlink("pts/ptmx", "/dev/ptmx");
	(void)!symlink("/proc/self/fd", "/dev/fd");
	(void)!symlink("/proc/self/fd/0", "/dev/stdin");
	(void)!symlink("/proc/self/fd/1", "/dev/stdout");
	(void)!symlink("/proc/self/fd/2", "/dev/stderr");
	make_dirs("/run/lock");
	make_dirs("/run/stasis");
	mkdir("/run/root", 0700);
	make_dirs("/tmp");
	chmod("/tmp", 01777);
}

/* After all else is mounted, for a folder in /run or /dev/shm not to be covered. */
static void mount_shares(struct guest *g)
{
	int i;

	for (i = 0; i < g->conf.nr_shares; i++) {
		const struct share *share = &g->conf.shares[i];
		char tag[16];

		snprintf(tag, sizeof(tag), "share%d", i);
		make_dirs(share->path);
		if (mount(tag, share->path, "9p", share->writable ? 0 : MS_RDONLY,
			  share->writable ? OPTIONS_9P "cache=none" : OPTIONS_9P "cache=loose"))
			fail(g, "mount %s (9p)", share->path);
	}
}

static void set_up_machine(void)
{
	/* The limits that Debian gives its services; a bare kernel gives 4096 descriptors. */
	const struct rlimit files = {.rlim_cur = 1024, .rlim_max = 1048576};
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	setrlimit(RLIMIT_NOFILE, &files);
	(void)!sethostname("stasis", 6);
	if (s >= 0) {
		ioctl(s, SIOCSIFFLAGS, &lo);
		close(s);
	}
}

static void make_relays(struct guest *g, int child_ends[2])
{
	static const char *const names[NR_RELAYS] = {"out", "err", "ktap"};
	int i, p[2];

	for (i = 0; i < NR_RELAYS; i++) {
		g->relays[i].to = wait_port(names[i]);
		if (g->relays[i].to < 0)
			fail(g, "open the port stasis.%s", names[i]);
	}
	for (i = OUT; i <= ERR; i++) {
		if (pipe2(p, O_CLOEXEC))
			fail(g, "make a pipe");
		g->relays[i].from = p[0];
		child_ends[i] = p[1];
		fcntl(p[0], F_SETFL, O_NONBLOCK);
	}
	mkfifo("/run/stasis/ktap", 0622);
	/* Open for both, so that it never comes to its end. */
	g->relays[KTAP].from = open("/run/stasis/ktap", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (g->relays[KTAP].from < 0)
		fail(g, "open /run/stasis/ktap");
}

/*
 * Passes on what is there now: at least what a pipe holds, but not all that a writer who never
 * stops may add meanwhile. Returns false at the end of the stream.
 */
static bool pump(struct relay *r)
{
	static char buf[65536];
	ssize_t n = 0, done, w;
	int turns;

	for (turns = 0; turns < 16 && (n = read(r->from, buf, sizeof(buf))) > 0; turns++) {
		for (done = 0; done < n; done += w) {
			w = write(r->to, buf + done, n - done);
			if (w < 0)
				return false;
		}
	}
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/*
 * Returns what the command reads. A process of its own passes on the host's input, since a command
 * that does not read must hold up nothing else. The port's read ends when the host's input does.
 */
static int open_input(struct guest *g)
{
	char buf[4096];
	int port, p[2];
	ssize_t n;

	if (!g->conf.input)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	port = wait_port("in");
	if (port < 0 || pipe2(p, O_CLOEXEC))
		fail(g, "open the port stasis.in");
	if (!fork()) {
		close(p[0]);
		while ((n = read(port, buf, sizeof(buf))) > 0 && write(p[1], buf, n) == n)
			;
		_exit(0);
	}
	close(port);
	close(p[1]);
	return p[0];
}

static void take_terminal(struct guest *g)
{
	struct winsize ws = {.ws_row = g->conf.rows ? atoi(g->conf.rows) : 0,
			     .ws_col = g->conf.cols ? atoi(g->conf.cols) : 0};
	int fd = open(g->conf.tty, O_RDWR);

	if (fd < 0 || ioctl(fd, TIOCSCTTY, 1)) {
		perror(g->conf.tty);
		_exit(125);
	}
	if (ws.ws_row)
		ioctl(fd, TIOCSWINSZ, &ws);
	dup2(fd, 0);
	dup2(fd, 1);
	dup2(fd, 2);
	if (fd > 2)
		close(fd);
}

static void __attribute__((noreturn))
run_command(struct guest *g, char **argv, char **env, int input, const int ends[2])
{
	sigset_t none;

	setsid();
	if (g->conf.tty) {
		take_terminal(g);
	} else {
		dup2(input, 0);
		dup2(ends[OUT], 1);
		dup2(ends[ERR], 2);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (g->conf.cwd && chdir(g->conf.cwd) && chdir("/"))
		perror("chdir");
	clearenv();
	for (; *env; env++)
		putenv(*env);
	execvp(argv[0], argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* Puts what the CPUs and the blocked tasks do into the kernel's log. */
static void log_cpus(void)
{
	int trigger = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

	(void)!write(trigger, "9", 1);
	(void)!write(trigger, "l", 1);
	(void)!write(trigger, "w", 1);
	close(trigger);
}

/* Puts where one task of user space is in the kernel into the kernel's log. */
static void log_task(FILE *log, const char *pid)
{
	char path[300], *comm, *command, *stack, *save = NULL, *line;

	snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
	command = read_file(path, NULL);
	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	comm = read_file(path, NULL);
	snprintf(path, sizeof(path), "/proc/%s/stack", pid);
	stack = read_file(path, NULL);
	/* Kernel threads have no command line. */
	if (command && *command && comm && stack) {
		fprintf(log, "<4>init: task %s, %s", pid, comm);
		fflush(log);
		for (line = strtok_r(stack, "\n", &save); line;
		     line = strtok_r(NULL, "\n", &save)) {
			fprintf(log, "<4>init:   %s\n", line);
			fflush(log);
		}
	}
	free(comm);
	free(command);
	free(stack);
}

/* For the reader of a timeout. Each write to kmsg becomes a record, so lines are flushed singly. */
static void log_tasks(void)
{
	FILE *log = fopen("/dev/kmsg", "w");
	DIR *d = opendir("/proc");
	struct dirent *e;

	log_cpus();
	while (log && d && (e = readdir(d)))
		if (atoi(e->d_name) > 1)
			log_task(log, e->d_name);
	if (d)
		closedir(d);
	if (log)
		fclose(log);
}

/* Reaps whatever has ended. Returns true and the status if the command was among it. */
static bool reap(pid_t command, int *ret_status)
{
	bool ended = false;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == command) {
			*ret_status = WIFEXITED(status) ? WEXITSTATUS(status)
							: 128 + WTERMSIG(status);
			ended = true;
		}
	}
	return ended;
}

/* Returns the command's status, or -ETIME. */
static int wait_command(struct guest *g, pid_t command, int child_events)
{
	struct pollfd fds[NR_RELAYS + 1];
	struct timespec now;
	time_t deadline, tick;
	int status = 0;
	int i;

	clock_gettime(CLOCK_MONOTONIC, &now);
	tick = now.tv_sec;
	deadline = now.tv_sec + g->conf.timeout;
	for (i = 0; i < NR_RELAYS; i++)
		fds[i] = (struct pollfd){.fd = g->relays[i].from, .events = POLLIN};
	fds[NR_RELAYS] = (struct pollfd){.fd = child_events, .events = POLLIN};
	for (;;) {
		struct signalfd_siginfo si;
		bool ended = false;

		if (poll(fds, ARRAY_SIZE(fds), 1000) < 0 && errno != EINTR)
			fail(g, "poll");
		if (read(child_events, &si, sizeof(si)) == sizeof(si))
			ended = reap(command, &status);
		/* After the command has ended nothing more can come from it; what it left running
		 * is not waited for. */
		for (i = 0; i < NR_RELAYS; i++)
			if (fds[i].fd >= 0 && !pump(&g->relays[i]))
				fds[i].fd = -1;
		if (ended)
			return status;
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (g->conf.timeout && now.tv_sec >= deadline)
			return -ETIME;
		if (now.tv_sec >= tick + 2) {
			tell(g, "tick\n");
			tick = now.tv_sec;
		}
	}
}

/* A warning need not be in the console's log, which may show less (quiet, dmesg -n). */
static void tell_taint(struct guest *g)
{
	char *text = read_file("/proc/sys/kernel/tainted", NULL);
	unsigned long flags = text ? strtoul(text, NULL, 10) & TAINTED_BY_BUG : 0;

	if (flags)
		tell(g, "tainted %lu\n", flags);
	free(text);
}

int main(void)
{
	struct guest g = {.ctl = -1};
	int ends[2], input, child_events, status;
	char **argv, **env;
	sigset_t child;
	pid_t pid;

	mount_early();
	load_modules();
	g.ctl = wait_port("ctl");
	if (g.ctl < 0)
		fail(&g, "open the port stasis.ctl");
	read_conf(&g);
	argv = read_strings(&g, "/vm/argv");
	env = read_strings(&g, "/vm/env");
	mount_root(&g);
	switch_root(&g);
	mount_rest();
	mount_shares(&g);
	set_up_machine();
	make_relays(&g, ends);

	signal(SIGPIPE, SIG_IGN);
	input = open_input(&g);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	child_events = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	tell(&g, "start\n");
	pid = fork();
	if (pid < 0)
		fail(&g, "fork");
	if (!pid)
		run_command(&g, argv, env, input, ends);
	close(input);
	close(ends[OUT]);
	close(ends[ERR]);

	status = wait_command(&g, pid, child_events);
	tell_taint(&g);
	if (status == -ETIME) {
		log_tasks();
		tell(&g, "timeout\n");
	} else {
		tell(&g, "exit %d\n", status);
	}
	power_off();
}
