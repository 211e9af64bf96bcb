// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptors and the files that tasks name otherwise (mapped, cwd, root, exe).
 *
 * Two descriptors are the same description when kcmp(2) says so. It is asked
 * only within groups of equal device, inode, flags and position.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <search.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dump/state.h"
#include "lib/cleanup.h"
#include "lib/outside.h"
#include "lib/parallel.h"

struct node {
	uint64_t dev, ino, pos;
	uint32_t flags;
	pid_t pid;
	int fd; /* -1: known by inode alone */
	struct file *file;
};

#define ORDER(a, b) ((a) < (b) ? -1 : (a) > (b))

static int by_inode(const void *pa, const void *pb)
{
	const struct node *a = pa, *b = pb;
	int order = ORDER(a->ino, b->ino);

	return order ? order : ORDER(a->dev, b->dev);
}

static int by_description(const void *pa, const void *pb)
{
	const struct node *a = pa, *b = pb;
	int order = by_inode(a, b);

	if (!order)
		order = ORDER(a->flags, b->flags);
	if (!order)
		order = ORDER(a->pos, b->pos);
	if (!order) {
		order = syscall(SYS_kcmp, a->pid, b->pid, KCMP_FILE, a->fd, b->fd);
		order = order == 1 ? -1 : order;
	}
	return order;
}

void dump_files_free(struct dump_files *f)
{
	tdestroy(f->by_description, free);
	tdestroy(f->by_inode, free);
	memset(f, 0, sizeof(*f));
}

/* Ask the kinds in their order whose this is, and let that one fill the message. */
static int collect(struct dump *d, const struct fd_probe *p, struct file *f)
{
	const struct resource *const *r;
	int ret;

	f->msg = malloc(sizeof(*f->msg));
	if (!f->msg)
		return fail(&d->run->err, -ENOMEM, "task %d: keep a file", p->pid);
	file_entry__init(f->msg);
	f->msg->id = f->id;
	for (r = resources; *r; r++) {
		if (!(*r)->match || !(*r)->match(p))
			continue;
		file_is(f, *r);
		f->msg->type = (*r)->type;
		ret = (*r)->collect(&d->collect, p, f);
		if (!ret)
			log_debug(&d->run->log, "File %#x: %s %s (task %d, descriptor %d)", f->id,
				  (*r)->name, p->link, p->pid, p->fd);
		return ret;
	}
	return refuse_probe(&d->collect, p, "of a kind that is not supported yet",
			    "close it before the dump; stasis(8) lists what is supported");
}

/* Is it one that --external leaves out? */
static void probe_external(struct dump *d, struct fd_probe *p)
{
	const struct outside *o = NULL;
	char name[OUTSIDE_NAME_MAX];
	struct statx sx;

	p->external = NULL;
	if (!outside_has(d->run->outsides, "file[") ||
	    statx(p->local, "", AT_EMPTY_PATH, STATX_MNT_ID, &sx) || !(sx.stx_mask & STATX_MNT_ID))
		return;
	outside_file_name(name, sx.stx_mnt_id, p->st.st_ino);
	o = outside_find(d->run->outsides, name);
	if (o)
		p->external = o->name;
}

static int new_file(struct dump *d, struct fd_probe *p, struct file **ret)
{
	struct file *f = calloc(1, sizeof(*f));
	int err;

	if (!f)
		return fail(&d->run->err, -ENOMEM, "task %d: keep a file", p->pid);
	f->id = ++d->collect.last_file_id;
	f->holder_pid = p->pid;
	f->holder_fd = p->fd;
	probe_external(d, p);
	err = collect(d, p, f);
	if (!err && checkpoint_add_file(d->cp, f))
		err = fail(&d->run->err, -ENOMEM, "task %d: keep a file", p->pid);
	if (err) {
		if (f->msg)
			file_entry__free_unpacked(f->msg, NULL);
		free(f);
		return err;
	}
	*ret = f;
	return 0;
}

