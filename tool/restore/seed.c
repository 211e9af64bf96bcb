// SPDX-License-Identifier: GPL-2.0-only
/*
 * The seed: the first task, cloned from the tool, sheds what it has from it.
 * All others are cloned from it or its descendants, and so start with nothing
 * but stub, arena and vDSO.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "resource/attributes.h"
#include "restore/memory.h"

#define ADDRESS_MAX 0x7ffffffff000ull

static void unmap(struct plan *p, struct plan_slot *root, uint64_t from, uint64_t to)
{
	if (from < to)
		plan_call(p, root, "the tool's memory", from, __NR_munmap, imm(from),
			  imm(to - from));
}

/* Signals that the tool ignores or handles: as a new program finds them. */
static void reset_actions(struct plan *p, struct plan_slot *root)
{
	struct operand dfl = {0};
	bool have = false;
	int sig;

	for (sig = 1; sig <= 64; sig++) {
		struct kernel_sigaction act, none = {0};

		if (sig == SIGKILL || sig == SIGSTOP ||
		    syscall(__NR_rt_sigaction, sig, NULL, &act, 8) || !act.handler)
			continue;
		if (!have)
			dfl = plan_data(p, &none, sizeof(none));
		have = true;
		plan_call(p, root, "action of signal %ld", sig, __NR_rt_sigaction, imm(sig), dfl,
			  imm(0), imm(8));
	}
}

int plan_seed(struct plan *p)
{
	struct plan_slot *root = p->slots.at[0];
	/* SIGCHLD of zombies-to-be is ignored as long as it is not blocked. */
	uint64_t mask = ~(1ull << (SIGCHLD - 1));

	root->phase = PHASE_SEED;
	plan_call(p, root, "block signals", 0, __NR_rt_sigprocmask, imm(SIG_SETMASK),
		  plan_data(p, &mask, sizeof(mask)), imm(0), imm(8));
	reset_actions(p, root);
	plan_move_vdso(p, root, p->vdso.start, p->hole);

	unmap(p, root, 0, p->hole);
	unmap(p, root, p->hole + p->hole_len, ADDRESS_MAX);
	return plan_ok(p);
}
