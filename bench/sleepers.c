/* Starts N processes that sleep, of 0 to 127 pages of memory each so that few are equal, and waits.
 *
 * Prints "ready" when all are there. They are meant to live in a PID namespace and to end with it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static void sleep_as(int number)
{
	char name[32];
	size_t bytes = (size_t)(number % 128) * sysconf(_SC_PAGESIZE);
	char *memory = malloc(bytes + 1);

	if (memory)
		memset(memory, 1, bytes + 1);
	snprintf(name, sizeof(name), "sleeper %d", number);
	prctl(PR_SET_NAME, name);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	int count = argc == 2 ? atoi(argv[1]) : 0;

	for (int i = 0; i < count; i++) {
		pid_t child = fork();

		if (!child)
			sleep_as(i);
		if (child < 0) {
			perror("fork");
			return 1;
		}
	}
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