/* The node that equals @like, put into @tree on first sight (then file is NULL). */
static struct node *find_node(void **tree, const struct node *like,
			      int (*compare)(const void *, const void *))
{
	struct node *n = malloc(sizeof(*n)), **found;

	if (!n)
		return NULL;
	*n = *like;
	found = tsearch(n, tree, compare);
	if (!found || *found != n)
		free(n);
	return found ? *found : NULL;
}

/* The type of the file system matters only where the name does not tell the kind. */
static void probe_fs(struct fd_probe *p)
{
	size_t len = strlen(p->link), tail = strlen(" (deleted)");
	struct statfs sfs;

	p->fstype = 0;
	if ((S_ISFIFO(p->st.st_mode) || p->st.st_nlink == 0 ||
	     (len > tail && !strcmp(p->link + len - tail, " (deleted)"))) &&
	    !fstatfs(p->local, &sfs))
		p->fstype = sfs.f_type;
}

/*
 * What a descriptor needs on first sight only. The name is read of our copy: its
 * number is nearly always the same, so the kernel makes no new entry of /proc for it.
 */
static int read_name(const struct dump *d, struct fd_probe *p)
{
	char path[32];

	snprintf(path, sizeof(path), "%d", p->local);
	return proc_link(d->own_fds, path, p->link, sizeof(p->link));
}

static int probe_new(struct dump *d, struct dump_task *dt, struct fd_probe *p, char **fdinfo)
{
	char path[32];
	int ret = p->link[0] ? 0 : read_name(d, p);

	if (ret)
		return fail(&d->run->err, ret, "task %d: read the name of descriptor %d", dt->pid,
			    p->fd);
	probe_fs(p);
	if (p->link[0] == '/')
		return 0;
	/* Kinds without a path tell of themselves in fdinfo. */
	snprintf(path, sizeof(path), "fdinfo/%d", p->fd);
	ret = proc_read_record(dt->procfd, path, fdinfo);
	if (ret < 0)
		return fail(&d->run->err, ret, "task %d: read %s", dt->pid, path);
	p->fdinfo = *fdinfo;
	return 0;
}

static int collect_fd(struct dump *d, struct dump_task *dt, struct fd_probe *p, struct file **ret)
{
	_cleanup_free_ char *fdinfo = NULL;
	int err;

	p->fdinfo = "";
	err = probe_new(d, dt, p, &fdinfo);
	return err ? err : new_file(d, p, ret);
}

/*
 * Our own copy of the descriptor tells most of it without a look into /proc. -EBADF: there
 * is none of this number.
 */
static int probe_copy(const struct dump_task *dt, struct fd_probe *p)
{
	off_t pos;
	int flags;

	p->local = syscall(SYS_pidfd_getfd, dt->pidfd, p->fd, 0);
	if (p->local < 0)
		return -errno;
	flags = fcntl(p->local, F_GETFL);
	if (flags < 0 || fstat(p->local, &p->st))
		return errno == EBADF ? -EIO : -errno;
	p->flags = flags;
	pos = lseek(p->local, 0, SEEK_CUR);
	p->pos = pos < 0 ? 0 : pos;
	return 0;
}

/* A table while its descriptors are collected. */
struct reading {
	struct dump *d;
	struct dump_task *dt;
	struct fdtable *table;
	size_t n;		 /* how many there are */
	VEC(uint64_t) inodes;	 /* of the descriptors in the table */
	struct fd_probe *probes; /* of large tables, see below */
};

