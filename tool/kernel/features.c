// SPDX-License-Identifier: GPL-2.0-only
#include "kernel/features.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/probe.h"

const struct feature_row feature_rows[N_FEATURES] = {
#define FEATURE(id, text, kind, use, loss)     \
	[FEATURE_##id] = {.name = text,        \
			  .need = NEED_##kind, \
			  .probe = probe_##id, \
			  .used_for = use,     \
			  .lost = loss},
#include "kernel/feature_rows.h"
#undef FEATURE
};

#define PROBE_SECONDS 5

/*
 * Errors are below 134, so they fit an exit status. A probe that dies or hangs
 * says as much as one that fails.
 */
static int run_probe(int (*probe)(void))
{
	static const struct rlimit no_core;
	int status, r;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid) {
		/* What the caller set up for itself is not the probe's. */
		signal(SIGALRM, SIG_DFL);
		alarm(PROBE_SECONDS);
		setrlimit(RLIMIT_CORE, &no_core);
		r = probe();
		_exit(r < 0 && r > -256 ? -r : r < 0 ? EIO : 0);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (!WIFEXITED(status))
		return WTERMSIG(status) == SIGALRM ? -ETIME : -EFAULT;
	return -WEXITSTATUS(status);
}

enum feature_state feature_state(struct features *f, enum feature_id id)
{
	int r;

	if (f->at[id].state != FEATURE_UNASKED)
		return f->at[id].state;
	r = run_probe(feature_rows[id].probe);
	f->at[id].code = r;
	if (!r)
		f->at[id].state = FEATURE_PRESENT;
	else if (r == -EPERM || r == -EACCES)
		f->at[id].state = FEATURE_UNKNOWN;
	else
		f->at[id].state = FEATURE_ABSENT;
	return f->at[id].state;
}

bool feature_has(struct features *f, enum feature_id id)
{
	return feature_state(f, id) == FEATURE_PRESENT;
}

static enum feature_id find(const char *name, size_t len)
{
	int i;

	for (i = 0; i < N_FEATURES; i++)
		if (!strncmp(feature_rows[i].name, name, len) && !feature_rows[i].name[len])
			break;
	return i;
}

enum feature_id feature_find(const char *name)
{
	return find(name, strlen(name));
}

static void set(struct features *f, enum feature_id id, bool has)
{
	f->at[id].state = has ? FEATURE_PRESENT : FEATURE_ABSENT;
	f->at[id].code = has ? 0 : -EOPNOTSUPP;
}

static void set_proposed(struct features *f, bool has)
{
	int i;

	for (i = 0; i < N_FEATURES; i++)
		if (feature_rows[i].need == NEED_PROPOSED)
			set(f, i, has);
}

int features_override(struct features *f, const char *list, struct error *err)
{
	const char *s = list, *end;
	enum feature_id id;
	bool has;

	for (;; s = end + 1) {
		end = strchrnul(s, ',');
		has = *s != '-';
		s += *s == '-' || *s == '+';
		id = find(s, end - s);
		if (id < N_FEATURES) {
			set(f, id, has);
		} else if (end - s == 5 && !memcmp(s, "stock", 5)) {
			set_proposed(f, false);
		} else if (end - s == 7 && !memcmp(s, "patched", 7)) {
			set_proposed(f, true);
		} else {
			fail_text(err, -EINVAL, "unknown feature '%.*s'", (int)(end - s), s);
			return fail_hint(err, "'stasis check --feature list' prints the names");
		}
		if (!*end)
			return 0;
	}
}
