/* The limits for other network namespaces, which are found by the links /proc/<pid>/ns/net.
 *
 * Mode "counts": reads the counts of each one from /proc/<pid>/net/sockstat and sockstat6. Mode "sockets":
 * enters each one, receives all its sockets from NETLINK_SOCK_DIAG, and does nothing with them. See
 * proc_pid_net(5), setns(2) and sock_diag(7).
 */
#define _GNU_SOURCE
#include "sockets.h"

#include <ctype.h>
#include <dirent.h>
#include <sched.h>

enum { MOST = 4096 };

static long (*count_in)(int proc, const char *pid);
static int own;

/* The number after each of `labels` in a file of the namespace of a process, added. */
static long sum_of(int proc, const char *pid, const char *file, const char *const labels[])
{
	char path[64], text[4096];
	ssize_t length;
	long sum = 0;
	int fd;

	snprintf(path, sizeof(path), "%.20s/net/%s", pid, file);
	fd = openat(proc, path, O_RDONLY);
	length = read(fd, text, sizeof(text) - 1);
	if (length < 0)
		fail(path);
	close(fd);
	text[length] = 0;
	for (; *labels; labels++) {
		const char *at = strstr(text, *labels);

		sum += at ? atol(at + strlen(*labels)) : 0;
	}
	return sum;
}

static long count_from_files(int proc, const char *pid)
{
	static const char *const four[] = { "TCP: inuse ", " tw ", "UDP: inuse ", NULL };
	static const char *const six[] = { "TCP6: inuse ", "UDP6: inuse ", NULL };

	return sum_of(proc, pid, "sockstat", four) + sum_of(proc, pid, "sockstat6", six);
}

static long count_inside(int proc, const char *pid)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%.20s/ns/net", pid);
	fd = openat(proc, path, O_RDONLY);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		fail("setns");
	close(fd);
	return dump_sockets(LISTED_STATES, NULL);
}

static int is_new(char seen[][32], int count, const char *link)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(seen[i], link))
			return 0;
	return 1;
}

static long work(void)
{
	static char seen[MOST][32];
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	int namespaces = 1;
	long count = 0;

	memset(seen, 0, sizeof(seen[0]));
	if (!proc || readlink("/proc/self/ns/net", seen[0], sizeof(seen[0]) - 1) < 0)
		fail("/proc");
	while ((entry = readdir(proc)) && namespaces < MOST) {
		char path[64], link[32] = "";

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "%.20s/ns/net", entry->d_name);
		if (readlinkat(dirfd(proc), path, link, sizeof(link) - 1) < 0 || !is_new(seen, namespaces, link))
			continue;
		memcpy(seen[namespaces++], link, sizeof(link));
		count += count_in(dirfd(proc), entry->d_name);
	}
	closedir(proc);
	if (count_in == count_inside && setns(own, CLONE_NEWNET))
		fail("setns");
	return count;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	count_in = strcmp(argv[1], "sockets") ? count_from_files : count_inside;
	own = open("/proc/self/ns/net", O_RDONLY);
	if (own < 0)
		fail("/proc/self/ns/net");
	return measure(work);
}
