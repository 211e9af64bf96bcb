// SPDX-License-Identifier: GPL-2.0-only
/* load FOLDER [COPY]: load a checkpoint, print what became of it; COPY: and save it there. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/run.h"
#include "model/model.h"
#include "resource/resource.h"

static int report(const struct run *run)
{
	printf("Error: %s\nHint: %s\n", run->err.text, run->err.hint);
	return 1;
}

int main(int argc, char **argv)
{
	struct run run = {};
	struct checkpoint *cp;
	int ret = 0;

	log_start(&run.log, STDERR_FILENO, LOG_WARN);

	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: %s FOLDER [COPY]\n", argv[0]);
		return 2;
	}
	run.images_dirfd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (run.images_dirfd < 0) {
		perror(argv[1]);
		return 2;
	}
	if (checkpoint_load(&run, &cp))
		return report(&run);
	ret = resources_load(&run, cp);
	if (ret) {
		checkpoint_free(cp);
		return report(&run);
	}
	printf("%zu tasks, %zu files, %zu descriptor tables, %zu address spaces\n", cp->tasks.n,
	       cp->files.n, cp->fdtables.n, cp->mms.n);
	if (argc == 3) {
		mkdir(argv[2], 0700);
		close(run.images_dirfd);
		run.images_dirfd = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		cp->list_images = true;
		ret = checkpoint_save(&run, cp) ? report(&run) : 0;
	}
	checkpoint_free(cp);
	close(run.images_dirfd);
	return ret;
}
