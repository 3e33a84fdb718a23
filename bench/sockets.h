/* Shared by the limit programs of sockets: dumps of TCP and UDP sockets. See sock_diag(7). */
#ifndef SOCKETS_H
#define SOCKETS_H

#include "limit.h"

#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>

#define LISTED_STATES 0x1ffeu /* 1 to 12; 13 is bound only, which /proc/net/tcp also leaves out */

/* TCP over IPv4 and IPv6 in one walk; only this older message type allows it. */
static long dump_tcp(int fd, unsigned states, void (*each)(const struct nlmsghdr *))
{
	struct { struct nlmsghdr h; struct inet_diag_req r; } q = {
		.h = { sizeof(q), TCPDIAG_GETSOCK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0 },
		.r = { .idiag_states = states },
	};

	return dump(fd, &q, sizeof(q), each);
}

static long dump_udp(int fd, int family)
{
	struct { struct nlmsghdr h; struct inet_diag_req_v2 r; } q = {
		.h = { sizeof(q), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 1, 0 },
		.r = { .sdiag_family = family, .sdiag_protocol = IPPROTO_UDP, .idiag_states = LISTED_STATES },
	};

	return dump(fd, &q, sizeof(q), NULL);
}

/* All UDP sockets, and the TCP sockets in these states. */
static long dump_sockets(unsigned states, void (*each_tcp)(const struct nlmsghdr *))
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	long count;

	if (fd < 0)
		fail("NETLINK_SOCK_DIAG");
	count = dump_tcp(fd, states, each_tcp) + dump_udp(fd, AF_INET) + dump_udp(fd, AF_INET6);
	close(fd);
	return count;
}

#endif
