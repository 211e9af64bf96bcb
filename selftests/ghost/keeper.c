// SPDX-License-Identifier: GPL-2.0-only
/*
 * keeper READY [KIND:]FILE...: keep files open, from descriptor 3 on in this order,
 * say so by making READY, and wait for a signal. A KIND is
 *   path  open it by O_PATH, also if it is a symlink
 *   map   map it, too, shared and writable
 *   cwd   it is the working directory, too
 *   nofollow  open it by O_NOFOLLOW
 *   fresh make it, with some bytes, and delete it
 *   child nothing is opened: a child shares all that is open so far
 */
#include <err.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void keep(const char *what)
{
	struct stat st;
	int fd;

	if (!strncmp(what, "path:", 5)) {
		fd = open(what + 5, O_PATH | O_NOFOLLOW);
	} else if (!strncmp(what, "map:", 4)) {
		fd = open(what + 4, O_RDWR);
		if (fd < 0 || fstat(fd, &st) ||
		    mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED)
			err(1, "%s", what);
	} else if (!strncmp(what, "cwd:", 4)) {
		fd = open(what + 4, O_RDONLY);
		if (fd >= 0 && fchdir(fd))
			err(1, "%s", what);
	} else if (!strncmp(what, "nofollow:", 9)) {
		fd = open(what + 9, O_RDONLY | O_NOFOLLOW);
	} else if (!strncmp(what, "fresh:", 6)) {
		fd = open(what + 6, O_RDWR | O_CREAT | O_EXCL, 0600);
		if (fd < 0 || write(fd, &fd, sizeof(fd)) != sizeof(fd) || unlink(what + 6))
			err(1, "%s", what);
	} else {
		fd = open(what, O_RDONLY | O_NONBLOCK);
	}
	if (fd < 0)
		err(1, "%s", what);
}

int main(int argc, char **argv)
{
	int i;

	for (i = 2; i < argc; i++) {
		if (strcmp(argv[i], "child:"))
			keep(argv[i]);
		else if (!fork())
			for (;;)
				pause();
	}
	if (argc < 2 || mknod(argv[1], S_IFREG | 0600, 0))
		err(1, "make READY");
	for (;;)
		pause();
}
