// SPDX-License-Identifier: GPL-2.0-only
#include "resource/ghost.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "image/image.h"
#include "lib/cleanup.h"
#include "lib/run.h"
#include "resource/ghost_parts.h"
#include "resource/reg.h"

/* remap_id of images before remap_type: this bit says ghost. */
#define OLD_GHOST_BIT (1u << 31)
#define NAME_TRIES    10000

const char *ghost_path(const struct ghost *g, const char *name, bool by_name)
{
	struct ghost_alias *a;

	vec_for_each (&g->aliases, a) {
		if (strcmp(a->name, name))
			continue;
		a->by_name |= by_name;
		return by_name || !a->entrance ? ghost_alias_path(a) : a->entrance;
	}
	return name;
}

void ghost_put(struct ghost *g)
{
	struct ghost_alias *a;
	char **f;

	if (!g || --g->refs)
		return;
	vec_for_each (&g->aliases, a) {
		free(a->path);
		free(a->entrance);
		if (a->door >= 0)
			close(a->door);
	}
	vec_for_each (&g->folders, f)
		free(*f);
	vec_free(&g->aliases);
	vec_free(&g->folders);
	if (g->contents >= 0)
		close(g->contents);
	free(g);
}

/* --- loading ------------------------------------------------------------ */

/*
 * How much of @name is taken: all of it by another file, or the beginning by
 * something that is no folder. 0: it is free.
 */
