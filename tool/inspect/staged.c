// SPDX-License-Identifier: GPL-2.0-only
#include "inspect/staged.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file behind @path, or where it will be: ret->target, and a name beside it. */
static int name_files(struct staged *s, const char *path)
{
	const char *slash;

	s->target = realpath(path, NULL);
	if (!s->target && errno != ENOENT)
		return -errno;
	if (!s->target)
		s->target = strdup(path);
	if (!s->target)
		return -ENOMEM;
	slash = strrchr(s->target, '/');
	if (asprintf(&s->temporary, "%.*s.%s.XXXXXX", slash ? (int)(slash + 1 - s->target) : 0,
		     s->target, slash ? slash + 1 : s->target) < 0) {
		s->temporary = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* A file without a name where the file system can, so that not even a kill leaves it behind. */
static int create_temporary(struct staged *s)
{
	char *slash = strrchr(s->temporary, '/');
	int fd;

	if (slash)
		*slash = 0;
	fd = open(!slash		  ? "."
		  : slash == s->temporary ? "/"
					  : s->temporary,
		  O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (slash)
		*slash = '/';
	if (fd >= 0)
		return fd;
	fd = mkostemp(s->temporary, O_CLOEXEC);
	s->linked = fd >= 0;
	return fd < 0 ? -errno : fd;
}

int staged_open(struct staged *s, const char *path, struct error *err)
{
	struct stat st;
	int fd;

	memset(s, 0, sizeof(*s));
	s->path = path;
	if (!path || (!stat(path, &st) && !S_ISREG(st.st_mode))) {
		s->file = tmpfile();
		return s->file ? 0 : fail(err, -errno, "cannot create a temporary file");
	}
	fd = name_files(s, path);
	if (!fd)
		fd = create_temporary(s);
	if (fd >= 0) {
		s->file = fdopen(fd, "w+");
		if (s->file)
			return 0;
		close(fd);
		fd = -ENOMEM;
	}
	fail(err, fd, "%s: cannot create", path);
	staged_close(s);
	return fd;
}

static int copy_out(struct staged *s, struct error *err)
{
	const char *name = s->path ? s->path : "standard output";
	FILE *out = s->path ? fopen(s->path, "we") : stdout;
	char buf[65536];
	size_t n;
	bool bad;
	int code;

	if (!out)
		return fail(err, -errno, "%s: cannot open", name);
	rewind(s->file);
	while ((n = fread(buf, 1, sizeof(buf), s->file)) > 0 && fwrite(buf, 1, n, out) == n)
		;
	bad = ferror(s->file) || fflush(out) || ferror(out);
	code = errno ? -errno : -EIO;
	if (s->path && fclose(out) && !bad) {
		bad = true;
		code = -errno;
	}
	return bad ? fail(err, code, "%s: cannot write", name) : 0;
}

static int give_name(struct staged *s)
{
	char source[64];
	int fd = fileno(s->file);

	if (s->linked)
		return 0;
	/* Only for a unique name: linkat() replaces nothing. */
	fd = mkostemp(s->temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	close(fd);
	unlink(s->temporary);
	snprintf(source, sizeof(source), "/proc/self/fd/%d", fileno(s->file));
	if (linkat(AT_FDCWD, source, AT_FDCWD, s->temporary, AT_SYMLINK_FOLLOW))
		return -errno;
	s->linked = true;
	return 0;
}

int staged_commit(struct staged *s, struct error *err)
{
	int ret = 0;

	if (fflush(s->file) || ferror(s->file))
		ret = fail(err, errno ? -errno : -EIO, "%s: cannot write",
			   s->path ? s->path : "temporary file");
	else if (!s->target)
		ret = copy_out(s, err);
	else {
		ret = give_name(s);
		if (!ret && rename(s->temporary, s->target))
			ret = -errno;
		if (ret)
			fail(err, ret, "%s: cannot create", s->path);
		else
			s->linked = false;
	}
	staged_close(s);
	return ret;
}

void staged_close(struct staged *s)
{
	if (s->file)
		fclose(s->file);
	if (s->linked)
		unlink(s->temporary);
	free(s->target);
	free(s->temporary);
	memset(s, 0, sizeof(*s));
}
