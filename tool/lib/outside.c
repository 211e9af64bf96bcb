// SPDX-License-Identifier: GPL-2.0-only
#include "lib/outside.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "lib/options.h"

#define UNIX98_SLAVE_FIRST 136
#define UNIX98_SLAVE_LAST  143

void outside_file_name(char buf[OUTSIDE_NAME_MAX], uint64_t mnt_id, uint64_t ino)
{
	snprintf(buf, OUTSIDE_NAME_MAX, "file[%" PRIx64 ":%" PRIx64 "]", mnt_id, ino);
}

void outside_tty_name(char buf[OUTSIDE_NAME_MAX], uint64_t rdev, uint64_t dev)
{
	snprintf(buf, OUTSIDE_NAME_MAX, "tty[%" PRIx64 ":%" PRIx64 "]", rdev, dev);
}

/* A number that @end follows; *s is moved behind that. */
static bool number(const char **s, int base, char end, uint64_t *ret)
{
	char *stop;

	if (!strchr(base == 16 ? "0123456789abcdefABCDEF" : "0123456789", **s) || !**s)
		return false;
	/* What looks like a prefix is none. */
	if (base == 16 && (*s)[0] == '0' && ((*s)[1] | 0x20) == 'x')
		return false;
	errno = 0;
	*ret = strtoull(*s, &stop, base);
	*s = stop + 1;
	return !errno && *stop == end;
}

/* "1f:83]" and no more. */
static bool two_numbers(const char *s, uint64_t *a, uint64_t *b)
{
	return number(&s, 16, ':', a) && number(&s, 16, ']', b) && !*s;
}

/* file[...] and tty[...] as images have them; false: it is of no such form. */
static bool paired_name(const char *s, char buf[OUTSIDE_NAME_MAX])
{
	uint64_t a, b;

	if (!strncmp(s, "file[", 5) && two_numbers(s + 5, &a, &b))
		outside_file_name(buf, a, b);
	else if (!strncmp(s, "tty[", 4) && two_numbers(s + 4, &a, &b))
		outside_tty_name(buf, a, b);
	else
		return false;
	return true;
}

/* --- --external ---------------------------------------------------------- */

static int parse_external(const char *arg, char buf[OUTSIDE_NAME_MAX], struct error *err)
{
	static const char *const later[] = {"mnt", "dev",  "unix",   "net",  "pid",    "ipc",
					    "uts", "user", "cgroup", "veth", "macvlan"};
	size_t len = strcspn(arg, "["), i;

	if (paired_name(arg, buf))
		return 0;
	for (i = 0; arg[len] && i < sizeof(later) / sizeof(*later); i++)
		if (strlen(later[i]) == len && !memcmp(later[i], arg, len))
			return fail_text(err, -EOPNOTSUPP,
					 "--external: %s[...] is not supported yet", later[i]);
	return fail_text(err, -EINVAL,
			 "invalid argument for --external: '%s': file[MNT_ID:INODE] or "
			 "tty[RDEV:DEV] is wanted, both numbers in hexadecimal",
			 arg);
}

/* --- --inherit-fd -------------------------------------------------------- */

/* "pipe:[77]", as the link in /proc reads, or "pipe[77]", as criu's manual has it. */
static bool numbered_name(const char *s, char buf[OUTSIDE_NAME_MAX], bool *is_one)
{
	static const char *const kinds[] = {"pipe", "socket"};
	uint64_t ino;
	size_t i, len;

	for (i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		len = strlen(kinds[i]);
		if (strncmp(s, kinds[i], len) || (s[len] != '[' && strncmp(s + len, ":[", 2)))
			continue;
		*is_one = true;
		s += len + 1 + (s[len] == ':');
		if (!number(&s, 10, ']', &ino) || *s)
			return false;
		snprintf(buf, OUTSIDE_NAME_MAX, "%s:[%" PRIu64 "]", kinds[i], ino);
		return true;
	}
	return false;
}

static int bad_inherit(const char *arg, struct error *err)
{
	return fail_text(err, -EINVAL,
			 "invalid argument for --inherit-fd: '%s': fd[N]:RESOURCE is wanted, where "
			 "RESOURCE is pipe:[INODE], tty[RDEV:DEV], file[MNT_ID:INODE] (these four "
			 "numbers in hexadecimal), socket:[INODE], /memfd:NAME or a path",
			 arg);
}