/* The table gets a descriptor of which we have a copy. */
static int add_probe(struct reading *r, struct fd_probe *p)
{
	struct dump *d = r->d;
	const struct node like = {p->st.st_dev, p->st.st_ino, p->pos, p->flags,
				  p->pid,	p->fd,	      NULL};
	struct node *n = find_node(&d->files.by_description, &like, by_description);
	struct fd entry = {};
	int ret = 0;

	if (!n || vec_push(&r->inodes, p->st.st_ino))
		return fail(&d->run->err, -ENOMEM, "task %d: keep descriptor %d", p->pid, p->fd);
	if (!n->file)
		ret = collect_fd(d, r->dt, p, &n->file);
	if (ret)
		return ret;
	entry.file = n->file;
	entry.msg = malloc(sizeof(*entry.msg));
	if (!entry.msg)
		return fail(&d->run->err, -ENOMEM, "task %d: keep descriptor %d", p->pid, p->fd);
	fdinfo_entry__init(entry.msg);
	entry.msg->id = n->file->id;
	entry.msg->type = n->file->msg->type;
	entry.msg->fd = p->fd;
	n->file->n_uses++;
	r->table->fds.at[r->table->fds.n++] = entry; /* reserved by add_fds() */
	return 0;
}

/* -EBADF without a message: there is none of this number. */
static int add_fd(struct reading *r, int fd)
{
	struct fd_probe p = {.pid = r->dt->pid, .fd = fd, .local = -1};
	int ret = probe_copy(r->dt, &p);

	if (!ret)
		ret = add_probe(r, &p);
	else if (ret != -EBADF)
		fail(&r->d->run->err, ret, "task %d: get descriptor %d", p.pid, fd);
	if (p.local >= 0)
		close(p.local);
	return ret;
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Close-on-exec belongs to the descriptor, which only its task can ask. */
const struct stub_op *dump_ask_fd_flags(struct dump_task *dt, struct program *p, size_t from,
					size_t *to)
{
	const struct fdtable *table = dt->task->fdtable;
	const struct stub_op *first = NULL, *op;
	size_t i;

	for (i = from; table->asked_of == dt->task && i < table->fds.n; i++) {
		op = program_call(p, SYS_fcntl, 0, arg_imm(table->fds.at[i].msg->fd),
				  arg_imm(F_GETFD));
		if (!op)
			break;
		if (!first)
			first = op;
	}
	*to = i;
	return first;
}

void dump_answer_fd_flags(struct dump_task *dt, const struct stub_op *first, size_t from, size_t to)
{
	for (; from < to; from++)
		dt->task->fdtable->fds.at[from].msg->flags = first++->ret & FD_CLOEXEC;
}

/* Those that did not fit into the program of all other questions. */
int dump_fd_flags(struct dump *d, struct dump_task *dt)
{
	const struct fdtable *table = dt->task->fdtable;
	const struct stub_op *first;
	struct program p;
	size_t i = dt->n_fd_flags, to;
	int ret = 0;

	for (; !ret && table->asked_of == dt->task && i < table->fds.n; i = to) {
		agent_program(&dt->agent, &p);
		first = dump_ask_fd_flags(dt, &p, i, &to);
		ret = agent_run(&dt->agent, &p, &d->run->err);
		if (!ret)
			dump_answer_fd_flags(dt, first, i, to);
	}
	return ret;
}

/* Numbers from @from on, out of the folder: for tables with large gaps. */
static int add_listed(struct reading *r, int from)
{
	const struct dump_task *dt = r->dt;
	struct error *err = &r->d->run->err;
	_cleanup_(cleanup_ints) proc_ints fds = {};
	size_t i;
	int ret = proc_dir_numbers(dt->procfd, "fd", &fds);

	if (ret)
		return fail(err, ret, "task %d: list its descriptors", dt->pid);
	qsort(fds.at, fds.n, sizeof(*fds.at), by_number);
	if (vec_reserve(&r->table->fds, fds.n))
		return fail(err, -ENOMEM, "task %d: keep its descriptors", dt->pid);
	for (i = 0; !ret && i < fds.n; i++) {
		if (fds.at[i] < from)
			continue;
		ret = add_fd(r, fds.at[i]);
		if (ret == -EBADF)
			ret = fail(err, ret, "task %d: get descriptor %d", dt->pid, fds.at[i]);
	}
	return ret;
}

/*
 * Large tables: what every descriptor is asked goes by two threads, some pieces of the table
 * ahead of what makes files of it.
 */
#define PIECE  64
#define PIECES 4

static struct fd_probe *piece(const struct reading *r, size_t i)
{
	return &r->probes[i % PIECES * PIECE];
}

/* What fails here is done again, by add_fd(), which says what it was. */
static void probe_piece(void *context, size_t i)
{
	const struct reading *r = context;
	struct fd_probe *p = piece(r, i);

	for (int fd = i * PIECE; fd < (int)(i + 1) * PIECE; fd++, p++) {
		p->pid = r->dt->pid;
		p->fd = fd;
		p->link[0] = 0;
		p->path = PATH_UNASKED;
		if (probe_copy(r->dt, p) || read_name(r->d, p))
			p->link[0] = 0;
		else if (p->link[0] == '/')
			p->path = probe_path_leads_there(p) ? PATH_LEADS_THERE
							    : PATH_LEADS_ELSEWHERE;
	}
}

static void drop_piece(void *context, size_t i)
{
	struct fd_probe *p = piece(context, i);

	for (; p < piece(context, i) + PIECE; p++)
		if (p->local >= 0)
			close(p->local);
}

/* 1: that were all. */
static int add_piece(void *context, size_t i)
{
	struct reading *r = context;
	struct fd_probe *p = piece(r, i);
	int ret = 0;

	for (; ret >= 0 && p < piece(r, i) + PIECE; p++) {
		ret = p->link[0] ? add_probe(r, p) : add_fd(r, p->fd);
		if (ret == -EBADF)
			ret = 0;
	}
	drop_piece(r, i);
	return ret ? ret : r->table->fds.n >= r->n;
}

static int add_pieces(struct reading *r, size_t n)
{
	_cleanup_free_ struct fd_probe *probes = calloc(PIECES * PIECE, sizeof(*probes));
	int ret = -ENOMEM;

	r->probes = probes;
	if (probes)
		ret = parallel_in_order(n, PIECES, probe_piece, add_piece, drop_piece, r);
	if (ret == -ENOMEM && !r->d->run->err.code)
		fail(&r->d->run->err, ret, "task %d: keep its descriptors", r->dt->pid);
	return ret < 0 ? ret : 0;
}

/*
 * The size of /proc/PID/fd is how many there are (6.2). Trying the numbers one by one is
 * cheaper than listing the folder, for which the kernel makes an inode of each.
 */
static int add_fds(struct reading *r)
{
	struct dump_task *dt = r->dt;
	size_t room;
	struct stat st;
	int fd = 0, ret = 0;

	if (fstatat(dt->procfd, "fd", &st, 0))
		return fail(&r->d->run->err, -errno, "task %d: count its descriptors", dt->pid);
	r->n = st.st_size;
	dump_locks_expect(r->d, r->n + r->d->cp->tasks.n);
	/* The last piece may hold more than were counted. */
	if (vec_reserve(&r->table->fds, r->n + PIECE))
		return fail(&r->d->run->err, -ENOMEM, "task %d: keep its descriptors", dt->pid);
	room = 2 * r->n + PIECE;
	if (r->n >= PIECES * PIECE) {
		ret = add_pieces(r, room / PIECE);
		fd = room / PIECE * PIECE;
	}
	while (!ret && r->table->fds.n < r->n && (size_t)fd < room) {
		ret = add_fd(r, fd++);
		if (ret == -EBADF)
			ret = 0;
	}
	return !ret && r->table->fds.n < r->n ? add_listed(r, fd) : ret;
}

static int add_locks(struct reading *r)
{
	const struct fd *at = r->table->fds.at;
	int ret = 0;

	for (size_t i = 0; !ret && i < r->table->fds.n; i++)
		ret = dump_locks(r->d, r->dt, at[i].msg->fd, r->inodes.at[i], at[i].file);
	return ret;
}

int dump_fds(struct dump *d, struct dump_task *dt)
{
	uint32_t id = task_core(dt->task)->ids->files_id;
	struct reading r = {.d = d, .dt = dt};
	struct fdtable *table;
	size_t i;
	int ret;

	/* Ids ascend: without sharing the last table is of a smaller one. */
	for (i = d->cp->fdtables.n; i > 0 && d->cp->fdtables.at[i - 1]->id >= id; i--) {
		if (d->cp->fdtables.at[i - 1]->id == id) {
			dt->task->fdtable = d->cp->fdtables.at[i - 1];
			return 0;
		}
	}
	table = calloc(1, sizeof(*table));
	if (!table || vec_push(&d->cp->fdtables, table)) {
		free(table);
		return fail(&d->run->err, -ENOMEM, "task %d: keep its descriptors", dt->pid);
	}
	table->id = id;
	table->asked_of = dt->task;
	dt->task->fdtable = r.table = table;
	ret = dump_pidfd(d, dt);
	if (!ret)
		ret = add_fds(&r);
	if (!ret)
		ret = add_locks(&r);
	dump_pidfd_close(dt);
	vec_free(&r.inodes);
	return ret;
}

/* The file of a path below /proc/PID; @like has its identity. */
static int path_file(struct dump *d, struct dump_task *dt, const char *path, struct node *like,
		     uint64_t start, uint64_t end, struct file **ret)
{
	struct fd_probe p = {
		.pid = dt->pid, .fd = -1, .local = -1, .fdinfo = "", .addr = start, .end = end};
	struct node *n;
	int err;

	n = find_node(&d->files.by_inode, like, by_inode);
	if (!n)
		return fail(&d->run->err, -ENOMEM, "task %d: keep %s", dt->pid, path);
	if (!n->file) {
		err = proc_link(dt->procfd, path, p.link, sizeof(p.link));
		if (err)
			return fail(&d->run->err, err, "task %d: read the name of %s", dt->pid,
				    path);
		p.local = openat(dt->procfd, path, O_PATH | O_CLOEXEC);
		if (p.local < 0)
			return fail(&d->run->err, -errno, "task %d: open %s (%s)", dt->pid, path,
				    p.link);
		if (fstat(p.local, &p.st)) {
			err = fail(&d->run->err, -errno, "task %d: stat %s", dt->pid, path);
			close(p.local);
			return err;
		}
		probe_fs(&p);
		err = new_file(d, &p, &n->file);
		close(p.local);
		if (err)
			return err;
	}
	*ret = n->file;
	return 0;
}

int dump_path_file(struct dump *d, struct dump_task *dt, const char *path, struct file **ret)
{
	struct node like = {.pid = dt->pid, .fd = -1};
	struct stat st;

	if (fstatat(dt->procfd, path, &st, 0))
		return fail(&d->run->err, -errno, "task %d: stat %s", dt->pid, path);
	like.dev = st.st_dev;
	like.ino = st.st_ino;
	return path_file(d, dt, path, &like, 0, 0, ret);
}

int dump_mapped_file(struct dump *d, struct dump_task *dt, uint64_t start, uint64_t end,
		     uint64_t dev, uint64_t ino, struct file **ret)
{
	struct node like = {.pid = dt->pid, .fd = -1, .dev = dev, .ino = ino};
	char path[64];

	snprintf(path, sizeof(path), "map_files/%lx-%lx", start, end);
	return path_file(d, dt, path, &like, start, end, ret);
}

int dump_fs(struct dump *d, struct dump_task *dt)
{
	struct file *cwd, *root;
	FsEntry *e;
	int ret;

	ret = dump_path_file(d, dt, "cwd", &cwd);
	if (!ret)
		ret = dump_path_file(d, dt, "root", &root);
	if (ret)
		return ret;
	e = malloc(sizeof(*e));
	if (!e)
		return fail(&d->run->err, -ENOMEM, "task %d: keep its cwd", dt->pid);
	fs_entry__init(e);
	e->cwd_id = cwd->id;
	e->root_id = root->id;
	e->has_umask = true;
	e->umask = dt->status.umask;
	cwd->n_uses++;
	root->n_uses++;
	dt->task->fs = e;
	dt->task->cwd = cwd;
	dt->task->root = root;
	return 0;
}
