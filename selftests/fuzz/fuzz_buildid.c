// SPDX-License-Identifier: GPL-2.0-only
/* Any file may be asked for its build-ID: the answer fits, comes soon, and is in the file. */
#include "lib/buildid.h"
#include "selftests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t id[BUILD_ID_MAX];
	int fd = file_of(data, size);
	ssize_t n = build_id_read(fd, id);

	must(n >= 0 && n <= BUILD_ID_MAX);
	must(!n || memmem(data, size, id, n));
	close(fd);
	return 0;
}
