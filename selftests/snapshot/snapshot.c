// SPDX-License-Identifier: GPL-2.0-only
/* snapshot PID: print what can be seen of a tree of processes; see lib/snapshot.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/snapshot.h"

int main(int argc, char **argv)
{
	struct snapshot s;

	if (argc != 2 || !strcmp(argv[1], "--help") || atoi(argv[1]) <= 0) {
		puts("usage: snapshot PID\n"
		     "Print everything that can be seen from outside of the process PID and its\n"
		     "descendants and that a checkpoint keeps, a line for each fact.");
		return argc == 2 && !strcmp(argv[1], "--help") ? 0 : 2;
	}
	snapshot_take(&s, atoi(argv[1]));
	fputs(s.lines.at, stdout);
	snapshot_free(&s);
	return 0;
}
