/* The limit for a lookup of culprits: receives all sockets from NETLINK_SOCK_DIAG, and reads the link of each
 * descriptor of each process. It does nothing with them. See sock_diag(7) and proc(5).
 */
#include "sockets.h"

#include <ctype.h>
#include <dirent.h>

static long links;

static void read_links(int proc, const char *pid)
{
	char path[64], link[64];
	struct dirent *entry;
	DIR *folder;
	int fd;

	snprintf(path, sizeof(path), "%.20s/fd", pid);
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return; /* the process has ended */
	folder = fdopendir(fd);
	while ((entry = readdir(folder)))
		links += readlinkat(fd, entry->d_name, link, sizeof(link)) > 0;
	closedir(folder);
}

static long work(void)
{
	struct dirent *entry;
	long count = dump_sockets(LISTED_STATES, NULL);
	DIR *proc = opendir("/proc");

	if (!proc)
		fail("/proc");
	while ((entry = readdir(proc)))
		if (isdigit((unsigned char)entry->d_name[0]))
			read_links(dirfd(proc), entry->d_name);
	closedir(proc);
	return count;
}

int main(void)
{
	return measure(work);
}
