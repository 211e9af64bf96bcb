// SPDX-License-Identifier: GPL-2.0-only
/* Working directory, root and umask. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "plan/fds.h"
#include "plan/inherited.h"
#include "resource/attribute.h"
#include "resource/attributes.h"
#include "resource/borrow.h"

static const char *path_of(const struct file *f)
{
	return f && f->msg->reg ? f->msg->reg->name : NULL;
}

/* The first task with this fs structure sets it. */
static bool sets_fs(const struct plan *p, const struct task *t)
{
	const struct task *parent = t->parent;
	const TaskKobjIdsEntry *a = task_core(t)->ids;
	const TaskKobjIdsEntry *b = parent ? task_core(parent)->ids : NULL;

	return !a || !b || a->fs_id != b->fs_id;
}

static int enter(struct plan *p, struct plan_slot *slot, struct file *dir, const char *why)
{
	struct operand fd;
	int ret = file_borrow(p, slot, dir, O_PATH | O_DIRECTORY, &fd);

	if (ret)
		return ret;
	plan_call(p, slot, why, 0, __NR_fchdir, fd);
	plan_close(p, slot, fd);
	return 0;
}

static int plan_fs(struct plan *p, struct plan_slot *slot, const struct thread *th)
{
	const struct task *t = th->task;
	const char *root = path_of(t->root);
	struct operand cwd = imm(0);
	bool chroot = root && strcmp(root, "/");
	int ret;

	if (!t->fs || !sets_fs(p, t))
		return 0;
	slot->phase = PHASE_TASK;
	if (t->fs->has_umask && t->fs->umask != p->inherited->umask)
		plan_call(p, slot, "umask", t->fs->umask, __NR_umask, imm(t->fs->umask));
	if (!chroot)
		return enter(p, slot, t->cwd, "working directory");
	/* Its path counts from our root: open it before that changes. */
	ret = file_borrow(p, slot, t->cwd, O_PATH | O_DIRECTORY, &cwd);
	if (!ret)
		ret = enter(p, slot, t->root, "on the way to the root");
	if (ret)
		return ret;
	plan_call(p, slot, "root", 0, __NR_chroot, plan_string(p, "."));
	plan_call(p, slot, "working directory", 0, __NR_fchdir, cwd);
	plan_close(p, slot, cwd);
	return 0;
}

const struct attribute attribute_fs = {
	.name = "working directory, root and umask",
	.per_process = true,
	.plan = plan_fs,
};
