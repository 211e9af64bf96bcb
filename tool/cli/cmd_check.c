// SPDX-License-Identifier: GPL-2.0-only
/* stasis check: what this kernel can do, and what follows from what it cannot. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/parse.h"
#include "kernel/features.h"
#include "lib/run.h"

static const struct {
	enum feature_need need;
	const char *title, *json;
} parts[] = {
	{NEED_ALWAYS, "Required", "required"},
	{NEED_SOME, "Needed by some programs, or for speed", "extra"},
	{NEED_CRIU, "Known from criu check, without a use here yet", "criu"},
	{NEED_PROPOSED, "Proposed by kernel-patches/", "proposed"},
};
#define N_PARTS (sizeof(parts) / sizeof(*parts))

static const char *state_word(enum feature_state state)
{
	return state == FEATURE_PRESENT ? "yes" : state == FEATURE_ABSENT ? "no" : "unknown";
}

/* The name of the error that the probe met. */
static const char *why(const struct features *f, enum feature_id id)
{
	const char *name = strerrorname_np(-f->at[id].code);

	return name ? name : "?";
}

/* The text of a column, wrapped; continued lines start at @column. */
static void print_wrapped(const char *text, int column, int width)
{
	int at = column, len;

	while (*text) {
		len = strcspn(text, " ");
		if (at > column && at + 1 + len > width) {
			printf("\n%*s", column, "");
			at = column;
		}
		at += printf("%s%.*s", at > column ? " " : "", len, text);
		text += len + strspn(text + len, " ");
	}
	putchar('\n');
}

static void print_row(struct features *f, enum feature_id id, int width)
{
	const struct feature_row *row = &feature_rows[id];
	enum feature_state state = feature_state(f, id);
	char lost[400];

	printf("  %-24s %-8s ", row->name, state_word(state));
	print_wrapped(row->used_for, 36, width);
	if (state == FEATURE_PRESENT)
		return;
	snprintf(lost, sizeof(lost), "%s%s (%s)",
		 state == FEATURE_UNKNOWN ? "not permitted to find out; without it: "
					  : "without it: ",
		 row->lost, why(f, id));
	printf("%36s", "");
	print_wrapped(lost, 36, width);
}

static void print_table(struct features *f)
{
	struct winsize size;
	int width = 100, i;
	size_t part;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col > 60)
		width = size.ws_col;
	printf("  %-24s %-8s %s\n", "feature", "present", "used for");
	for (part = 0; part < N_PARTS; part++) {
		printf("%s:\n", parts[part].title);
		for (i = 0; i < N_FEATURES; i++)
			if (feature_rows[i].need == parts[part].need)
				print_row(f, i, width);
	}
}

static int print_json(struct features *f, bool good)
{
	struct json_object *top = json_object_new_object(), *list = json_object_new_array();
	struct json_object *o;
	struct utsname name;
	size_t part;
	int i;

	uname(&name);
	json_object_object_add(top, "kernel", json_object_new_string(name.release));
	json_object_object_add(top, "good", json_object_new_boolean(good));
	json_object_object_add(top, "features", list);
	for (i = 0; i < N_FEATURES; i++) {
		enum feature_state state = feature_state(f, i);

		o = json_object_new_object();
		json_object_object_add(o, "name", json_object_new_string(feature_rows[i].name));
		for (part = 0; part < N_PARTS; part++)
			if (parts[part].need == feature_rows[i].need)
				json_object_object_add(o, "kind",
						       json_object_new_string(parts[part].json));
		json_object_object_add(o, "present",
				       state == FEATURE_UNKNOWN
					       ? NULL
					       : json_object_new_boolean(state == FEATURE_PRESENT));
		if (state != FEATURE_PRESENT)
			json_object_object_add(o, "error", json_object_new_string(why(f, i)));
		json_object_object_add(o, "used_for",
				       json_object_new_string(feature_rows[i].used_for));
		json_object_object_add(o, "lost", json_object_new_string(feature_rows[i].lost));
		json_object_array_add(list, o);
	}
	puts(json_object_to_json_string_ext(top, JSON_C_TO_STRING_PRETTY));
	json_object_put(top);
	return 0;
}

