// SPDX-License-Identifier: GPL-2.0-only
/* stasis monitor start|stop|status|show */
#include <errno.h>
#include <getopt.h>
#include <json-c/json.h>
#include <string.h>
#include <time.h>

#include "cli/commands.h"
#include "cli/monitor_show.h"
#include "lib/cleanup.h"
#include "monitor/monitor.h"

struct args {
	const char *folder;
	uint32_t limit;
	bool json, help, light;
	char **operands;
	int n_operands;
};

static const char usage[] =
	"Usage: stasis monitor start [--limit N] [--light]\n"
	"       stasis monitor stop\n"
	"       stasis monitor status [--json]\n"
	"       stasis monitor show [PID] [--json]\n"
	"\n"
	"Remember in the kernel who was born of whom, after parents have exited.\n"
	"\n"
	"  start      load, attach and pin the eBPF programs; no process stays behind\n"
	"  stop       detach them and forget everything\n"
	"  status     since when it runs, what it has seen, whether anything was lost\n"
	"  show       the tree of births beside the tree of parents; with PID, all that is\n"
	"             known of one process\n"
	"\n"
	"  --limit N     processes and joints remembered at most (start; default 65536)\n"
	"  --light       where the kernel's functions cannot be traced, do not trace system calls\n"
	"                instead: changes of session and group are noticed later (start)\n"
	"  --json        the same as JSON (status, show)\n"
	"  --folder DIR  where it is pinned, on a BPF file system (default " MONITOR_FOLDER ")\n"
	"  -h, --help    this text\n"
	"\n"
	"Exit status: 0 done; 1 failed or, for status and show, no monitor is running.\n";

static int print_error(const struct error *err)
{
	fprintf(stderr, "Error: %s\n", err->text);
	if (err->hint[0])
		fprintf(stderr, "Hint: %s\n", err->hint);
	return 1;
}

static int misuse(const char *what, const char *arg)
{
	fprintf(stderr, "Error: monitor: %s%s%s\nHint: stasis monitor --help\n", what,
		arg ? ": " : "", arg ? arg : "");
	return 1;
}

static bool parse_number(const char *text, unsigned long max, unsigned long *ret)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || v > max)
		return false;
	*ret = v;
	return true;
}

static int parse(int argc, char **argv, struct args *a)
{
	static const struct option longs[] = {
		{"limit", required_argument, NULL, 'l'}, {"json", no_argument, NULL, 'j'},
		{"light", no_argument, NULL, 'L'},	 {"folder", required_argument, NULL, 'f'},
		{"help", no_argument, NULL, 'h'},	 {0},
	};
	unsigned long n;
	int c;

	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
		switch (c) {
		case 'l':
			if (!parse_number(optarg, UINT32_MAX, &n) || !n)
				return misuse("--limit is not a number of processes", optarg);
			a->limit = n;
			break;
		case 'j':
			a->json = true;
			break;
		case 'L':
			a->light = true;
			break;
		case 'f':
			a->folder = optarg;
			break;
		case 'h':
			a->help = true;
			break;
		case ':':
			return misuse("option needs a value", argv[optind - 1]);
		default:
			return misuse("unknown option", argv[optind - 1]);
		}
	}
	a->operands = argv + optind;
	a->n_operands = argc - optind;
	return 0;
}

static int start(const struct args *a)
{
	struct monitor_options opt = {.folder = a->folder, .limit = a->limit, .light = a->light};
	struct error err = {0};

	return monitor_start(&opt, stderr, &err) ? print_error(&err) : 0;
}

static int stop(const struct args *a)
{
	struct error err = {0};

	return monitor_stop(a->folder, &err) ? print_error(&err) : 0;
}

static int open_running(const struct args *a, struct monitor **m)
{
	struct error err = {0};
	int r = monitor_open(a->folder, &err, m);

	if (r == -ENOENT) {
		fail_text(&err, r, "%s: no monitor is running",
			  a->folder ? a->folder : MONITOR_FOLDER);
		fail_hint(&err, "stasis monitor start starts one");
	}
	return r ? print_error(&err) : 0;
}

