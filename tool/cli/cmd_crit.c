// SPDX-License-Identifier: GPL-2.0-only
/* stasis crit decode|encode|info|show|x: the command line of CRIU's crit. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "inspect/explore.h"
#include "inspect/json.h"
#include "inspect/staged.h"
#include "lib/cleanup.h"

/* As crit exits when it does not understand its command line. */
#define EXIT_MISUSE 2

struct args {
	const char *in, *out; /* NULL: standard input, output */
	bool pretty, nopl, help;
	char **operands;
	int n_operands;
};

static const char usage[] =
	"Usage: stasis crit decode [--pretty] [-i FILE] [-o FILE]\n"
	"       stasis crit encode [-i FILE] [-o FILE]\n"
	"       stasis crit info FILE\n"
	"       stasis crit show [--nopl] FILE\n"
	"       stasis crit x FOLDER ps|fds|mems|rss|sk\n"
	"\n"
	"Look into image files and change them, as CRIU's crit does and in its JSON.\n"
	"\n"
	"  decode   an image as JSON\n"
	"  encode   JSON as an image\n"
	"  info     kind and number of entries of an image, as JSON\n"
	"  show     decode --pretty to standard output\n"
	"  x        a whole checkpoint for people: processes, descriptors, mappings,\n"
	"           pages held, sockets\n"
	"\n"
	"  -i, --in FILE    read FILE instead of standard input\n"
	"  -o, --out FILE   write FILE instead of standard output; a file that is there is\n"
	"                   replaced when everything went well, and only then\n"
	"      --pretty     several lines; addresses, flags and the like in readable form\n"
	"      --nopl       sizes instead of raw contents\n"
	"  -h, --help       this text\n"
	"\n"
	"Raw files (pages, archives) are known by their names; they decode to one entry\n"
	"with the bytes in \"extra\". Fields that this program does not know are kept under\n"
	"\"" JSON_UNKNOWN "\" and encoded again; text that is not UTF-8 is {\"base64\": TEXT}.\n"
	"\n"
	"Exit status: 0 done; 1 failed; 2 the command line makes no sense.\n";

static int print_error(const struct error *err)
{
	fprintf(stderr, "Error: %s\n", err->text);
	if (err->hint[0])
		fprintf(stderr, "Hint: %s\n", err->hint);
	return EXIT_FAILURE;
}

static int misuse(const char *what, const char *arg)
{
	fprintf(stderr, "Error: crit: %s%s%s\nHint: stasis crit --help\n", what, arg ? ": " : "",
		arg ? arg : "");
	return EXIT_MISUSE;
}

/* Bytes that can be read anywhere, whatever the input is: a pipe is taken into memory. */
static int seekable(int fd, const char *name, struct error *err)
{
	struct stat st;
	char buf[65536];
	ssize_t n;
	int copy;

	if (fd < 0 || fstat(fd, &st))
		return fail(err, -errno, "%s: cannot open", name);
	if (S_ISREG(st.st_mode))
		return fd;
	copy = memfd_create("crit", MFD_CLOEXEC);
	if (copy < 0) {
		close(fd);
		return fail(err, -errno, "%s: cannot hold", name);
	}
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		if (write(copy, buf, n) != n) {
			n = -1;
			break;
		}
	if (n < 0) {
		fail(err, -errno, "%s: cannot read", name);
		close(copy);
	}
	close(fd);
	return n < 0 ? err->code : copy;
}

static int open_input(const char *path, struct error *err)
{
	if (!path)
		return seekable(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3), "standard input", err);
	return seekable(open(path, O_RDONLY | O_CLOEXEC), path, err);
}

/* Raw files have no magic: they are what their name says, unless they begin like an image. */
static const struct image_kind *raw_kind(const char *path, int fd)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	const struct image_kind *kind;
	uint32_t magic[2] = {0, 0};

	if (!path)
		return NULL;
	kind = image_kind_of_name(slash ? slash + 1 : path);
	if (!kind || kind->entry)
		return NULL;
	if (pread(fd, magic, sizeof(magic), 0) == sizeof(magic) &&
	    (image_kind_of_magic(HEAD_COMMON, magic[1]) ||
	     image_kind_of_magic(HEAD_NONE, magic[0])))
		return NULL;
	return kind;
}

static int open_image(const char *path, struct error *err, struct image_reader **ret)
{
	const char *name = path ? path : "standard input";
	int fd = open_input(path, err);

	if (fd < 0)
		return fd;
	return image_reader_new(fd, raw_kind(path, fd), name, err, ret);
}

static int decode(const struct args *a)
{
	const int flags = (a->pretty ? DECODE_PRETTY : 0) | (a->nopl ? DECODE_NO_PAYLOAD : 0);
	struct error err = {0};
	struct image_reader *r;
	struct staged out;

	if (open_image(a->in, &err, &r))
		return print_error(&err);
	if (!staged_open(&out, a->out, &err)) {
		if (image_to_json(r, flags, stderr, &err, out.file)) {
			staged_close(&out);
		} else {
			if (!a->out)
				fputc('\n', out.file);
			staged_commit(&out, &err);
		}
	}
	image_reader_free(r);
	return err.code ? print_error(&err) : EXIT_SUCCESS;
}

/* The whole text of @fd. */
static int read_text(int fd, const char *name, struct error *err, char **ret, size_t *ret_len)
{
	struct stat st;
	char *text;
	size_t len = 0;
	ssize_t n = 0;

	if (fstat(fd, &st))
		return fail(err, -errno, "%s: cannot stat", name);
	text = malloc(st.st_size + 1);
	if (!text)
		return fail(err, -ENOMEM, "%s: cannot hold", name);
	while (len < (size_t)st.st_size && (n = pread(fd, text + len, st.st_size - len, len)) > 0)
		len += n;
	if (n < 0) {
		free(text);
		return fail(err, -errno, "%s: cannot read", name);
	}
	text[len] = 0;
	*ret = text;
	*ret_len = len;
	return 0;
}

