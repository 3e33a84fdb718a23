/* Starts processes that sleep, and waits: sleeping_processes COUNT SHARE DESCRIPTORS.
 *
 * Each has at least DESCRIPTORS descriptors open, a quarter of them local sockets.
 * They use 0 to 127 pages of memory. Ten of them use 1 to 10 MiB, so that the ten biggest are clearly
 * different: the kernel's own value is not exact. One in SHARE is in a process group; on SIGUSR1 each
 * process in it takes one more page, which changes its /proc/<pid>/stat. Prints "ready GROUP" when all are
 * started. The processes end with their PID namespace.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SPARE_PAGES = 1024 };

static char *spare;
static size_t page, taken;

static void take_page(int signal)
{
	(void)signal;
	if (taken == SPARE_PAGES) {
		madvise(spare, SPARE_PAGES * page, MADV_DONTNEED);
		taken = 0;
	}
	spare[page * taken++] = 1;
}

static void hold(size_t pages)
{
	volatile char *memory = malloc(pages * page + 1);

	for (size_t i = 0; memory && i < pages; i++)
		memory[i * page] = 1;
}

static void open_descriptors(int count)
{
	for (int n = 0; n < count - 1;)
		n = n % 4 ? open("/dev/null", O_RDONLY) : socket(AF_UNIX, SOCK_STREAM, 0);
}

static void sleep_as(int number, int descriptors)
{
	char name[32];

	open_descriptors(descriptors);
	hold(number < 10 ? (number + 1) * 256 : number % 128);
	snprintf(name, sizeof(name), "sleeping %d", number);
	prctl(PR_SET_NAME, name);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	int count, share, descriptors;
	pid_t group = 0;

	if (argc != 4)
		return 2;
	count = atoi(argv[1]), share = atoi(argv[2]), descriptors = atoi(argv[3]);
	page = sysconf(_SC_PAGESIZE);
	spare = mmap(NULL, SPARE_PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (spare == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	signal(SIGUSR1, take_page);
	for (int i = 0; i < count; i++) {
		pid_t child = fork();

		if (!child)
			sleep_as(i, descriptors);
		if (child < 0) {
			perror("fork");
			return 1;
		}
		if (i % share == 0) {
			setpgid(child, group);
			group = group ? group : child;
		}
	}
	printf("ready %d\n", (int)group);
	fflush(stdout);
	for (;;)
		pause();
}
