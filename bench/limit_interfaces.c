/* The limit for interfaces: receives one RTM_GETLINK and one RTM_GETADDR dump. See rtnetlink(7). */
#include "limit.h"

#include <linux/rtnetlink.h>

static long request_dump(int fd, int type)
{
	struct { struct nlmsghdr h; struct rtgenmsg g; } q = {
		.h = { sizeof(q), type, NLM_F_REQUEST | NLM_F_DUMP, 1, 0 },
		.g = { AF_UNSPEC },
	};

	return dump(fd, &q, sizeof(q), NULL);
}

static long work(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	long links;

	if (fd < 0)
		fail("NETLINK_ROUTE");
	links = request_dump(fd, RTM_GETLINK);
	request_dump(fd, RTM_GETADDR);
	close(fd);
	return links;
}

int main(void)
{
	return measure(work);
}
