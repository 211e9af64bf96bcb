// SPDX-License-Identifier: GPL-2.0-only
/*
 * holder READY [memory:MIB] FILE...: keep every file open and mapped (private,
 * read-only, not touched), have that much memory written to, say so by making READY,
 * and wait for a signal.
 */
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void take_memory(size_t len)
{
	char *p = len ? mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
		      : NULL;

	if (p == MAP_FAILED)
		err(1, "%zu bytes", len);
	if (p)
		memset(p, 'm', len);
}

int main(int argc, char **argv)
{
	struct stat st;
	int i, fd;

	for (i = 2; i < argc; i++) {
		if (!strncmp(argv[i], "memory:", 7)) {
			take_memory(strtoul(argv[i] + 7, NULL, 10) << 20);
			continue;
		}
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
