// SPDX-License-Identifier: GPL-2.0-only
#include "lib/vec.h"

#include <stdint.h>
#include <string.h>

int vec_grow(void *at_ptr, size_t *room, size_t n, size_t more, size_t size)
{
	size_t want = n + more, new_room = *room ? *room : 8;
	void *old, *p;

	if (want <= *room)
		return 0;
	while (new_room < want)
		new_room *= 2;
	if (new_room > SIZE_MAX / size)
		return -ENOMEM;
	memcpy(&old, at_ptr, sizeof(old));
	p = realloc(old, new_room * size);
	if (!p)
		return -ENOMEM;
	memcpy(at_ptr, &p, sizeof(p));
	*room = new_room;
	return 0;
}
