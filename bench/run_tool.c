/* Runs a command again and again and tells what each run cost, as the limit programs tell it.
 *
 * RUNS BUDGET_MS MAX_RUNS COMMAND [ARGUMENT...]. Its output goes to /dev/null: whoever uses a tool has
 * to read and parse that as well, which is left out here in the tool's favour. A small starter of its
 * own, because a child's peak memory begins with that of the process it was forked from.
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
	int runs, budget_ms, most;
	long peak_kb = 0;
	double began_us;

	if (argc < 5)
		return 2;
	runs = atoi(argv[1]), budget_ms = atoi(argv[2]), most = atoi(argv[3]);
	run(argv + 4);
	began_us = now_us();
	for (int i = 0; i < most; i++) {
		double wall_us = now_us();
		struct rusage used;

		if (i >= runs && wall_us - began_us >= budget_ms * 1e3)
			break;
		used = run(argv + 4);
		printf("{\"cpu_us\": %.1f, \"wall_us\": %.1f}\n", to_us(used.ru_utime) + to_us(used.ru_stime),
		       now_us() - wall_us);
		if (used.ru_maxrss > peak_kb)
			peak_kb = used.ru_maxrss;
	}
	printf("{\"growth_kb\": %ld}\n", peak_kb);
	return 0;
}
