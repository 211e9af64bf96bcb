// SPDX-License-Identifier: GPL-2.0-only
/* One option's value: checked, converted and stored. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cli/parse.h"

static void *field(struct options *opt, const struct option_row *row)
{
	return (char *)opt + row->at;
}

/* A whole decimal number within bounds, or false. */
static bool number(const char *s, unsigned long long max, unsigned long long *ret)
{
	char *end;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	*ret = strtoull(s, &end, 10);
	return !errno && !*end && *ret <= max;
}

static bool size_value(const char *s, uint64_t *ret)
{
	static const struct {
		char letter;
		unsigned int shift;
	} units[] = {{'K', 10}, {'M', 20}, {'G', 30}, {'k', 10}, {'m', 20}, {'g', 30}};
	unsigned long long n;
	unsigned int shift = 0;
	char *end;
	size_t i;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	n = strtoull(s, &end, 10);
	for (i = 0; *end && i < sizeof(units) / sizeof(*units); i++) {
		if (*end == units[i].letter && !end[1]) {
			shift = units[i].shift;
			end++;
		}
	}
	if (errno || *end || n > ULLONG_MAX >> shift)
		return false;
	*ret = n << shift;
	return true;
}

enum found { NO_CHOICE, CHOICE, CHOICE_LATER };

static enum found find_choice(const char *choices, const char *s, size_t len)
{
	const char *c = choices, *end;
	bool later;

	for (; *c; c = *end ? end + 1 : end) {
		later = *c == '!';
		c += later;
		end = strchrnul(c, '|');
		if ((size_t)(end - c) == len && !memcmp(c, s, len))
			return later ? CHOICE_LATER : CHOICE;
	}
	return NO_CHOICE;
}

static int bad_value(const char *shown, const char *arg, const char *want, struct error *err)
{
	return fail_text(err, -EINVAL, "invalid argument for %s: '%s': %s", shown, arg, want);
}

static int check_choice(const struct option_row *row, const char *arg, size_t len,
			const char *shown, struct error *err)
{
	char list[160];
	size_t i, n = 0;

	switch (find_choice(row->choices, arg, len)) {
	case CHOICE:
		return 0;
	case CHOICE_LATER:
		return fail_text(err, -EOPNOTSUPP, "%s: '%.*s' is not supported yet", shown,
				 (int)len, arg);
	default:
		for (i = 0; row->choices[i] && n + 1 < sizeof(list); i++)
			if (row->choices[i] != '!')
				list[n++] = row->choices[i];
		list[n] = 0;
		return fail_text(err, -EINVAL, "invalid argument for %s: '%.*s' is not one of %s",
				 shown, (int)len, arg, list);
	}
}

/* Comma-separated capabilities of the CPU, each perhaps with ^ before it. */
static int check_cpu_caps(const struct option_row *row, const char *arg, const char *shown,
			  struct error *err)
{
	const char *s = arg, *end;
	int r;

	for (;; s = end + 1) {
		end = strchrnul(s, ',');
		s += *s == '^';
		r = check_choice(row, s, end - s, shown, err);
		if (r || !*end)
			return r;
	}
}

static int set_text(char **at, const char *arg)
{
	char *copy = strdup(arg);

	if (!copy)
		return -ENOMEM;
	free(*at);
	*at = copy;
	return 0;
}

static int append(struct option_list *list, const char *arg)
{
	char **at = reallocarray(list->at, list->n + 1, sizeof(*at));

	if (!at)
		return -ENOMEM;
	list->at = at;
	at[list->n] = strdup(arg);
	if (!at[list->n])
		return -ENOMEM;
	list->n++;
	return 0;
}

/* -v alone or as -vvv counts up, a number sets. */
static int set_verbosity(unsigned int *level, const char *arg, const char *shown, struct error *err)
{
	unsigned long long n;
	size_t vs;

	if (!arg || !*arg) {
		++*level;
		return 0;
	}
	vs = strspn(arg, "v");
	if (!arg[vs]) {
		*level += vs + 1;
		return 0;
	}
	/* criu's scripts say -verbosity=0, which getopt takes for -v with a strange argument. */
	if (!strncmp(arg, "erbosity=", 9))
		arg += 9;
	if (!number(arg, 255, &n))
		return bad_value(shown, arg, "a level from 0 to 4 is wanted", err);
	*level = n;
	return 0;
}

static int set_number(struct options *opt, const struct option_row *row, const char *arg,
		      const char *shown, struct error *err)
{
	unsigned long long n;

	switch (row->type) {
	case OPT_PID:
		if (!number(arg, INT_MAX, &n) || !n)
			return bad_value(shown, arg, "a pid is wanted", err);
		*(pid_t *)field(opt, row) = n;
		return 0;
	case OPT_FD:
		if (!number(arg, INT_MAX, &n))
			return bad_value(shown, arg, "a descriptor's number is wanted", err);
		*(int *)field(opt, row) = n;
		return 0;
	default:
		if (!number(arg, UINT_MAX, &n))
			return bad_value(shown, arg, "a number is wanted", err);
		*(unsigned int *)field(opt, row) = n;
		return 0;
	}
}

int option_set(struct options *opt, const struct option_row *row, const char *arg, bool off,
	       const char *shown, struct error *err)
{
	int r = 0;

	if (row->later && !off)
		return fail_text(err, -EOPNOTSUPP, "option %s is not supported yet", shown);
	if (row->later)
		return 0; /* asks for what happens anyway */
	if (!arg && row->alone)
		arg = row->alone;
	switch (row->type) {
	case OPT_FLAG:
	case OPT_MARK:
		*(bool *)field(opt, row) = !off;
		return 0;
	case OPT_CHOICE:
		r = check_choice(row, arg, strlen(arg), shown, err);
		break;
	case OPT_CPU_CAPS:
		r = check_cpu_caps(row, arg, shown, err);
		break;
	case OPT_SIZE:
		if (!size_value(arg, field(opt, row)))
			return bad_value(shown, arg, "a size such as 4096, 64K, 1M is wanted", err);
		return 0;
	case OPT_PID:
	case OPT_FD:
	case OPT_NUMBER:
		return set_number(opt, row, arg, shown, err);
	case OPT_VERBOSITY:
		return set_verbosity(field(opt, row), arg, shown, err);
	case OPT_LIST:
		r = append(field(opt, row), arg);
		return r ? fail(err, r, "option %s", shown) : 0;
	default:
		break;
	}
	if (r || row->type == OPT_HELP || row->type == OPT_VERSION)
		return r;
	if (!*arg)
		return fail_text(err, -EINVAL, "invalid argument for %s: it is empty", shown);
	r = set_text(field(opt, row), arg);
	return r ? fail(err, r, "option %s", shown) : 0;
}

static void free_list(struct option_list *list)
{
	while (list->n)
		free(list->at[--list->n]);
	free(list->at);
}

void options_free(struct options *opt)
{
	const struct option_row *row;

	for (row = option_rows; row < option_rows + n_option_rows; row++) {
		if (row->later)
			continue;
		switch (row->type) {
		case OPT_TEXT:
		case OPT_PATH:
		case OPT_DIR:
		case OPT_CHOICE:
		case OPT_CPU_CAPS:
			free(*(char **)field(opt, row));
			break;
		case OPT_LIST:
			free_list(field(opt, row));
			break;
		default:
			break;
		}
	}
	free(opt->args);
	memset(opt, 0, sizeof(*opt));
}
