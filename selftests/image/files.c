// SPDX-License-Identifier: GPL-2.0-only
/* Writing and reading image files: sizes, replacement, modes, and disks that fail. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/image.h"
#include "lib/run.h"
#include "model/model.h"

struct state {
	int n, failed;
	bool bad; /* of the running case */
	char folder[64];
	int dir;
	struct error err;
};

#define check(s, cond)                                                                          \
	do {                                                                                    \
		if (!(cond)) {                                                                  \
			printf("# %s:%d: %s (%s)\n", __FILE__, __LINE__, #cond, (s)->err.text); \
			(s)->bad = true;                                                        \
		}                                                                               \
	} while (0)

static uint8_t pattern(size_t i)
{
	return i * 2654435761u >> 13;
}

static uint8_t *bytes(size_t len)
{
	uint8_t *data = malloc(len + 1);

	for (size_t i = 0; i < len; i++)
		data[i] = pattern(i);
	return data;
}

static void put_tty(struct image_writer *w, uint32_t id, size_t len)
{
	TtyDataEntry e = TTY_DATA_ENTRY__INIT;

	e.tty_id = id;
	e.data.data = bytes(len);
	e.data.len = len;
	image_write(w, &e.base);
	free(e.data.data);
}

/* Entries that fit the writer's buffer, just do not, and are far larger than the reader's window.
 */
static void sizes(struct state *s)
{
	static const size_t lengths[] = {0,	1,     100,   65500,  65526,  65527,   65528,
					 65529, 65536, 70000, 262144, 300000, 3000000, 5};
	const size_t n = sizeof(lengths) / sizeof(lengths[0]);
	struct image_writer *w;
	struct image_reader *r;
	ProtobufCMessage *msg;
	TtyDataEntry *e;

	check(s, !image_create(s->dir, IMG_TTY_DATA, 0, &s->err, &w));
	for (size_t i = 0; i < n; i++)
		put_tty(w, i, lengths[i]);
	check(s, !image_close(w));
	check(s, !image_open(s->dir, IMG_TTY_DATA, 0, false, &s->err, &r));
	for (size_t i = 0; i < n; i++) {
		check(s, image_read(r, &msg) == 1);
		e = (TtyDataEntry *)msg;
		check(s, e->tty_id == i && e->data.len == lengths[i]);
		for (size_t b = 0; b < e->data.len; b++)
			if (e->data.data[b] != pattern(b))
				s->bad = true;
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	check(s, image_read(r, &msg) == 0 && !image_left(r));
	image_reader_free(r);
}

/* Raw bytes beside the buffer: read whole, in parts, skipped, and too many asked for. */
static void payloads(struct state *s)
{
	static const size_t lengths[] = {0, 10, 65536, 262143, 500000, 3};
	const size_t n = sizeof(lengths) / sizeof(lengths[0]);
	PipeDataEntry e = PIPE_DATA_ENTRY__INIT;
	uint8_t *data = bytes(500000), *back = malloc(500000);
	ProtobufCMessage *msg;
	struct image_writer *w;
	struct image_reader *r;

	check(s, !image_create(s->dir, IMG_PIPES_DATA, 0, &s->err, &w));
	for (size_t i = 0; i < n; i++) {
		e.bytes = lengths[i];
		image_write(w, &e.base);
		if (i == 4)
			check(s, write(image_writer_fd(w), data, e.bytes) == (ssize_t)e.bytes);
		else
			image_write_raw(w, data, e.bytes);
	}
	check(s, !image_close(w));
	for (int skip = 0; skip < 2; skip++) {
		check(s, !image_open(s->dir, IMG_PIPES_DATA, 0, false, &s->err, &r));
		for (size_t i = 0; i < n; i++) {
			const size_t half = lengths[i] / 2;

			check(s, image_read(r, &msg) == 1);
			check(s, ((PipeDataEntry *)msg)->bytes == lengths[i]);
			protobuf_c_message_free_unpacked(msg, NULL);
			memset(back, 0, lengths[i]);
			check(s, !image_read_raw(r, skip ? NULL : back, half));
			check(s, !image_read_raw(r, skip ? NULL : back + half, lengths[i] - half));
			check(s, skip || !memcmp(back, data, lengths[i]));
		}
		check(s, image_read(r, &msg) == 0);
		check(s, image_read_raw(r, back, 1) == -EBADMSG && s->err.hint[0]);
		error_clear(&s->err);
		image_reader_free(r);
	}
	free(data);
	free(back);
}

static uint32_t read_pid(struct state *s, const char *name)
{
	struct image_reader *r;
	ProtobufCMessage *msg;
	uint32_t pid = 0;

	if (image_open_path(s->dir, name, NULL, false, &s->err, &r))
		return 0;
	if (image_read(r, &msg) == 1) {
		pid = ((PstreeEntry *)msg)->pid;
		protobuf_c_message_free_unpacked(msg, NULL);
	}
	image_reader_free(r);
	return pid;
}

/* What the folder held under that name before is left alone. */
static void replacement(struct state *s)
{
	PstreeEntry e = PSTREE_ENTRY__INIT;
	struct stat st;

	e.pid = 1;
	umask(0);
	check(s, !image_put(s->dir, IMG_PSTREE, 0, &e.base, &s->err));
	check(s, !linkat(s->dir, "pstree.img", s->dir, "older.img", 0));
	check(s, !fchmodat(s->dir, "pstree.img", 0644, 0));
	e.pid = 2;
	check(s, !image_put(s->dir, IMG_PSTREE, 0, &e.base, &s->err));
	check(s, read_pid(s, "older.img") == 1 && read_pid(s, "pstree.img") == 2);
	check(s, !fstatat(s->dir, "pstree.img", &st, 0) && (st.st_mode & 07777) == 0600);
	check(s, !unlinkat(s->dir, "pstree.img", 0));
	check(s, !symlinkat("older.img", s->dir, "pstree.img"));
	check(s, !image_put(s->dir, IMG_PSTREE, 0, &e.base, &s->err));
	check(s, read_pid(s, "older.img") == 1 && read_pid(s, "pstree.img") == 2);
}

static void odd_files(struct state *s)
{
	static const struct {
		const char *name;
		int flags;
	} odd[] = {{"fifo", S_IFIFO}, {"folder", S_IFDIR}, {"socket", S_IFSOCK}};
	struct image_reader *r;

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		if (odd[i].flags == S_IFDIR)
			check(s, !mkdirat(s->dir, odd[i].name, 0700));
		else
			check(s, !mknodat(s->dir, odd[i].name, odd[i].flags | 0600, 0));
		/* Nothing waits for a writer that never comes. */
		check(s, image_open_path(s->dir, odd[i].name, &image_kinds[IMG_FS], true, &s->err,
					 &r) < 0);
		check(s, strstr(s->err.text, odd[i].name));
		error_clear(&s->err);
	}
	check(s, image_open(s->dir, IMG_FS, 9, true, &s->err, &r) == -ENOENT && !s->err.code);
	check(s, image_open(s->dir, IMG_FS, 9, false, &s->err, &r) == -ENOENT && s->err.hint[0]);
	error_clear(&s->err);
}

/* A file that shrinks under its reader is an error, not a signal. */
static void shrinking(struct state *s)
{
	struct image_writer *w;
	struct image_reader *r;
	ProtobufCMessage *msg;
	int ret;

	check(s, !image_create(s->dir, IMG_TTY_DATA, 0, &s->err, &w));
	for (int i = 0; i < 10; i++)
		put_tty(w, i, 100000);
	check(s, !image_close(w));
	check(s, !image_open(s->dir, IMG_TTY_DATA, 0, false, &s->err, &r));
	check(s, !ftruncate(openat(s->dir, "tty-data.img", O_WRONLY), 150000));
	while ((ret = image_read(r, &msg)) == 1)
		protobuf_c_message_free_unpacked(msg, NULL);
	check(s, ret == -EBADMSG && strstr(s->err.text, "shorter"));
	error_clear(&s->err);
	image_reader_free(r);
}

static void names(struct state *s)
{
	char name[64];

	for (int i = 0; i < IMG_COUNT; i++) {
		const struct image_kind *k = &image_kinds[i], *by_name, *by_magic;

		image_name(i, 0xabc, name, sizeof(name));
		by_name = image_kind_of_name(name);
		check(s, by_name && !strcmp(by_name->format, k->format) == (by_name == k));
		check(s, by_name && by_name->entry == k->entry);
		check(s, !k->entry == !k->magic);
		by_magic = k->entry ? image_kind_of_magic(k->head, k->magic) : NULL;
		/* Who shares a magic shares name and message: the magic alone will do. */
		check(s, !k->entry || (by_magic && by_magic->entry == k->entry &&
				       !strcmp(by_magic->id, k->id)));
	}
	check(s, !image_kind_of_name("core-.img") && !image_kind_of_name("core-1x.img"));
	check(s, !image_kind_of_name("xcore-1.img") && !image_kind_of_name("core-1.img.1"));
}

/* The smallest checkpoint there is: one zombie. */
static struct checkpoint *zombie(void)
{
	struct checkpoint *cp = checkpoint_new();
	struct task *t = calloc(1, sizeof(*t));
	struct thread *th = vec_add(&t->threads);

	cp->inventory = calloc(1, sizeof(*cp->inventory));
	inventory_entry__init(cp->inventory);
	cp->inventory->img_version = 2;
	t->msg = calloc(1, sizeof(*t->msg));
	pstree_entry__init(t->msg);
	t->msg->pid = th->tid = 7;
	th->task = t;
	th->core = calloc(1, sizeof(*th->core));
	core_entry__init(th->core);
	th->core->tc = calloc(1, sizeof(*th->core->tc));
	task_core_entry__init(th->core->tc);
	th->core->tc->task_state = TASK_ZOMBIE;
	th->core->tc->comm = strdup("gone");
	checkpoint_add_task(cp, t);
	return cp;
}

/* Save with @blocks of 4 KiB to spare: whole, or an error and no inventory. */
static bool save_in(struct state *s, struct checkpoint *cp, int blocks)
{
	struct run run = {.log = {.fd = -1}};
	struct stat st;
	char options[32];
	bool done;

	snprintf(options, sizeof(options), "size=%dk", 4 * blocks);
	check(s, !mount("none", s->folder, "tmpfs", 0, options));
	run.images_dirfd = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	done = !checkpoint_save(&run, cp);
	check(s, done == !fstatat(run.images_dirfd, "inventory.img", &st, 0));
	check(s, done || (run.err.code == -ENOSPC && run.err.hint[0]));
	close(run.images_dirfd);
	check(s, !umount(s->folder));
	return done;
}

static void full_disk(struct state *s)
{
	struct checkpoint *cp = zombie();
	int blocks = 1;

	while (!s->bad && blocks < 50 && !save_in(s, cp, blocks))
		blocks++;
	/* At least the images after the first did not fit at first. */
	check(s, blocks > 2 && blocks < 50);
	checkpoint_free(cp);
}

static void read_only(struct state *s)
{
	PstreeEntry e = PSTREE_ENTRY__INIT;
	int dir;

	check(s, !mount("none", s->folder, "tmpfs", MS_RDONLY, NULL));
	dir = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	check(s, image_put(dir, IMG_PSTREE, 0, &e.base, &s->err) == -EROFS);
	check(s, strstr(s->err.text, "pstree.img") && s->err.hint[0]);
	error_clear(&s->err);
	close(dir);
	check(s, !umount(s->folder));
}

static void run_case(struct state *s, const char *name, void (*test)(struct state *s), bool mounts)
{
	char command[128];

	s->n++;
	if (mounts && unshare(CLONE_NEWNS)) {
		printf("ok %d %s # SKIP no mount namespace: %s\n", s->n, name, strerror(errno));
		return;
	}
	if (mounts)
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	strcpy(s->folder, "/tmp/stasis-files-XXXXXX");
	if (!mkdtemp(s->folder))
		exit(1);
	s->dir = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	s->bad = false;
	error_clear(&s->err);
	test(s);
	close(s->dir);
	snprintf(command, sizeof(command), "rm -r %s", s->folder);
	check(s, !system(command));
	s->failed += s->bad;
	printf("%sok %d %s\n", s->bad ? "not " : "", s->n, name);
}

int main(void)
{
	struct state s = {};

	run_case(&s, "entries of all sizes", sizes, false);
	run_case(&s, "raw bytes after entries", payloads, false);
	run_case(&s, "what was there is replaced, not overwritten", replacement, false);
	run_case(&s, "what is no regular file, and what is not there", odd_files, false);
	run_case(&s, "a file that shrinks", shrinking, false);
	run_case(&s, "names and magics of all kinds", names, false);
	run_case(&s, "a full disk leaves no checkpoint", full_disk, true);
	run_case(&s, "a read-only folder", read_only, true);
	printf("1..%d\n", s.n);
	return s.failed ? 1 : 0;
}
