/* The limit for connections by state: receives the answer of NETLINK_SOCK_DIAG and does nothing else.
 *
 * Mode "full": the kernel sends every socket. Mode "filtered": the kernel leaves out ESTABLISHED and
 * TIME_WAIT, which are counted from /proc/net/snmp and /proc/net/sockstat. See sock_diag(7).
 */
#include "sockets.h"

enum { ESTABLISHED = 1, FIN_WAIT2 = 5, TIME_WAIT = 6, CLOSE_WAIT = 8, TIME_WAIT_TIMER = 3 };

static unsigned states;
static long close_waits, tw_in_fin_wait2;

static void note_state(const struct nlmsghdr *h)
{
	const struct inet_diag_msg *socket = NLMSG_DATA(h);

	close_waits += socket->idiag_state == CLOSE_WAIT;
	tw_in_fin_wait2 += socket->idiag_state == FIN_WAIT2 && socket->idiag_timer == TIME_WAIT_TIMER;
}

static const char *read_file(const char *path)
{
	static char text[16384];
	int fd = open(path, O_RDONLY);
	ssize_t length = read(fd, text, sizeof(text) - 1);

	if (length < 0)
		fail(path);
	close(fd);
	text[length] = 0;
	return text;
}

/* The number that follows `words` words after `label`. */
static long number_after(const char *text, const char *label, int words)
{
	const char *at = strstr(text, label);

	for (; at && words; words--)
		at = strchr(at + 1, ' ');
	if (!at) {
		fprintf(stderr, "no %s\n", label);
		exit(1);
	}
	return atol(at);
}

static long work(void)
{
	long count;

	close_waits = tw_in_fin_wait2 = 0;
	count = dump_sockets(states, states == LISTED_STATES ? NULL : note_state);
	if (states == LISTED_STATES)
		return count;
	/* "Tcp: 1 200 120000 -1 active passive fails resets CurrEstab ..." is the second Tcp line. */
	count += number_after(strstr(read_file("/proc/net/snmp"), "Tcp: ") + 5, "Tcp: ", 9) - close_waits;
	count += number_after(read_file("/proc/net/sockstat"), " tw ", 1) - tw_in_fin_wait2;
	return count;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	states = LISTED_STATES;
	if (!strcmp(argv[1], "filtered"))
		states &= ~(1u << ESTABLISHED | 1u << TIME_WAIT);
	return measure(work);
}
