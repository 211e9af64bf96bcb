// SPDX-License-Identifier: GPL-2.0-only
#include "cli/session.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/outside.h"

static int open_dir(struct run *run, const char *path, const char *what, const char *option,
		    int *ret)
{
	int fd = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		fail(&run->err, -errno, "%s %s", what, path);
		if (errno == ENOENT)
			fail_hint(&run->err, "create it, or name another with %s", option);
		else
			fail_hint(&run->err, "name another with %s", option);
		return run->err.code;
	}
	*ret = fd;
	return 0;
}

static int open_log(struct run *run)
{
	const char *name = run->opt.log_file;
	int fd = STDERR_FILENO;

	if (name && !strcmp(name, "-"))
		fd = STDOUT_FILENO;
	else if (name)
		fd = openat(run->work_dirfd, name,
			    O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0) {
		fail(&run->err, -errno, "create log file %s", name);
		return fail_hint(&run->err, "name another with --log-file or --work-dir");
	}
	log_start(&run->log, fd, run->opt.verbosity);
	if (!run->opt.verbosity)
		run->log.fd = -1;
	if (!run->opt.log_pid)
		return 0;
	if (fd > STDERR_FILENO) {
		run->log.task_dirfd = run->work_dirfd;
		run->log.task_name = name;
	} else {
		log_warn(&run->log, "--log-pid has no effect without --log-file");
	}
	return 0;
}

/* Scripts run in the work folder, but a path is meant from where the user is. */
static int find_scripts(struct run *run)
{
	struct option_list *scripts = &run->opt.action_scripts;
	_cleanup_free_ char *cwd = getcwd(NULL, 0);
	char *path;
	size_t i;

	for (i = 0; i < scripts->n; i++) {
		if (!cwd || scripts->at[i][0] == '/' || access(scripts->at[i], F_OK))
			continue;
		if (asprintf(&path, "%s/%s", cwd, scripts->at[i]) < 0)
			return fail(&run->err, -ENOMEM, "action scripts");
		free(scripts->at[i]);
		scripts->at[i] = path;
	}
	return 0;
}

static int check_root(struct run *run)
{
	if (!geteuid() || run->opt.unprivileged)
		return 0;
	fail_text(&run->err, -EPERM, "user %d is not root", geteuid());
	return fail_hint(&run->err,
			 "run as root, or accept what is impossible then with --unprivileged");
}

/* criu takes them as well, and scripts give the same options to dump and restore. */
static void warn_of_no_effect(const struct run *run, const struct parsed *p)
{
	const struct option_row *row;

	for (row = option_rows; row < option_rows + n_option_rows; row++)
		if (p->given[row - option_rows] && row->acts && !(row->acts & p->command->bit))
			log_warn(&run->log, "option --%s has no effect on %s", row->name,
				 p->command->name);
}

int session_open(struct run *run, const struct parsed *p)
{
	const struct command *command = p->command;
	struct options *opt = &run->opt;
	int r;

	clock_gettime(CLOCK_MONOTONIC, &run->start);
	log_start(&run->log, opt->verbosity ? STDERR_FILENO : -1, opt->verbosity);
	if (!command->needs_images)
		return 0;
	if (opt->status_fd >= 0 && fcntl(opt->status_fd, F_SETFD, FD_CLOEXEC) < 0) {
		fail(&run->err, -errno, "--status-fd %d", opt->status_fd);
		return fail_hint(&run->err, "open the descriptor before stasis is started");
	}
	/* Before a folder gets the number of a descriptor that is not open. */
	r = outside_open(opt, command->bit & CMD_RESTORES, &run->err, &run->outsides);
	if (r)
		return r;
	if (!opt->images_dir) {
		opt->images_dir = strdup(".");
		if (!opt->images_dir)
			return fail(&run->err, -ENOMEM, "options");
	}
	r = open_dir(run, opt->images_dir, "images folder", "--images-dir (-D)",
		     &run->images_dirfd);
	if (!r)
		r = open_dir(run, opt->work_dir ? opt->work_dir : opt->images_dir, "work folder",
			     "--work-dir (-W)", &run->work_dirfd);
	if (!r)
		r = open_log(run);
	if (!r && command->bit != CMD_PLAN && !opt->dry_run)
		r = check_root(run);
	if (!r)
		r = find_scripts(run);
	if (!r)
		warn_of_no_effect(run, p);
	if (!r)
		log_info(&run->log, "stasis " STASIS_VERSION " %s, images in %s", command->name,
			 opt->images_dir);
	return r;
}

void session_close(struct run *run)
{
	int *fds[] = {&run->images_dirfd, &run->work_dirfd};
	size_t i;

	if (run->log.fd > STDERR_FILENO)
		close(run->log.fd);
	run->log.fd = -1;
	outside_free(run->outsides);
	run->outsides = NULL;
	for (i = 0; i < sizeof(fds) / sizeof(*fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

/* Tools around criu search the log for these lines. */
static void log_end(const struct run *run, const struct command *command, int r)
{
	switch (command->bit) {
	case CMD_DUMP:
		if (r)
			log_err(&run->log, "Dumping FAILED.");
		break;
	case CMD_RESTORE:
		if (r)
			log_err(&run->log, "Restoring FAILED.");
		else
			log_info(&run->log, "Restore finished successfully.");
		break;
	default:
		break;
	}
}

static void hint_text(const struct run *run, char *buf, size_t size)
{
	const char *name = run->opt.log_file;

	if (run->err.hint[0])
		snprintf(buf, size, "%s", run->err.hint);
	else if (run->log.fd > STDERR_FILENO)
		snprintf(buf, size, "the log %s%s%s tells more%s",
			 *name == '/'
				 ? ""
				 : (run->opt.work_dir ? run->opt.work_dir : run->opt.images_dir),
			 *name == '/' ? "" : "/", name,
			 run->opt.verbosity < LOG_DEBUG ? ", with -v4 still more" : "");
	else
		snprintf(buf, size, "run it again with -v4 -o FILE for a full log");
}

int session_report(struct run *run, const struct command *command, int r)
{
	const struct error *e = &run->err;
	char hint[PATH_MAX];

	if (r && !e->code)
		fail(&run->err, r < 0 ? r : -EIO, "%s", command->name);
	if (r)
		log_write(&run->log, LOG_ERROR, e->file, e->line, "%s", e->text);
	log_end(run, command, r);
	if (!r || !run->opt.verbosity)
		return r ? EXIT_FAILURE : EXIT_SUCCESS;
	hint_text(run, hint, sizeof(hint));
	if (run->log.fd > STDERR_FILENO)
		log_at(&run->log, LOG_MSG, "What to do next: %s", hint);
	/* The caller sees it once: by the log if that is the terminal, else here. */
	if (run->log.fd != STDERR_FILENO)
		fprintf(stderr, "stasis %s: %s\n", command->name, e->text);
	fprintf(stderr, "What to do next: %s\n", hint);
	return EXIT_FAILURE;
}

int usage_report(const struct error *err, const struct command *command)
{
	fprintf(stderr, "stasis: %s\n", err->text);
	if (command)
		fprintf(stderr, "Try 'stasis %s --help'\n", command->name);
	else
		fprintf(stderr, "Try 'stasis --help'\n");
	return EXIT_FAILURE;
}
