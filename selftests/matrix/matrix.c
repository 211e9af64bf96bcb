// SPDX-License-Identifier: GPL-2.0-only
/*
 * matrix DUMP RESTORE [KIND...]: every kind of the object factory through a dump by one
 * program and a restore by another. A kind passes when the snapshots from outside before
 * and after are the same, and the object itself, from inside, sees no difference.
 */
#include <err.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/engine.h"
#include "lib/snapshot.h"

#define MAX_NOTES 12 /* lines of difference that are printed */

struct row {
	char *name, *text, *no_criu, *no_criu_restore, *lost, *moves, *later, *options;
	bool stopped, spins;
};

struct matrix {
	struct engine dump, restore;
	struct row *rows;
	int n_rows;
	bool keep;
	uint64_t seed; /* of kinds that are random */
	int repeat;
	FILE *decoder_in, *decoder_out; /* NULL: images are not decoded */
	int failed;
	int nth;
};

enum verdict { PASS, FAIL, SKIP };

static void *parse_row(struct row *row, char *line)
{
	char **fields[] = {&row->name, &row->text,  &row->no_criu, &row->no_criu_restore,
			   &row->lost, &row->moves, &row->later,   &row->options};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		*fields[i] = strsep(&line, "\t");
	row->stopped = line && line[0] == '1';
	row->spins = line && line[2] == '1';
	return line;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct row *)a)->name, ((const struct row *)b)->name);
}

static void read_rows(struct matrix *m, char **wanted)
{
	char command[4096], line[2048];
	FILE *in;

	snprintf(command, sizeof(command), "%s/selftests/factory/factory --list",
		 getenv("BUILD") ?: "build");
	in = popen(command, "r");
	while (in && fgets(line, sizeof(line), in)) {
		struct row row;
		bool take = !wanted[0];

		line[strcspn(line, "\n")] = '\0';
		if (!parse_row(&row, strdup(line)))
			errx(1, "factory --list: bad line");
		for (int i = 0; wanted[i]; i++)
			take |= fnmatch(wanted[i], row.name, 0) == 0;
		if (!take)
			continue;
		m->rows = realloc(m->rows, (m->n_rows + 1) * sizeof(row));
		m->rows[m->n_rows++] = row;
	}
	if (!in || pclose(in))
		err(1, "%s", command);
}

/* Snapshot keys that a pair of programs is known not to bring back. */
static const char *tolerated(const struct matrix *m, const struct row *row)
{
	static char keys[512];

	bool criu = m->dump.is_criu || m->restore.is_criu;

	/* What spins is caught somewhere on its way into its loop. */
	snprintf(keys, sizeof(keys), "%s %s %s %s", row->moves,
		 row->spins ? "map syscall stat.state status.State" : "",
		 criu ? "timerslack_ns status.Cpus_allowed accounted timens_offsets" : "",
		 criu ? row->lost : "");
	return keys;
}

/* Ask the decoder about a folder of images; it answers with one line. */
static bool decode(struct matrix *m, const struct target *t, struct text *why)
{
	char line[1024];

	if (!m->decoder_in)
		return true;
	fprintf(m->decoder_in, "%s\n", t->images);
	fflush(m->decoder_in);
	if (!fgets(line, sizeof(line), m->decoder_out)) {
		text_add(why, "the decoder ended\n");
		return false;
	}
	if (!strcmp(line, "ok\n"))
		return true;
	text_add(why, "crit: %s", line);
	return false;
}

/* A dump that was refused: right for some kinds, and then nothing may have changed. */
static enum verdict refused(struct matrix *m, const struct row *row, struct target *t,
			    struct snapshot *before, struct text *why)
{
	bool allowed = m->dump.is_criu ? row->no_criu[0] : row->later[0];
	struct snapshot after;
	struct text log = {};

