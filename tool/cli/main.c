// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

int main(void)
{
	puts("stasis " STASIS_VERSION);
	return 0;
}
