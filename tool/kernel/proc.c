// SPDX-License-Identifier: GPL-2.0-only
#include "kernel/proc.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"

static ssize_t read_all(int dirfd, const char *path, bool record, char **ret)
{
	_cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *buf = NULL;
	size_t len = 0, room = 4096;
	ssize_t n;
	char *p;

	if (fd < 0)
		return -errno;
	for (;;) {
		if (!buf || len + 1 >= room) {
			if (buf)
				room *= 2;
			p = realloc(buf, room);
			if (!p)
				return -ENOMEM;
			buf = p;
		}
		n = read(fd, buf + len, room - len - 1);
		if (n < 0)
			return -errno;
		len += n;
		if (n == 0 || (record && len + 1 < room))
			break;
	}
	buf[len] = 0;
	*ret = take_ptr(buf);
	return len;
}

ssize_t proc_read(int dirfd, const char *path, char **ret)
{
	return read_all(dirfd, path, false, ret);
}

ssize_t proc_read_record(int dirfd, const char *path, char **ret)
{
	return read_all(dirfd, path, true, ret);
}

int proc_link(int dirfd, const char *path, char *buf, size_t size)
{
	ssize_t n = readlinkat(dirfd, path, buf, size);

	if (n < 0)
		return -errno;
	if ((size_t)n >= size)
		return -ENAMETOOLONG;
	buf[n] = 0;
	return 0;
}

int proc_stat(int dirfd, const char *path, struct proc_stat *ret)
{
	_cleanup_free_ char *text = NULL;
	struct proc_stat s = {};
	char *open, *close, *p;
	unsigned long long v[53] = {};
	ssize_t n;
	int i;

	n = proc_read_record(dirfd, path, &text);
	if (n < 0)
		return n;
	/* comm may hold anything, ')' and spaces too: it ends at the last one. */
	open = strchr(text, '(');
	close = strrchr(text, ')');
	if (!open || !close || close < open || close[1] != ' ')
		return -EPROTO;
	*close = 0;
	snprintf(s.comm, sizeof(s.comm), "%s", open + 1);
	s.state = close[2];
	p = close + 3;
	for (i = 4; i <= 52; i++) /* numbered as in proc(5) */
		v[i] = strtoull(p, &p, 10);
	s.ppid = v[4];
	s.pgrp = v[5];
	s.session = v[6];
	s.tty_nr = v[7];
	s.foreground = v[8];
	s.flags = v[9];
	s.n_threads = v[20];
	s.start_time = v[22];
	s.start_code = v[26];
	s.end_code = v[27];
	s.start_stack = v[28];
	s.exit_signal = v[38];
	s.start_data = v[45];
	s.end_data = v[46];
	s.start_brk = v[47];
	s.arg_start = v[48];
	s.arg_end = v[49];
	s.env_start = v[50];
	s.env_end = v[51];
	s.exit_code = v[52];
	*ret = s;
	return 0;
}

const char *proc_field(const char *text, const char *key)
{
	size_t len = strlen(key);
	const char *p = text;

	while (p) {
		if (!strncmp(p, key, len) && p[len] == ':') {
			p += len + 1;
			while (*p == ' ' || *p == '\t')
				p++;
			return p;
		}
		p = strchr(p, '\n');
		if (p)
			p++;
	}
	return NULL;
}

static uint64_t number(const char *text, const char *key, int base)
{
	const char *p = proc_field(text, key);

	return p ? strtoull(p, NULL, base) : 0;
}

static void four(const char *text, const char *key, uint32_t ret[4])
{
	const char *p = proc_field(text, key);
	char *end;
	int i;

	for (i = 0; i < 4 && p; i++) {
		ret[i] = strtoul(p, &end, 10);
		p = end;
	}
}

static int groups(const char *text, struct proc_status *s)
{
	const char *p = proc_field(text, "Groups");
	char *end;

	while (p && *p && *p != '\n') {
		uint32_t g = strtoul(p, &end, 10);

		if (end == p)
			break;
		if (vec_push(&s->groups, g))
			return -ENOMEM;
		for (p = end; *p == ' '; p++)
			;
	}
	return 0;
}

static int count_words(const char *p)
{
	int n = 0;

	while (p && *p && *p != '\n') {
		n++;
		while (*p && !isspace((unsigned char)*p))
			p++;
		while (*p == ' ' || *p == '\t')
			p++;
	}
	return n;
}

int proc_status(int dirfd, const char *path, struct proc_status *ret)
{
	_cleanup_free_ char *text = NULL;
	struct proc_status s = {};
	ssize_t n;

	n = proc_read_record(dirfd, path, &text);
	if (n < 0)
		return n;
	four(text, "Uid", s.uid);
	four(text, "Gid", s.gid);
	s.umask = number(text, "Umask", 8);
	s.tracer = number(text, "TracerPid", 10);
	s.kthread = number(text, "Kthread", 10);
	s.n_nspids = count_words(proc_field(text, "NSpid"));
	s.sig_pending = number(text, "SigPnd", 16);
	s.sig_shared_pending = number(text, "ShdPnd", 16);
	s.sig_blocked = number(text, "SigBlk", 16);
	s.sig_ignored = number(text, "SigIgn", 16);
	s.sig_caught = number(text, "SigCgt", 16);
	s.cap_inh = number(text, "CapInh", 16);
	s.cap_prm = number(text, "CapPrm", 16);
	s.cap_eff = number(text, "CapEff", 16);
	s.cap_bnd = number(text, "CapBnd", 16);
	s.cap_amb = number(text, "CapAmb", 16);
	s.no_new_privs = number(text, "NoNewPrivs", 10);
	s.seccomp = number(text, "Seccomp", 10);
	s.seccomp_filters = number(text, "Seccomp_filters", 10);
	if (groups(text, &s)) {
		vec_free(&s.groups);
		return -ENOMEM;
	}
	*ret = s;
	return 0;
}

int proc_dir_numbers(int dirfd, const char *path, proc_ints *ret)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *e;

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	for (;;) {
		errno = 0;
		e = readdir(dir);
		if (!e)
			return -errno;
		if (isdigit((unsigned char)e->d_name[0]) && vec_push(ret, atoi(e->d_name)))
			return -ENOMEM;
	}
}

int proc_file_numbers(int dirfd, const char *path, proc_ints *ret)
{
	_cleanup_free_ char *text = NULL;
	/* A list comes in pieces of a page at most: a short read is not its end. */
	ssize_t n = proc_read(dirfd, path, &text);
	char *p = text, *end;

	if (n < 0)
		return n;
	for (;;) {
		int v = strtol(p, &end, 10);

		if (end == p)
			return 0;
		if (vec_push(ret, v))
			return -ENOMEM;
		p = end;
	}
}