	engine_why(t->images, "dump", &log);
	if (!row->spins)
		snapshot_settle(t->pid, 2000);
	snapshot_take(&after, t->pid);
	if (snapshot_diff(before, &after, tolerated(m, row), why))
		text_add(why, "the refused dump has changed the above\n");
	snapshot_free(&after);
	if (!target_judge(t, 20, row->stopped, why))
		text_add(why, "the target is not well after the refused dump\n");
	if (why->n == 0 && allowed) {
		char *last = strrchr(log.at, ')') ?: log.at;

		text_add(why, "%s: refused: %s", m->dump.is_criu ? row->no_criu : row->later,
			 strstr(log.at, "Error") ? strstr(log.at, "Error") : last);
		why->at[strcspn(why->at, "\n")] = '\0';
		text_free(&log);
		return SKIP;
	}
	if (m->dump.is_criu && strstr(log.at, "Can't get rlimit")) {
		text_add(why, "root has no CAP_SYS_RESOURCE here, which CRIU needs for this");
		text_free(&log);
		return SKIP;
	}
	text_add(why, "dump failed:\n%s", log.at);
	text_free(&log);
	return FAIL;
}

static enum verdict restored(struct matrix *m, const struct row *row, struct target *t,
			     struct snapshot *before, struct text *why)
{
	struct snapshot after;

	if (!row->spins && !snapshot_settle(t->pid, 5000))
		text_add(why, "tasks run on by themselves after the restore\n");
	snapshot_take(&after, t->pid);
	snapshot_diff(before, &after, tolerated(m, row), why);
	snapshot_free(&after);
	target_judge(t, 15, row->stopped, why);
	return why->n ? FAIL : PASS;
}

static bool criu_restores_wrong(const struct matrix *m, const struct row *row)
{
	return m->restore.is_criu && (row->no_criu[0] || row->no_criu_restore[0]);
}

static enum verdict through(struct matrix *m, const struct row *row, struct target *t,
			    struct snapshot *before, struct text *why)
{
	int status = engine_dump(&m->dump, t->pid, t->images, row->options);

	if (status)
		return refused(m, row, t, before, why);
	if (!target_gone(t, 10)) {
		text_add(why, "the target still lives after the dump\n");
		return FAIL;
	}
	for (int i = 0; i < before->n_pids; i++)
		if (kill(before->pids[i], 0) == 0)
			text_add(why, "task %d still lives after the dump\n", before->pids[i]);
	if (!decode(m, t, why))
		return FAIL;
	if (criu_restores_wrong(m, row)) {
		text_add(why, "%s", row->no_criu[0] ? row->no_criu : row->no_criu_restore);
		return SKIP;
	}
	status = engine_restore(&m->restore, t->images, row->options);
	if (status || !target_reopen(t)) {
		/* What the tool itself has dumped it has to restore. */
		if (status > 0 && status < 126 && m->dump.is_criu && !m->restore.is_criu &&
		    row->later[0]) {
			text_add(why, "%s: the restore is refused", row->later);
			return SKIP;
		}
		text_add(why, "restore: status %d:\n", status);
		engine_why(t->images, "restore", why);
		return FAIL;
	}
	return restored(m, row, t, before, why);
}

static enum verdict run_row(struct matrix *m, const struct row *row, struct text *why)
{
	struct snapshot before = {};
	struct target t;
	enum verdict v;

	/* What CRIU doesn't do isn't tried for the sanity of the tests themselves. */
	if (m->dump.is_criu && (row->no_criu[0] || criu_restores_wrong(m, row))) {
		text_add(why, "%s", row->no_criu[0] ? row->no_criu : row->no_criu_restore);
		return SKIP;
	}
	switch (target_start(&t, row->name, why)) {
	case READY:
		if (!row->spins)
			snapshot_settle(t.pid, 5000);
		snapshot_take(&before, t.pid);
		v = through(m, row, &t, &before, why);
		break;
	case READY_SKIP:
		v = SKIP;
		break;
	default:
		v = FAIL;
	}
	snapshot_free(&before);
	target_end(&t, m->keep && v == FAIL);
	if (m->keep && v == FAIL)
		text_add(why, "kept: %s\n", t.dir);
	return v;
}

static void print_verdict(struct matrix *m, const struct row *row, enum verdict v,
			  const struct text *why)
{
	char *copy = strdup(why->at ?: ""), *line, *save = NULL;

	m->nth++;
	if (v == SKIP) {
		copy[strcspn(copy, "\n")] = '\0';
		printf("ok %d %s # SKIP %s\n", m->nth, row->name, copy);
	} else {
		line = v == FAIL ? strtok_r(copy, "\n", &save) : NULL;
		for (int n = 0; line; line = strtok_r(NULL, "\n", &save))
			if (n++ < MAX_NOTES || (line[0] != '-' && line[0] != '+'))
				printf("# %.500s\n", line);
		printf("%s %d %s: %s\n", v == PASS ? "ok" : "not ok", m->nth, row->name, row->text);
	}
	m->failed += v == FAIL;
	fflush(stdout);
	free(copy);
}

