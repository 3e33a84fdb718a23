/* Shared by the limit programs: timing, one JSON line per run, and a netlink dump that only receives.
 *
 * A program makes one warm-up run, then one run for each line on stdin. CPU time is user + system of this
 * process.
 */
#ifndef LIMIT_H
#define LIMIT_H

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char dump_buffer[64 * 1024];

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static double clock_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

/* A value of /proc/self/status, in KiB. */
static long status_kb(const char *field)
{
	char line[256];
	long kb = 0;
	FILE *status = fopen("/proc/self/status", "r");

	if (!status)
		fail("/proc/self/status");
	while (fgets(line, sizeof(line), status))
		if (!strncmp(line, field, strlen(field)))
			kb = atol(line + strlen(field));
	fclose(status);
	return kb;
}

/* Resets VmHWM to VmRSS; returns VmRSS. */
static long start_peak_kb(void)
{
	int fd = open("/proc/self/clear_refs", O_WRONLY);

	if (fd < 0 || write(fd, "5", 1) != 1)
		fail("/proc/self/clear_refs");
	close(fd);
	return status_kb("VmRSS:");
}

static int measure(long (*work)(void))
{
	long rss_kb = start_peak_kb(), count = work();
	char line[16];

	while (fgets(line, sizeof(line), stdin)) {
		double wall_us = clock_us(CLOCK_MONOTONIC), cpu_us = clock_us(CLOCK_PROCESS_CPUTIME_ID);

		count = work();
		cpu_us = clock_us(CLOCK_PROCESS_CPUTIME_ID) - cpu_us;
		wall_us = clock_us(CLOCK_MONOTONIC) - wall_us;
		printf("{\"cpu_us\": %.1f, \"wall_us\": %.1f, \"count\": %ld}\n", cpu_us, wall_us, count);
		fflush(stdout);
	}
	printf("{\"growth_kb\": %ld}\n", status_kb("VmHWM:") - rss_kb);
	return 0;
}

/* Sends `request`, receives the whole answer, and calls `each` (unless it is NULL) for every message. */
__attribute__((unused)) static long dump(int fd, const void *request, size_t length, void (*each)(const struct nlmsghdr *))
{
	long messages = 0;

	if (send(fd, request, length, 0) != (ssize_t)length)
		fail("send");
	for (;;) {
		ssize_t left = recv(fd, dump_buffer, sizeof(dump_buffer), 0);
		struct nlmsghdr *h = (struct nlmsghdr *)dump_buffer;

		if (left <= 0)
			fail("recv");
		for (; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
			if (h->nlmsg_type == NLMSG_DONE)
				return messages;
			if (h->nlmsg_type == NLMSG_ERROR) {
				errno = -((struct nlmsgerr *)NLMSG_DATA(h))->error;
				fail("dump");
			}
			if (each)
				each(h);
			messages++;
		}
	}
}

#endif
