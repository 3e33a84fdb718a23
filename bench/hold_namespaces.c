/* Starts processes with a network namespace each, and waits: hold_namespaces COUNT SOCKETS.
 *
 * In each namespace are SOCKETS sockets of TCP and UDP, all of its process: both ends of connections over
 * loopback, their listener, and UDP. Prints "ready PID PID ..." when all are open. The processes end with
 * their PID namespace.
 */
#define _GNU_SOURCE
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT = 8080 };

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int open_socket(int type)
{
	int fd = socket(AF_INET, type, 0);

	if (fd < 0)
		fail("socket");
	return fd;
}

static void set_loopback_up(int fd)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING };

	if (ioctl(fd, SIOCSIFFLAGS, &lo))
		fail("lo");
}

static void hold(int number, int sockets)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr_in any_port = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct rlimit files = { sockets + 100, sockets + 100 };
	int listener, left = sockets - 1;
	char name[32];

	snprintf(name, sizeof(name), "container %d", number);
	prctl(PR_SET_NAME, name);
	if (unshare(CLONE_NEWNET))
		fail("unshare");
	setrlimit(RLIMIT_NOFILE, &files);
	listener = open_socket(SOCK_STREAM);
	set_loopback_up(listener);
	if (bind(listener, (struct sockaddr *)&here, sizeof(here)) || listen(listener, 16))
		fail("listen");
	for (; left > 2; left -= 2)
		if (connect(open_socket(SOCK_STREAM), (struct sockaddr *)&here, sizeof(here)) || accept(listener, NULL, NULL) < 0)
			fail("connect");
	for (; left > 0; left--)
		if (bind(open_socket(SOCK_DGRAM), (struct sockaddr *)&any_port, sizeof(any_port)))
			fail("bind");
}

int main(int argc, char **argv)
{
	int count, opened[2];
	pid_t *children;

	if (argc != 3)
		return 2;
	count = atoi(argv[1]);
	children = calloc(count + 1, sizeof(*children));
	if (pipe(opened))
		fail("pipe");
	for (int i = 0; i < count; i++) {
		char byte;

		children[i] = fork();
		if (children[i] < 0)
			fail("fork");
		if (!children[i]) {
			hold(i, atoi(argv[2]));
			if (write(opened[1], "", 1) != 1)
				fail("pipe");
			for (;;)
				pause();
		}
		if (read(opened[0], &byte, 1) != 1)
			return 1;
	}
	printf("ready");
	for (int i = 0; i < count; i++)
		printf(" %d", (int)children[i]);
	printf("\n");
	fflush(stdout);
	for (;;)
		pause();
}