static void run_once(struct matrix *m, const struct row *row, int nth)
{
	struct text why = {};
	enum verdict v;
	char seed[32];

	snprintf(seed, sizeof(seed), "%lu", (unsigned long)m->seed + nth);
	setenv("FACTORY_SEED", seed, 1);
	v = run_row(m, row, &why);
	if (v == FAIL && !strncmp(row->name, "random", 6))
		text_add(&why, "seed %s\n", seed);
	print_verdict(m, row, v, &why);
	text_free(&why);
}

static void start_decoder(struct matrix *m)
{
	char command[4096];
	int in[2], out[2];
	pid_t pid;

	snprintf(command, sizeof(command), "%s/selftests/peers/decode", getenv("TOP") ?: ".");
	if (pipe(in) < 0 || pipe(out) < 0)
		err(1, "pipe");
	/* A grandchild, given away: all children that we have are waited for as the target's. */
	pid = fork();
	if (pid == 0) {
		if (fork())
			_exit(0);
		dup2(in[0], 0);
		dup2(out[1], 1);
		for (int i = 0; i < 2; i++) {
			close(in[i]);
			close(out[i]);
		}
		execl(command, command, NULL);
		err(127, "%s", command);
	}
	waitpid(pid, NULL, 0);
	close(in[0]);
	close(out[1]);
	fcntl(in[1], F_SETFD, FD_CLOEXEC);
	fcntl(out[0], F_SETFD, FD_CLOEXEC);
	m->decoder_in = fdopen(in[1], "w");
	m->decoder_out = fdopen(out[0], "r");
}

static int usage(int status)
{
	puts("usage: matrix [--keep] [--crit] DUMP RESTORE [KIND...]\n"
	     "Take kinds of the object factory (all, or those that match a pattern) through a dump\n"
	     "and a restore; DUMP and RESTORE are stasis or criu.\n"
	     "  --keep  leave the folders of failed kinds where they are\n"
	     "  --crit  decode every image with pycriu\n"
	     "  --repeat=N  all of them N times\n"
	     "  --seed=N    for random kinds, one more with each time (0: from the clock)");
	return status;
}

int main(int argc, char **argv)
{
	struct matrix m = {.seed = 1, .repeat = 1};
	bool crit = false;

	for (; argc > 1 && !strncmp(argv[1], "--", 2); argc--, argv++) {
		if (!strcmp(argv[1], "--keep"))
			m.keep = true;
		else if (!strcmp(argv[1], "--crit"))
			crit = true;
		else if (!strncmp(argv[1], "--repeat=", 9))
			m.repeat = atoi(argv[1] + 9);
		else if (!strncmp(argv[1], "--seed=", 7))
			m.seed = strtoull(argv[1] + 7, NULL, 0) ?: (uint64_t)time(NULL);
		else
			return usage(strcmp(argv[1], "--help") ? 2 : 0);
	}
	if (argc < 3)
		return usage(2);
	signal(SIGPIPE, SIG_IGN);
	m.dump = engine_named(argv[1]);
	m.restore = engine_named(argv[2]);
	if (!engine_works(&m.dump) || !engine_works(&m.restore)) {
		printf("1..0 # SKIP %s does not run here\n",
		       engine_works(&m.dump) ? m.restore.name : m.dump.name);
		return 4;
	}
	if (crit)
		start_decoder(&m);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	read_rows(&m, argv + 3);
	qsort(m.rows, m.n_rows, sizeof(*m.rows), by_name);
	printf("TAP version 13\n1..%d\n# first seed %lu\n", m.n_rows * m.repeat,
	       (unsigned long)m.seed);
	for (int i = 0; i < m.n_rows * m.repeat; i++)
		run_once(&m, &m.rows[i % m.n_rows], i / m.n_rows);
	return m.failed ? 1 : 0;
}
