/* SPDX-License-Identifier: GPL-2.0-only */
/* An open monitor. Internal to tool/monitor. */
#ifndef STASIS_MONITOR_PRIV_H
#define STASIS_MONITOR_PRIV_H

#include "monitor/monitor.h"

struct monitor {
	int nodes_fd, records_fd, deep_fd;
	size_t size;		       /* of the mapping */
	const struct caba_head *head;  /* the mapping's beginning */
	const struct caba_node *nodes; /* the same address */
	char folder[256];
};

/* How often a reader looks again before it says that things move too fast. */
#define MONITOR_TRIES 2000

/* Sequence number of a quiet moment (even). */
uint64_t monitor_seq(const struct monitor *m);
/* Nothing changed since monitor_seq() gave @seq. */
bool monitor_quiet(const struct monitor *m, uint64_t seq);

/* What an edge says about the line that passes over it. */
uint32_t monitor_edge_doubts(const struct caba_node *n);

/*
 * State, CABA, nearest and doubts of @ret from nodes @at, starting at node rec.node. False when
 * that node is no longer its own.
 */
bool monitor_line(const struct caba_node *at, uint32_t slots, struct monitor_record *ret);

#endif
