// SPDX-License-Identifier: GPL-2.0-only
#include "lib/scripts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"

extern char **environ;

/* environ with the variables of the stage; the array is the caller's, its old strings are not. */
struct stage_env {
	char action[64], dir[PATH_MAX + 32], pid[40];
	char **at;
};

static int make_env(const struct run *run, const char *stage, pid_t root, struct stage_env *env)
{
	char link[40], path[PATH_MAX];
	size_t n = 0, i;
	ssize_t len;

	while (environ[n])
		n++;
	env->at = calloc(n + 4, sizeof(char *));
	if (!env->at)
		return -ENOMEM;
	for (i = n = 0; environ[i]; i++)
		if (strncmp(environ[i], "CRTOOLS_", 8))
			env->at[n++] = environ[i];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", run->images_dirfd);
	len = readlink(link, path, sizeof(path) - 1);
	path[len > 0 ? len : 0] = 0;
	snprintf(env->action, sizeof(env->action), "CRTOOLS_SCRIPT_ACTION=%s", stage);
	snprintf(env->dir, sizeof(env->dir), "CRTOOLS_IMAGE_DIR=%s", path);
	env->at[n++] = env->action;
	env->at[n++] = env->dir;
	if (root > 0) {
		snprintf(env->pid, sizeof(env->pid), "CRTOOLS_INIT_PID=%d", root);
		env->at[n++] = env->pid;
	}
	return 0;
}

/*
 * A name of a file is executed, anything else goes to the shell, as criu does
 * it with all. Returns the wait status or a negative errno.
 */
static int run_one(const struct run *run, char *script, char **env)
{
	char *shell[] = {"/bin/sh", "-c", script, NULL}, *plain[] = {script, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, pipe_only;
	int status, r;
	pid_t pid;

	sigemptyset(&none);
	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &pipe_only);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	r = posix_spawn_file_actions_addfchdir_np(&actions, run->work_dirfd);
	if (!r && script[0] == '/' && !access(script, F_OK))
		r = posix_spawn(&pid, script, &actions, &attr, plain, env);
	else if (!r)
		r = posix_spawn(&pid, shell[0], &actions, &attr, shell, env);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	if (r)
		return -r;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return status;
}

static int report(struct run *run, const char *stage, const char *script, int status)
{
	char how[80];

	if (status < 0)
		snprintf(how, sizeof(how), "cannot be run: %s", strerror(-status));
	else if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "was killed by signal %d", WTERMSIG(status));
	else
		snprintf(how, sizeof(how), "exited with status %d", WEXITSTATUS(status));
	if (!strcmp(stage, STAGE_PRE_RESUME) || !strcmp(stage, STAGE_POST_RESUME)) {
		log_err(&run->log, "action script '%s' at stage %s %s; going on", script, stage,
			how);
		return 0;
	}
	fail_text(&run->err, -ECANCELED, "action script '%s' at stage %s %s", script, stage, how);
	fail_hint(&run->err, "look into the script, or leave --action-script out");
	return -ECANCELED;
}

int run_scripts(struct run *run, const char *stage, pid_t root)
{
	const struct option_list *scripts = &run->opt.action_scripts;
	struct stage_env env;
	int ret = 0, status, r;
	size_t i;

	if (!scripts->n)
		return 0;
	r = make_env(run, stage, root, &env);
	if (r)
		return fail(&run->err, r, "action scripts at stage %s", stage);
	for (i = 0; i < scripts->n; i++) {
		log_info(&run->log, "Running %s scripts: %s", stage, scripts->at[i]);
		status = run_one(run, scripts->at[i], env.at);
		if (!status)
			continue;
		r = report(run, stage, scripts->at[i], status);
		if (r)
			ret = r;
	}
	free(env.at);
	return ret;
}

int pidfile_write(struct run *run, pid_t root)
{
	_cleanup_close_ int fd = -1;
	char text[16];
	int len;

	if (!run->opt.pidfile)
		return 0;
	fd = openat(run->work_dirfd, run->opt.pidfile, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
		    0600);
	if (fd < 0) {
		fail(&run->err, -errno, "create pid file %s", run->opt.pidfile);
		fail_hint(&run->err, "remove the old file or name another with --pidfile");
		return run->err.code;
	}
	len = snprintf(text, sizeof(text), "%d", root);
	if (write(fd, text, len) != len)
		return fail(&run->err, -EIO, "write pid file %s", run->opt.pidfile);
	return 0;
}

void pidfile_remove(struct run *run)
{
	if (run->opt.pidfile)
		unlinkat(run->work_dirfd, run->opt.pidfile, 0);
}

void status_ready(struct run *run)
{
	if (run->opt.status_fd < 0)
		return;
	if (write(run->opt.status_fd, "", 1) != 1)
		log_warn(&run->log, "write to --status-fd %d: %s", run->opt.status_fd,
			 strerror(errno));
	close(run->opt.status_fd);
	run->opt.status_fd = -1;
}

int run_time_left(const struct run *run)
{
	struct timespec now;
	long long ms;

	if (!run->opt.timeout)
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &now);
	ms = (long long)run->opt.timeout * 1000 - (now.tv_sec - run->start.tv_sec) * 1000LL -
	     (now.tv_nsec - run->start.tv_nsec) / 1000000;
	return ms < 0 ? 0 : ms > INT_MAX ? INT_MAX : ms;
}

int run_check_time(struct run *run, const char *doing)
{
	if (run->owner && __atomic_load_n(run->owner, __ATOMIC_ACQUIRE) & FUTEX_OWNER_DIED)
		return fail_text(&run->err, -EOWNERDEAD, "%s: stasis was killed", doing);
	if (run_time_left(run))
		return 0;
	fail_text(&run->err, -ETIMEDOUT, "%s: not done within %u seconds", doing, run->opt.timeout);
	fail_hint(&run->err, "allow more with --timeout SECONDS");
	return -ETIMEDOUT;
}