static size_t taken(const char *name)
{
	char part[PATH_MAX];
	const char *slash;
	struct stat st;
	size_t len;

	for (slash = strchr(name + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		len = slash - name;
		if (len >= sizeof(part))
			return 0;
		memcpy(part, name, len);
		part[len] = 0;
		if (stat(part, &st))
			return 0;
		if (!S_ISDIR(st.st_mode))
			return len;
	}
	return lstat(name, &st) ? 0 : strlen(name);
}

int ghost_place(struct ghost_alias *a, uint32_t id)
{
	int len = taken(a->name), n;
	struct stat st;

	free(a->path);
	a->path = NULL;
	/* Another file has the name now: it stays untouched, the ghost gets one beside it. */
	for (n = 0; len && n < NAME_TRIES; n++) {
		if ((n ? asprintf(&a->path, "%.*s.stasis-%x.%d", len, a->name, id, n)
		       : asprintf(&a->path, "%.*s.stasis-%x", len, a->name, id)) < 0) {
			a->path = NULL;
			return -ENOMEM;
		}
		if (lstat(a->path, &st))
			return 0;
		free(a->path);
		a->path = NULL;
	}
	return len ? -EEXIST : 0;
}

bool ghost_can_spare(int fd)
{
	struct rlimit limit;

	return !getrlimit(RLIMIT_NOFILE, &limit) && (rlim_t)fd < limit.rlim_cur / 2;
}

/*
 * The way in for tasks: /proc/PID/fd of ours. Only root may look there without
 * asking who else may; without a descriptor to spare the ghost keeps its name for longer.
 */
static int make_door(struct ghost_alias *a)
{
	char self[16] = "";

	a->door = -1;
	if (geteuid() || readlink("/proc/self", self, sizeof(self) - 1) <= 0)
		return 0;
	a->door = open("/", O_PATH | O_CLOEXEC);
	if (a->door >= 0 && !ghost_can_spare(a->door)) {
		close(a->door);
		a->door = -1;
	}
	if (a->door >= 0 && asprintf(&a->entrance, "/proc/%s/fd/%d", self, a->door) < 0) {
		a->entrance = NULL;
		return -ENOMEM;
	}
	return 0;
}

static int add_alias(struct ghost *g, const char *name, uint32_t id)
{
	struct ghost_alias *a;
	int ret;

	vec_for_each (&g->aliases, a)
		if (!strcmp(a->name, name))
			return 0;
	a = vec_add(&g->aliases);
	if (!a)
		return -ENOMEM;
	a->name = name;
	ret = make_door(a);
	return ret ? ret : ghost_place(a, id);
}

static struct ghost *find_ghost(struct checkpoint *cp, uint32_t id, bool linked)
{
	struct file **f;

	vec_for_each (&cp->files, f) {
		struct reg *r = (*f)->msg->type == FD_TYPES__REG ? (*f)->data : NULL;

		if (r && r->ghost && r->ghost->id == id && r->ghost->linked == linked)
			return r->ghost;
	}
	return NULL;
}

static int bad_remap(struct run *run, const RemapFilePathEntry *e)
{
	fail_text(&run->err, -EBADMSG, "image remap-fpath.img: file id %u, remapped to %u",
		  e->orig_id, e->remap_id);
	return fail_hint(&run->err, "the checkpoint is damaged; dump again");
}

static int link_ghost(struct run *run, struct checkpoint *cp, const RemapFilePathEntry *e)
{
	bool linked = e->has_remap_type ? e->remap_type == REMAP_TYPE__LINKED
					: !(e->remap_id & OLD_GHOST_BIT);
	uint32_t id = e->has_remap_type ? e->remap_id : e->remap_id & ~OLD_GHOST_BIT;
	struct file *f = checkpoint_file(cp, e->orig_id), *source = NULL;
	struct reg *r;
	int ret;

	if (!f || !f->msg->reg)
		return bad_remap(run, e);
	if (e->has_remap_type && e->remap_type == REMAP_TYPE__PROCFS) {
		fail_text(&run->err, -EOPNOTSUPP, "file %s: of a process that is gone",
			  f->msg->reg->name);
		return fail_hint(&run->err, "restore it with criu");
	}
	if (linked) {
		source = checkpoint_file(cp, id);
		if (!source || !source->msg->reg)
			return bad_remap(run, e);
	}
	r = reg_of(cp, f);
	if (!r)
		return fail(&run->err, -ENOMEM, "deleted files");
	if (r->ghost)
		return bad_remap(run, e);
	r->ghost = find_ghost(cp, id, linked);
	if (!r->ghost) {
		r->ghost = calloc(1, sizeof(*r->ghost));
		if (!r->ghost)
			return fail(&run->err, -ENOMEM, "deleted files");
		r->ghost->contents = -1;
	}
	r->ghost->id = id;
	r->ghost->linked = linked;
	r->ghost->source = source ? source->msg->reg->name : NULL;
	r->ghost->refs++;
	if (f->msg->reg->name[0] != '/')
		return bad_remap(run, e);
	ret = add_alias(r->ghost, f->msg->reg->name, id);
	return ret ? fail(&run->err, ret, "a name for deleted file %s", f->msg->reg->name) : 0;
}

int ghosts_load(struct run *run, struct checkpoint *cp)
{
	struct image_reader *r;
	ProtobufCMessage *msg;
	int ret = image_open(run->images_dirfd, IMG_REMAP_FPATH, 0, true, &run->err, &r);

	if (ret)
		return ret == -ENOENT && !run->err.code ? 0 : ret;
	while ((ret = image_read(r, &msg)) == 1) {
		ret = link_ghost(run, cp, (RemapFilePathEntry *)msg);
		protobuf_c_message_free_unpacked(msg, NULL);
		if (ret)
			break;
	}
	image_reader_free(r);
	return ret;
}

/* --- all of them -------------------------------------------------------- */

static int compare_depth(const void *a, const void *b)
{
	const struct ghost *const *x = a, *const *y = b;

	return strcmp((*x)->aliases.at[0].name, (*y)->aliases.at[0].name);
}

int ghosts_list(struct checkpoint *cp)
{
	size_t i, j;

	for (i = 0; i < cp->files.n; i++) {
		struct file *f = cp->files.at[i];
		struct reg *r = f->msg->type == FD_TYPES__REG ? f->data : NULL;

		if (!r || !r->ghost)
			continue;
		for (j = 0; j < cp->ghosts.n && cp->ghosts.at[j] != r->ghost; j++)
			;
		if (j == cp->ghosts.n && vec_push(&cp->ghosts, r->ghost))
			return -ENOMEM;
	}
	vec_sort(&cp->ghosts, compare_depth);
	return 0;
}
