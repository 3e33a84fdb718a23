/* Runs COMMAND [ARGUMENT...] once for each line on stdin, and prints the cost as the limit programs do.
 *
 * The command's output goes to /dev/null: the cost of reading and parsing it is not included, in favour of
 * the tool. This is a small program, because the peak memory of a child starts with that of its parent.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static double to_us(struct timeval t)
{
	return t.tv_sec * 1e6 + t.tv_usec;
}

static struct rusage run(char **command)
{
	struct rusage used;
	int status;
	pid_t child = fork();

	if (!child) {
		int null = open("/dev/null", O_WRONLY);

		dup2(null, STDOUT_FILENO);
		execvp(command[0], command);
		perror(command[0]);
		_exit(127);
	}
	if (wait4(child, &status, 0, &used) != child || status) {
		fprintf(stderr, "%s: failed\n", command[0]);
		exit(1);
	}
	return used;
}

int main(int argc, char **argv)
{
	long peak_kb = 0;
	char line[16];

	if (argc < 2)
		return 2;
	run(argv + 1);
	while (fgets(line, sizeof(line), stdin)) {
		double wall_us = now_us();
		struct rusage used = run(argv + 1);

		printf("{\"cpu_us\": %.1f, \"wall_us\": %.1f}\n", to_us(used.ru_utime) + to_us(used.ru_stime),
		       now_us() - wall_us);
		fflush(stdout);
		if (used.ru_maxrss > peak_kb)
			peak_kb = used.ru_maxrss;
	}
	printf("{\"growth_kb\": %ld}\n", peak_kb);
	return 0;
}
