// SPDX-License-Identifier: GPL-2.0-only
/* A checkpoint folder up to the plan of its restore, which is printed and not executed. */
#include "lib/run.h"
#include "restore/restore.h"
#include "selftests/fuzz/folder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct folder in = {.dirfd = -1};
	struct run run = {.log = {.fd = -1}, .opt = {.dry_run = true, .status_fd = -1}};

	if (in.dirfd < 0) {
		in.dirfd = folder_create();
		must(freopen("/dev/null", "we", stdout));
	}
	folder_fill(&in, data, size);
	run.images_dirfd = run.work_dirfd = in.dirfd;
	if (restore_run(&run))
		must(run.err.code && run.err.text[0]);
	folder_empty(&in);
	return 0;
}
