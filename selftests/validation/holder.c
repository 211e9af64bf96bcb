// SPDX-License-Identifier: GPL-2.0-only
/*
 * holder READY FILE...: keep every file open and mapped (private, read-only, not
 * touched), say so by making READY, and wait for a signal.
 */
#include <err.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct stat st;
	int i, fd;

	for (i = 2; i < argc; i++) {
		fd = open(argv[i], O_RDONLY);
		if (fd < 0 || fstat(fd, &st))
			err(1, "%s", argv[i]);
		/* Made-up files cannot be mapped, and empty ones neither. */
		mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	}
	if (argc < 2 || mknod(argv[1], S_IFREG | 0600, 0))
		err(1, "make READY");
	for (;;)
		pause();
}
