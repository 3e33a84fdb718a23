/* The limit for connections by state: receives the answer of NETLINK_SOCK_DIAG and does nothing else.
 *
 * Mode "full": the kernel sends every socket. Mode "filtered": the kernel leaves out ESTABLISHED and
 * TIME_WAIT, which are counted from /proc/net/snmp and /proc/net/sockstat. See sock_diag(7).
 */
#include "limit.h"

#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>

enum { ESTABLISHED = 1, FIN_WAIT2 = 5, TIME_WAIT = 6, CLOSE_WAIT = 8, TIME_WAIT_TIMER = 3 };

#define LISTED_STATES 0x1ffeu /* 1 to 12; 13 is bound only, which /proc/net/tcp also leaves out */

static unsigned states;
static long close_waits, tw_in_fin_wait2;

static void note_state(const struct nlmsghdr *h)
{
	const struct inet_diag_msg *socket = NLMSG_DATA(h);

	close_waits += socket->idiag_state == CLOSE_WAIT;
	tw_in_fin_wait2 += socket->idiag_state == FIN_WAIT2 && socket->idiag_timer == TIME_WAIT_TIMER;
}

/* TCP over IPv4 and IPv6 in one walk; only this older message type allows it. */
static long dump_tcp(int fd)
{
	struct { struct nlmsghdr h; struct inet_diag_req r; } q = {
		.h = { sizeof(q), TCPDIAG_GETSOCK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0 },
		.r = { .idiag_states = states },
	};

	return dump(fd, &q, sizeof(q), states == LISTED_STATES ? NULL : note_state);
}

static long dump_udp(int fd, int family)
{
	struct { struct nlmsghdr h; struct inet_diag_req_v2 r; } q = {
		.h = { sizeof(q), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 1, 0 },
		.r = { .sdiag_family = family, .sdiag_protocol = IPPROTO_UDP, .idiag_states = LISTED_STATES },
	};

	return dump(fd, &q, sizeof(q), NULL);
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
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	long count;

	if (fd < 0)
		fail("NETLINK_SOCK_DIAG");
	close_waits = tw_in_fin_wait2 = 0;
	count = dump_tcp(fd) + dump_udp(fd, AF_INET) + dump_udp(fd, AF_INET6);
	close(fd);
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
