// SPDX-License-Identifier: GPL-2.0-only
#include "inspect/explore.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "inspect/encoding.h"
#include "inspect/fields.h"
#include "lib/run.h"

static int depth_of(const struct task *t)
{
	int depth = 0;

	while ((t = t->parent))
		depth++;
	return depth;
}

static int explore_ps(struct run *run, const struct checkpoint *cp, FILE *out)
{
	struct task **t;

	fprintf(out, "%7s%7s%7s   %s\n", "PID", "PGID", "SID", "COMM");
	vec_for_each (&cp->tasks, t)
		fprintf(out, "%7u%7u%7u   %*s%s\n", (*t)->msg->pid, (*t)->msg->pgid, (*t)->msg->sid,
			4 * depth_of(*t), "", task_core(*t)->tc->comm);
	return 0;
}

static void print_unix(FILE *out, const UnixSkEntry *e)
{
	size_t n;
	char *name = quoted_encode(e->name.data, e->name.len, &n);

	fprintf(out, "unix[%u (%u)%s%s]", e->ino, e->peer, e->name.len ? " " : "",
		name ? name : "?");
	free(name);
}

void explore_file(FILE *out, const struct file *f)
{
	const FileEntry *e = f->msg;
	char name[16];

	if (e->type == FD_TYPES__REG && e->reg)
		fputs(e->reg->name, out);
	else if (e->type == FD_TYPES__UNIXSK && e->usk)
		print_unix(out, e->usk);
	else if (e->type == FD_TYPES__PIPE && e->pipe)
		fprintf(out, "pipe[%u]", e->pipe->pipe_id);
	else
		fprintf(out, "%s.%u", file_type_name(e->type, name), e->id);
}

static void print_use(FILE *out, const char *what, const struct file *f)
{
	fprintf(out, "\t%7s: ", what);
	explore_file(out, f);
	fputc('\n', out);
}

static int explore_fds(struct run *run, const struct checkpoint *cp, FILE *out)
{
	struct task **t;
	struct fd *fd;
	char number[16];

	vec_for_each (&cp->tasks, t) {
		if (!(*t)->fdtable)
			continue; /* a zombie */
		fprintf(out, "%u\n", (*t)->msg->pid);
		vec_for_each (&(*t)->fdtable->fds, fd) {
			snprintf(number, sizeof(number), "%u", fd->msg->fd);
			print_use(out, number, fd->file);
		}
		print_use(out, "cwd", (*t)->cwd);
		print_use(out, "root", (*t)->root);
	}
	return 0;
}

static void print_address(FILE *out, const uint32_t *words, size_t n, uint32_t port)
{
	char text[FIELD_TEXT_MAX] = "?";

	if (n == 1 || n == 4)
		address_to_text(words, n, text);
	fprintf(out, n == 4 ? "[%s]:%u" : "%s:%u", text, port);
}

static void print_inet(FILE *out, const InetSkEntry *e)
{
	const ProtobufCMessageDescriptor *d = e->base.descriptor;
	char family[FIELD_TEXT_MAX], proto[FIELD_TEXT_MAX], state[FIELD_TEXT_MAX];

	field_show(d, "family", e->family, family);
	field_show(d, "proto", e->proto, proto);
	field_show(d, "state", e->state, state);
	fprintf(out, "%s %s %s ", family, proto, state);
	print_address(out, e->src_addr, e->n_src_addr, e->src_port);
	if (e->dst_port) {
		fputs(" -> ", out);
		print_address(out, e->dst_addr, e->n_dst_addr, e->dst_port);
	}
}

static void print_unix_socket(FILE *out, const UnixSkEntry *e)
{
	const ProtobufCMessageDescriptor *d = e->base.descriptor;
	char type[FIELD_TEXT_MAX], state[FIELD_TEXT_MAX];

	field_show(d, "type", e->type, type);
	field_show(d, "state", e->state, state);
	fprintf(out, "UNIX %s %s ", type, state);
	print_unix(out, e);
}

/* False for what is no socket. */
static bool print_socket(FILE *out, int fd, const FileEntry *e)
{
	char type[FIELD_TEXT_MAX];

	if (!e->isk && !e->usk && !e->nlsk && !e->psk)
		return false;
	fprintf(out, "\t%7d: ", fd);
	if (e->isk) {
		print_inet(out, e->isk);
	} else if (e->usk) {
		print_unix_socket(out, e->usk);
	} else if (e->nlsk) {
		fprintf(out, "NETLINK protocol %u port %u", e->nlsk->protocol, e->nlsk->portid);
	} else {
		field_show(&inet_sk_entry__descriptor, "type", e->psk->type, type);
		fprintf(out, "PACKET %s protocol 0x%04x interface %u", type, e->psk->protocol,
			e->psk->ifindex);
	}
	fputc('\n', out);
	return true;
}

static int explore_sk(struct run *run, const struct checkpoint *cp, FILE *out)
{
	struct task **t;
	struct fd *fd;

	vec_for_each (&cp->tasks, t) {
		if (!(*t)->fdtable)
			continue;
		fprintf(out, "%u\n", (*t)->msg->pid);
		vec_for_each (&(*t)->fdtable->fds, fd)
			print_socket(out, fd->msg->fd, fd->file->msg);
	}
	return 0;
}

static const struct {
	const char *name;
	int (*print)(struct run *run, const struct checkpoint *cp, FILE *out);
} views[] = {
	{"ps", explore_ps},   {"fds", explore_fds}, {"mems", explore_mems},
	{"rss", explore_rss}, {"sk", explore_sk},
};

static int view_of(const char *what)
{
	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
		if (!strcmp(views[i].name, what))
			return i;
	return -1;
}

bool explore_knows(const char *what)
{
	return view_of(what) >= 0;
}

int explore(const char *folder, const char *what, struct error *err, FILE *out)
{
	struct run run = {.work_dirfd = -1, .log = {.fd = -1}};
	struct checkpoint *cp;
	const int view = view_of(what);
	int ret;

	if (view < 0)
		return fail_text(err, -EINVAL, "'%s' is none of ps, fds, mems, rss, sk", what);
	run.images_dirfd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (run.images_dirfd < 0)
		return fail(err, -errno, "%s: cannot open", folder);
	ret = checkpoint_look(&run, &cp);
	if (!ret) {
		ret = views[view].print(&run, cp, out);
		checkpoint_free(cp);
	}
	close(run.images_dirfd);
	if (ret)
		*err = run.err;
	return ret;
}
