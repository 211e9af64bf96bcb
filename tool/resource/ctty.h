/* SPDX-License-Identifier: GPL-2.0-only */
/* Terminals that control a session of the tree, when --inherit-fd brings them. */
#ifndef STASIS_RESOURCE_CTTY_H
#define STASIS_RESOURCE_CTTY_H

#include "model/model.h"

struct plan;
struct plan_slot;

/*
 * The session of which @t is the leader has just been made in @slot: give it its terminal. Those
 * who are cloned from then on have it too, those who are there already would never get it.
 */
int ctty_plan(struct plan *p, struct plan_slot *slot, const struct task *t);

#endif
