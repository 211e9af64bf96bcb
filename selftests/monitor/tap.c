// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "monitor/world.h"

int tap(int n, bool ok, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %d - ", ok ? "" : "not ", n);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	return !ok;
}

struct monitor *own_monitor(uint32_t limit)
{
	struct monitor_options opt = {.limit = limit};
	struct monitor *m = NULL;
	struct error err = {0};
	FILE *say = tmpfile();
	char line[256];
	int r;

	r = monitor_start(&opt, say, &err);
	if (r == -EPERM || r == -EOPNOTSUPP) {
		printf("# %s\n", err.text);
		exit(4);
	}
	rewind(say);
	while (fgets(line, sizeof(line), say))
		printf("# %s", line);
	fclose(say);
	if (!r)
		r = monitor_open(NULL, &err, &m);
	if (r) {
		printf("not ok 1 - start: %s (%s)\n", err.text, err.hint);
		exit(1);
	}
	return m;
}

void drop_monitor(struct monitor *m)
{
	struct error err = {0};

	monitor_close(m);
	if (monitor_stop(NULL, &err))
		printf("# stop: %s\n", err.text);
}

unsigned int check_tree(struct monitor *m)
{
	struct monitor_tree t = {0};
	struct error err = {0};
	unsigned int bad = 0, used = 0;
	struct {
		uint32_t kids, xor;
	} * sum;

	if (monitor_tree(m, &err, &t) || t.moving) {
		printf("# the tree never stood still: %s\n", err.text);
		return 1;
	}
	sum = calloc(t.head.top, sizeof(*sum));
	for (uint32_t i = CABA_FIRST_NODE; i < t.head.top; i++) {
		if (t.nodes[i].state == CABA_FREE)
			continue;
		used++;
		if (t.nodes[i].up) {
			sum[t.nodes[i].up].kids++;
			sum[t.nodes[i].up].xor ^= i;
		}
	}
	for (uint32_t i = CABA_FIRST_NODE; i < t.head.top; i++) {
		const struct caba_node *n = &t.nodes[i];

		if (n->state != CABA_FREE && (n->kids != sum[i].kids || n->kids_xor != sum[i].xor))
			bad += printf("# node %u: %u children counted, %u there\n", i, n->kids,
				      sum[i].kids) > 0;
		if (n->state == CABA_GONE && n->kids < 2)
			bad += printf("# node %u joins %u branches\n", i, n->kids) > 0;
	}
	if (used != t.head.used)
		bad += printf("# %u nodes used, %u counted\n", used, t.head.used) > 0;
	free(sum);
	monitor_tree_free(&t);
	return bad;
}
