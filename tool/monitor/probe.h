/* SPDX-License-Identifier: GPL-2.0-only */
/* What this kernel lets the monitor attach to. Internal to tool/monitor. */
#ifndef STASIS_MONITOR_PROBE_H
#define STASIS_MONITOR_PROBE_H

#include <bpf/btf.h>
#include <stdbool.h>

#include "monitor/monitor.h"

/* Rows of monitor_probe(), in this order. */
enum {
	FEATURE_BTF,
	FEATURE_STORAGE,
	FEATURE_EVENTS,
	FEATURE_SCAN,
	FEATURE_CHANGE,
	FEATURE_REPARENT,
	FEATURE_SUBREAPER,
	FEATURE_SYSCALLS,
};

/* Number of parameters of the kernel function @name, or -ENOENT. */
int probe_function(const struct btf *btf, const char *name);

/* What libbpf says goes nowhere, or its warnings to stderr. */
void probe_quiet(void);
void probe_loud(void);

#endif
