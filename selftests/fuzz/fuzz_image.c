// SPDX-License-Identifier: GPL-2.0-only
/*
 * An image of any kind, by its magic: decoded, encoded and decoded again, it
 * says the same. Errors are fine if they name an offset.
 */
#include "inspect/json.h"
#include "selftests/fuzz/fuzz.h"

/* Decode @fd (taken over); the text, or NULL when it is no image. */
static char *decode(int fd, int flags, size_t *len)
{
	struct error err = {0};
	struct image_reader *r;
	char *text = NULL;
	FILE *out;

	if (image_reader_new(fd, NULL, "fuzz", &err, &r)) {
		must(err.code && err.text[0]);
		return NULL;
	}
	out = open_memstream(&text, len);
	must(out);
	if (image_to_json(r, flags, NULL, &err, out)) {
		must(err.code && err.text[0]);
		fclose(out);
		free(text);
		text = NULL;
	} else {
		fclose(out);
	}
	image_reader_free(r);
	return text;
}

static int encode(const char *text, size_t len)
{
	const struct image_kind *kind;
	struct error err = {0};
	struct image_writer *w;
	json_object *image;
	size_t entry;
	int fd = file_of("", 0);

	must(!json_parse("fuzz", text, len, &err, &image));
	must(!json_image_kind(image, &err, &kind));
	must(!image_writer_new(dup(fd), kind, "fuzz", &err, &w));
	/* An image without the entry that its kind must have decodes, if at all, to an error. */
	if (image_from_json(image, &err, w, &entry))
		fprintf(stderr, "%s\n", err.text);
	must(!err.code);
	must(!image_close(w));
	json_object_put(image);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const int flags = size && data[size - 1] & 1 ? DECODE_PRETTY : 0;
	struct error err = {0};
	struct image_reader *r;
	size_t len, again_len;
	uint64_t n;
	char *text, *again;

	if (!image_reader_new(file_of(data, size), NULL, "fuzz", &err, &r)) {
		image_count(r, &n);
		image_reader_free(r);
	}
	text = decode(file_of(data, size), flags, &len);
	if (!text)
		return 0;
	again = decode(encode(text, len), flags, &again_len);
	must(again && len == again_len && !memcmp(text, again, len));
	free(again);
	free(text);
	text = decode(file_of(data, size), DECODE_PRETTY | DECODE_NO_PAYLOAD, &len);
	free(text);
	return 0;
}
