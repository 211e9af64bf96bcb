// SPDX-License-Identifier: GPL-2.0-only
/* Text that may be JSON, that may be an image: what can be encoded can be decoded. */
#include "inspect/json.h"
#include "selftests/fuzz/fuzz.h"

static void decode(int fd)
{
	FILE *out = fopen("/dev/null", "we");
	struct error err = {0};
	struct image_reader *r;

	must(out);
	must(!image_reader_new(fd, NULL, "fuzz", &err, &r));
	if (image_to_json(r, DECODE_PRETTY, NULL, &err, out))
		/* The only thing that encoding lets pass: nothing where one entry must be. */
		must(strstr(err.text, "before its first entry"));
	image_reader_free(r);
	fclose(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct image_kind *kind;
	struct error err = {0};
	struct image_writer *w;
	json_object *image;
	char *text = strndup((const char *)data, size);
	size_t entry = 0, lines = 1, i;
	int fd;

	must(text);
	for (i = 0; i < size && data[i]; i++)
		lines += data[i] == '\n';
	if (json_parse("fuzz", text, strlen(text), &err, &image)) {
		must(strncmp(err.text, "fuzz:", 5) == 0);
		free(text);
		return 0;
	}
	if (!json_image_kind(image, &err, &kind) && kind->entry) {
		fd = file_of("", 0);
		must(!image_writer_new(dup(fd), kind, "fuzz", &err, &w));
		if (!image_from_json(image, &err, w, &entry)) {
			must(!image_close(w));
			decode(fd);
		} else {
			must(err.text[0]);
			must(json_line_of_entry(text, entry) <= lines);
			image_close(w);
			close(fd);
		}
	}
	json_object_put(image);
	free(text);
	return 0;
}