static void status_json(const struct monitor_status *s, double age)
{
	struct json_object *o = json_object_new_object();
	const struct {
		const char *key;
		uint64_t value;
	} rows[] = {
		{"since_ns", s->head.since},
		{"limit", s->head.limit},
		{"used", s->head.used},
		{"peak", s->head.peak},
		{"births", s->head.births},
		{"thread_births", s->head.threads},
		{"deaths", s->head.deaths},
		{"lost_to_limit", s->head.lost_limit},
		{"lost_to_memory", s->head.lost_storage},
		{"missed_events", s->missed},
		{"swept", s->head.swept},
		{"programs", s->programs},
		{"nodes_bytes", s->nodes_bytes},
		{"record_bytes", s->record_bytes},
	};

	json_object_object_add(o, "running", json_object_new_boolean(1));
	json_object_object_add(o, "age_seconds", json_object_new_double(age));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		json_object_object_add(o, rows[i].key, json_object_new_uint64(rows[i].value));
	json_object_object_add(o, "by_function",
			       json_object_new_boolean(!!(s->head.features & CABA_HAS_CHANGE)));
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED));
	json_object_put(o);
}

static const char *seen_by(uint32_t features, uint32_t function)
{
	if (features & function)
		return "at once, by the kernel's functions";
	return features & CABA_HAS_SYSCALLS ? "by system call tracepoints"
					    : "late, at the process's next event";
}

static void status_text(const struct monitor_status *s, double age)
{
	const struct caba_head *h = &s->head;

	printf("running for      %.0f s, %u programs\n", age, s->programs);
	printf("seen             %llu births, %llu deaths, %llu births of threads\n", h->births,
	       h->deaths, h->threads);
	printf("nodes            %u of %u in use (most: %u), %llu KiB reserved\n", h->used,
	       h->limit, h->peak, (unsigned long long)s->nodes_bytes / 1024);
	printf("records          %llu bytes of kernel memory per process\n",
	       (unsigned long long)s->record_bytes);
	printf("lost             %llu to the limit, %llu to lack of memory, %llu events missed\n",
	       h->lost_limit, h->lost_storage, (unsigned long long)s->missed);
	printf("session, group   seen %s\n", seen_by(h->features, CABA_HAS_CHANGE));
	printf("reparenting      seen %s\n", h->features & CABA_HAS_REPARENT
						     ? "at once, by the kernel's functions"
						     : "in the parent's exit");
	printf("subreaper        seen %s\n", seen_by(h->features, CABA_HAS_SUBREAPER));
}

static int status(const struct args *a)
{
	_cleanup_(cleanup_monitor) struct monitor *m = NULL;
	struct monitor_status s;
	struct error err = {0};
	struct timespec now;
	double age;

	if (open_running(a, &m))
		return 1;
	if (monitor_status(m, &err, &s))
		return print_error(&err);
	clock_gettime(CLOCK_BOOTTIME, &now);
	age = now.tv_sec + now.tv_nsec / 1e9 - s.head.since / 1e9;
	if (a->json)
		status_json(&s, age);
	else
		status_text(&s, age);
	return 0;
}

static int show(const struct args *a)
{
	_cleanup_(cleanup_monitor) struct monitor *m = NULL;
	_cleanup_(show_free) struct show s = {0};
	ssize_t only = -1;
	struct error err = {0};
	unsigned long pid = 0;

	if (a->n_operands == 2 && (!parse_number(a->operands[1], INT32_MAX, &pid) || !pid))
		return misuse("not a pid", a->operands[1]);
	if (open_running(a, &m))
		return 1;
	if (show_collect(m, &err, &s))
		return print_error(&err);
	if (pid) {
		only = show_find(&s, pid);
		if (only < 0)
			return misuse("no such process (or a thread, or the kernel's)",
				      a->operands[1]);
	}
	if (a->json)
		return show_json(&s, only, stdout) ? 1 : 0;
	if (only >= 0)
		show_text_one(&s, only, stdout);
	else if (show_text(&s, stdout))
		return misuse("no memory for the trees", NULL);
	return 0;
}

int cmd_monitor(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const struct args *a);
		int max_operands;
		bool takes_limit, takes_json;
	} commands[] = {
		{"start", start, 1, true, false},
		{"stop", stop, 1, false, false},
		{"status", status, 1, false, true},
		{"show", show, 2, false, true},
	};
	struct args a = {0};

	if (parse(argc, argv, &a))
		return 1;
	if (a.help) {
		fputs(usage, stdout);
		return 0;
	}
	if (!a.n_operands)
		return misuse("start, stop, status or show?", NULL);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(a.operands[0], commands[i].name) != 0)
			continue;
		if (a.n_operands > commands[i].max_operands)
			return misuse("one argument too many", a.operands[a.n_operands - 1]);
		if ((a.limit || a.light) && !commands[i].takes_limit)
			return misuse("--limit and --light are for start", NULL);
		if (a.json && !commands[i].takes_json)
			return misuse("--json is for status and show", NULL);
		if (commands[i].run(&a))
			return 1;
		return fflush(stdout) ? misuse("writing the answer", strerror(errno)) : 0;
	}
	return misuse("no such subcommand", a.operands[0]);
}
