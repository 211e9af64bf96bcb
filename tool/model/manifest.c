// SPDX-License-Identifier: GPL-2.0-only
#include "model/manifest.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "image/image.h"
#include "lib/cleanup.h"
#include "lib/run.h"
#include "model/check.h"

static void forget(InventoryEntry *inventory)
{
	for (size_t i = 0; i < inventory->n_images; i++)
		protobuf_c_message_free_unpacked(&inventory->images[i]->base, NULL);
	free(inventory->images);
	inventory->images = NULL;
	inventory->n_images = 0;
}

/* Files that grow or shrink by whole entries: the others cannot be cut unnoticed. */
static bool has_many(const struct image_kind *kind)
{
	return kind && kind->entry && (!kind->once || kind->payload == PAYLOAD_GHOST);
}

static int count_entries(struct run *run, const char *name, const struct image_kind *kind,
			 uint64_t *ret)
{
	struct image_reader *r;
	int code = image_open_path(run->images_dirfd, name, kind, false, &run->err, &r);

	if (code)
		return code;
	code = image_count(r, ret);
	image_reader_free(r);
	return code;
}

static int fill(struct run *run, ImageFile *e, const char *name)
{
	const struct image_kind *kind = image_kind_of_name(name);
	struct stat st;

	e->name = strdup(name);
	if (!e->name)
		return fail(&run->err, -ENOMEM, "image inventory.img: list of images");
	if (fstatat(run->images_dirfd, name, &st, AT_SYMLINK_NOFOLLOW))
		return fail(&run->err, -errno, "image %s: cannot stat", name);
	e->size = st.st_size;
	if (!has_many(kind))
		return 0;
	e->has_entries = true;
	return count_entries(run, name, kind, &e->entries);
}

static bool belongs(const struct dirent *d)
{
	const size_t len = strlen(d->d_name);

	return len > 4 && !strcmp(d->d_name + len - 4, ".img") &&
	       strcmp(d->d_name, image_kinds[IMG_INVENTORY].format) &&
	       (d->d_type == DT_REG || d->d_type == DT_UNKNOWN);
}

typedef VEC(ImageFile *) entry_vec;

static int add(struct run *run, entry_vec *list, const char *name)
{
	ImageFile *e = malloc(sizeof(*e));

	if (e)
		image_file__init(e);
	if (!e || vec_push(list, e)) {
		free(e);
		return fail(&run->err, -ENOMEM, "image inventory.img: list of images");
	}
	return fill(run, e, name);
}

static int compare_names(const void *a, const void *b)
{
	const ImageFile *x = *(ImageFile *const *)a, *y = *(ImageFile *const *)b;

	return strcmp(x->name, y->name);
}

int manifest_make(struct run *run, InventoryEntry *inventory)
{
	const int fd = openat(run->images_dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	entry_vec list = {};
	struct dirent *d;
	int ret = 0;

	forget(inventory);
	if (!dir) {
		ret = -errno;
		if (fd >= 0)
			close(fd);
		return fail(&run->err, ret, "images folder: cannot read");
	}
	while (!ret && (d = readdir(dir)))
		if (belongs(d))
			ret = add(run, &list, d->d_name);
	if (!ret)
		vec_sort(&list, compare_names);
	inventory->images = list.at;
	inventory->n_images = list.n;
	return ret;
}

static int not_whole(struct run *run, const ImageFile *e, const char *unit, uint64_t is,
		     uint64_t was)
{
	fail_text(&run->err, -EBADMSG, "image %s: %" PRIu64 " %s, %" PRIu64 " at the dump", e->name,
		  is, unit, was);
	return fail_hint(&run->err, "copy it again from where it is whole; if it was changed on "
				    "purpose, correct 'images' in inventory.img (stasis crit)");
}

/* Another size: edited with crit, or cut? Images of one entry tell by themselves. */
static int check_size(struct run *run, const ImageFile *e, uint64_t size)
{
	const struct image_kind *kind = image_kind_of_name(e->name);
	uint64_t n;
	int ret;

	if (size == e->size)
		return 0;
	if (!kind || !kind->entry)
		return not_whole(run, e, "bytes", size, e->size);
	if (!e->has_entries || !has_many(kind))
		return 0;
	ret = count_entries(run, e->name, kind, &n);
	return ret || n == e->entries ? ret : not_whole(run, e, "entries", n, e->entries);
}

int manifest_check(struct run *run, const InventoryEntry *inventory)
{
	struct stat st;
	int ret = 0;

	for (size_t i = 0; !ret && i < inventory->n_images; i++) {
		const ImageFile *e = inventory->images[i];

		if (!e->name[0] || strchr(e->name, '/'))
			return bad_image(run, "inventory.img: image '%.64s'", e->name);
		if (fstatat(run->images_dirfd, e->name, &st, 0)) {
			fail(&run->err, -errno, "image %s", e->name);
			return fail_hint(&run->err, "it belongs to the checkpoint: copy it again "
						    "from where it is whole");
		}
		ret = check_size(run, e, st.st_size);
	}
	return ret;
}