/* How many of that kind are missing; their names to @names. */
static int missing(struct features *f, enum feature_need need, char *names, size_t size)
{
	int i, count = 0;
	size_t n = strlen(names);

	for (i = 0; i < N_FEATURES; i++) {
		if (feature_rows[i].need != need || feature_has(f, i))
			continue;
		count++;
		if (n < size)
			n += snprintf(names + n, size - n, "%s%s", n ? ", " : "",
				      feature_rows[i].name);
	}
	return count;
}

static int list_names(void)
{
	int i;

	for (i = 0; i < N_FEATURES; i++)
		puts(feature_rows[i].name);
	return 0;
}

static int unknown_feature(struct run *run, const char *name)
{
	unsigned int best = strlen(name) / 2 + 1, d;
	const char *near = NULL;
	int i;

	for (i = 0; i < N_FEATURES; i++) {
		d = edit_distance(name, strlen(name), feature_rows[i].name);
		if (d < best) {
			best = d;
			near = feature_rows[i].name;
		}
	}
	fail_text(&run->err, -EINVAL, "unknown feature %s", name);
	if (near)
		return fail_hint(&run->err, "did you mean %s? --feature list prints all", near);
	return fail_hint(&run->err, "--feature list prints the names");
}

/* --feature: as criu, a line for each, and failure if one is missing. */
static int check_named(struct run *run, struct features *f)
{
	const struct option_list *names = &run->opt.features;
	enum feature_id id;
	size_t i;

	for (i = 0; i < names->n; i++)
		if (feature_find(names->at[i]) == N_FEATURES && strcmp(names->at[i], "list"))
			return unknown_feature(run, names->at[i]);
	for (i = 0; i < names->n; i++) {
		id = feature_find(names->at[i]);
		if (id == N_FEATURES) {
			list_names();
		} else if (feature_has(f, id)) {
			printf("%s is supported\n", names->at[i]);
		} else {
			printf("%s is not supported\n", names->at[i]);
			fail_text(&run->err, -EOPNOTSUPP, "this kernel lacks %s (%s)", names->at[i],
				  why(f, id));
			if (f->at[id].state == FEATURE_UNKNOWN)
				fail_hint(&run->err, geteuid() ? "run the check as root to be sure"
							       : "not even root may try it here: "
								 "a security policy or a lack of "
								 "capabilities forbids it");
			else
				fail_hint(&run->err, "without it: %s", feature_rows[id].lost);
		}
	}
	return run->err.code;
}

static int judge(struct run *run, struct features *f, bool *ret_some)
{
	const struct options *opt = &run->opt;
	char names[600] = "";
	int r;

	*ret_some = false;
	if (missing(f, NEED_ALWAYS, names, sizeof(names))) {
		r = fail_text(&run->err, -EOPNOTSUPP, "required kernel features are missing: %s",
			      names);
		fail_hint(&run->err,
			  geteuid()
				  ? "run the check as root; if that is no help, Linux 6.12 has them"
				  : "Linux 6.12 or later has them, with "
				    "CONFIG_CHECKPOINT_RESTORE");
		return r;
	}
	if (opt->check_extra || opt->check_all) {
		missing(f, NEED_SOME, names, sizeof(names));
		missing(f, NEED_CRIU, names, sizeof(names));
	}
	if (opt->check_experimental || opt->check_all)
		missing(f, NEED_PROPOSED, names, sizeof(names));
	if (!*names)
		return 0;
	*ret_some = true;
	r = fail_text(&run->err, -EOPNOTSUPP, "kernel features are missing: %s", names);
	fail_hint(&run->err, "see the table for what each of them is needed for");
	return r;
}

int cmd_check(struct run *run)
{
	struct features *f = run->features;
	bool some;
	int r;

	if (run->opt.features.n)
		return check_named(run, f);
	r = judge(run, f, &some);
	if (run->opt.json)
		return print_json(f, !r) ? -EIO : r;
	print_table(f);
	if (!r)
		puts("Looks good.");
	else if (some)
		puts("Looks good but some kernel features are missing\n"
		     "which, depending on your process tree, may cause\n"
		     "dump or restore failure.");
	else
		puts("Does not look good.");
	return r;
}
