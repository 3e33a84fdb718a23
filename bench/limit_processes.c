/* The limit for processes: opens, reads and closes the stat file of each process. See proc(5). */
#include "limit.h"

#include <ctype.h>
#include <dirent.h>

static long work(void)
{
	char path[64], text[1024];
	struct dirent *entry;
	long count = 0;
	DIR *proc = opendir("/proc");

	if (!proc)
		fail("/proc");
	while ((entry = readdir(proc))) {
		int fd;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/stat", entry->d_name);
		fd = open(path, O_RDONLY);
		if (fd < 0)
			continue; /* the process has ended */
		count += read(fd, text, sizeof(text)) > 0;
		close(fd);
	}
	closedir(proc);
	return count;
}

int main(void)
{
	return measure(work);
}