/* *ret_name is the caller's to free. */
static int parse_inherit(const char *arg, int *ret_fd, char **ret_name, struct error *err)
{
	const char *s = arg, *name = arg;
	char buf[OUTSIDE_NAME_MAX];
	bool is_kind = false;
	uint64_t fd;

	if (strncmp(s, "fd[", 3))
		return bad_inherit(arg, err);
	s += 3;
	if (!number(&s, 10, ']', &fd) || fd > INT_MAX || *s++ != ':' || !*s)
		return bad_inherit(arg, err);
	if (numbered_name(s, buf, &is_kind) || paired_name(s, buf)) {
		name = buf;
	} else if (is_kind || !strncmp(s, "file[", 5) || !strncmp(s, "tty[", 4)) {
		return bad_inherit(arg, err);
	} else {
		name = s;
		/* Paths count from the root; the name of a memfd begins with a slash. */
		if (strncmp(s, "/memfd:", 7))
			name += strspn(name, "/");
		if (!*name)
			return bad_inherit(arg, err);
	}
	*ret_name = strdup(name);
	if (!*ret_name)
		return fail(err, -ENOMEM, "--inherit-fd");
	*ret_fd = fd;
	return 0;
}

int outside_check(const struct options *opt, struct error *err)
{
	char buf[OUTSIDE_NAME_MAX], *name;
	int fd, ret = 0;
	size_t i;

	for (i = 0; !ret && i < opt->external.n; i++)
		ret = parse_external(opt->external.at[i], buf, err);
	for (i = 0; !ret && i < opt->inherit_fd.n; i++) {
		ret = parse_inherit(opt->inherit_fd.at[i], &fd, &name, err);
		if (!ret)
			free(name);
	}
	return ret;
}

/* --- the list ------------------------------------------------------------ */

static int look_at(struct outside *o, struct error *err)
{
	int flags = fcntl(o->fd, F_GETFL);
	struct statfs fs = {0};
	unsigned int type;
	struct stat st;

	if (flags < 0 || fstat(o->fd, &st)) {
		fail(err, -errno, "--inherit-fd fd[%d]:%s", o->fd, o->name);
		return fail_hint(err, "open the descriptor before stasis is started");
	}
	type = major(st.st_rdev);
	o->flags = flags;
	o->mode = st.st_mode;
	o->on_pipefs = S_ISFIFO(st.st_mode) && !fstatfs(o->fd, &fs) && fs.f_type == PIPEFS_MAGIC;
	o->on_pts = S_ISCHR(st.st_mode) && type >= UNIX98_SLAVE_FIRST && type <= UNIX98_SLAVE_LAST;
	return 0;
}

static int add(struct outsides *list, const char *arg, bool inherit, struct error *err)
{
	struct outside *o = vec_add(&list->list);
	char buf[OUTSIDE_NAME_MAX];
	int ret;

	if (!o)
		return fail(err, -ENOMEM, "options");
	o->fd = -1;
	if (inherit) {
		ret = parse_inherit(arg, &o->fd, &o->name, err);
		return ret ? ret : look_at(o, err);
	}
	ret = parse_external(arg, buf, err);
	if (ret)
		return ret;
	o->name = strdup(buf);
	return o->name ? 0 : fail(err, -ENOMEM, "options");
}

int outside_open(const struct options *opt, bool inherit, struct error *err, struct outsides **ret)
{
	const struct option_list *from = inherit ? &opt->inherit_fd : &opt->external;
	struct outsides *list;
	int code = 0;
	size_t i;

	*ret = NULL;
	if (!from->n)
		return 0;
	list = calloc(1, sizeof(*list));
	if (!list)
		return fail(err, -ENOMEM, "options");
	for (i = 0; !code && i < from->n; i++)
		code = add(list, from->at[i], inherit, err);
	if (code)
		outside_free(list);
	else
		*ret = list;
	return code;
}

void outside_free(struct outsides *o)
{
	struct outside *it;

	if (!o)
		return;
	vec_for_each (&o->list, it)
		free(it->name);
	vec_free(&o->list);
	free(o);
}

struct outside *outside_find(struct outsides *o, const char *name)
{
	size_t i;

	for (i = 0; o && i < o->list.n; i++) {
		if (strcmp(o->list.at[i].name, name))
			continue;
		o->list.at[i].used = true;
		return &o->list.at[i];
	}
	return NULL;
}

bool outside_has(const struct outsides *o, const char *start)
{
	size_t i;

	for (i = 0; o && i < o->list.n; i++)
		if (!strncmp(o->list.at[i].name, start, strlen(start)))
			return true;
	return false;
}