/* JSON that is being encoded. */
struct source {
	const char *name;
	char *text;
	json_object *image;
};

static int read_json(const char *path, struct error *err, struct source *s)
{
	_cleanup_close_ int fd = open_input(path, err);
	size_t len = 0;
	int code;

	s->name = path ? path : "standard input";
	if (fd < 0)
		return fd;
	code = read_text(fd, s->name, err, &s->text, &len);
	return code ? code : json_parse(s->name, s->text, len, err, &s->image);
}

/* What is wrong with the contents is found in the tree: say where that was in the text. */
static int blame(const struct source *s, struct error *err, const size_t *entry)
{
	struct error found = *err;

	if (found.code != -EINVAL)
		return found.code;
	error_clear(err);
	if (entry)
		fail_text(err, found.code, "%s:%zu: %.600s", s->name,
			  json_line_of_entry(s->text, *entry), found.text);
	else
		fail_text(err, found.code, "%s: %.600s", s->name, found.text);
	return err->code;
}

static int write_image(const struct source *s, struct staged *out, struct error *err)
{
	const struct image_kind *kind;
	struct image_writer *w;
	int ret = json_image_kind(s->image, err, &kind), fd;
	size_t entry = 0;

	if (ret)
		return blame(s, err, NULL);
	fd = fcntl(fileno(out->file), F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return fail(err, -errno, "cannot write");
	ret = image_writer_new(fd, kind, out->path ? out->path : "standard output", err, &w);
	if (ret)
		return ret;
	ret = image_from_json(s->image, err, w, &entry);
	if (ret)
		ret = blame(s, err, &entry);
	return image_close(w) ?: ret;
}

static int encode(const struct args *a)
{
	struct error err = {0};
	struct source s = {0};
	struct staged out;

	if (!read_json(a->in, &err, &s) && !staged_open(&out, a->out, &err)) {
		if (write_image(&s, &out, &err))
			staged_close(&out);
		else
			staged_commit(&out, &err);
	}
	json_object_put(s.image);
	free(s.text);
	return err.code ? print_error(&err) : EXIT_SUCCESS;
}

static int info(const struct args *a)
{
	struct error err = {0};
	struct image_reader *r;
	uint64_t n;

	if (open_image(a->operands[0], &err, &r))
		return print_error(&err);
	if (!image_count(r, &n))
		printf("{\n    \"magic\": \"%s\",\n    \"count\": %" PRIu64 "\n}\n",
		       image_reader_kind(r)->id, n);
	image_reader_free(r);
	return err.code ? print_error(&err) : EXIT_SUCCESS;
}

static int show(const struct args *a)
{
	struct args as_decode = *a;

	as_decode.in = a->operands[0];
	as_decode.pretty = true;
	return decode(&as_decode);
}

static int explore_folder(const struct args *a)
{
	struct error err = {0};

	if (!explore_knows(a->operands[1]))
		return misuse("x shows ps, fds, mems, rss or sk, not", a->operands[1]);
	if (explore(a->operands[0], a->operands[1], &err, stdout))
		return print_error(&err);
	return EXIT_SUCCESS;
}

static const struct {
	const char *name, *options; /* letters of parse() */
	int n_operands;
	int (*run)(const struct args *a);
} verbs[] = {
	{"decode", "iop", 0, decode}, {"encode", "io", 0, encode},  {"info", "", 1, info},
	{"show", "n", 1, show},	      {"x", "", 2, explore_folder},
};

static int parse(int argc, char **argv, const char *allowed, struct args *a)
{
	static const struct option longs[] = {
		{"in", required_argument, NULL, 'i'}, {"out", required_argument, NULL, 'o'},
		{"pretty", no_argument, NULL, 'p'},   {"nopl", no_argument, NULL, 'n'},
		{"help", no_argument, NULL, 'h'},     {0},
	};
	int c;

	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":hi:o:", longs, NULL)) != -1) {
		if (c == ':')
			return misuse("option needs a value", argv[optind - 1]);
		if (c != 'h' && !strchr(allowed, c))
			return misuse("unknown option here", argv[optind - 1]);
		switch (c) {
		case 'i':
			a->in = optarg;
			break;
		case 'o':
			a->out = optarg;
			break;
		case 'p':
			a->pretty = true;
			break;
		case 'n':
			a->nopl = true;
			break;
		default:
			a->help = true;
		}
	}
	a->operands = argv + optind;
	a->n_operands = argc - optind;
	return 0;
}

int cmd_crit(int argc, char **argv)
{
	struct args a = {0};
	int ret;

	if (argc > 1 && !strcmp(argv[1], "--version")) {
		puts("stasis " STASIS_VERSION);
		return EXIT_SUCCESS;
	}
	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		fputs(usage, stdout);
		return EXIT_SUCCESS;
	}
	for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(argv[1], verbs[i].name))
			continue;
		ret = parse(argc - 1, argv + 1, verbs[i].options, &a);
		if (ret)
			return ret;
		if (a.help) {
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		}
		if (a.n_operands != verbs[i].n_operands)
			return misuse("wrong number of operands for", verbs[i].name);
		return verbs[i].run(&a);
	}
	return misuse(argc > 1 ? "no such command"
			       : "a command is needed: decode, encode, info, "
				 "show or x",
		      argc > 1 ? argv[1] : NULL);
}
