// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "cli/parse.h"

#define LONGEST 48 /* no option's name is as long */

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

unsigned int edit_distance(const char *a, size_t a_len, const char *b)
{
	unsigned int rows[3][LONGEST + 1], *before, *above, *row;
	size_t b_len = strlen(b), i, j;

	if (a_len > LONGEST || b_len > LONGEST)
		return LONGEST;
	for (j = 0; j <= b_len; j++)
		rows[0][j] = j;
	for (i = 1; i <= a_len; i++) {
		before = rows[(i + 1) % 3]; /* i - 2 */
		above = rows[(i - 1) % 3];
		row = rows[i % 3];
		row[0] = i;
		for (j = 1; j <= b_len; j++) {
			row[j] = least(above[j], row[j - 1]) + 1;
			row[j] = least(row[j], above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], before[j - 2] + 1);
		}
	}
	return rows[a_len % 3][b_len];
}
