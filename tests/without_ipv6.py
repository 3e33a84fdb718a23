"""Runs a Python script as on a kernel without IPv6: ``python -m tests.without_ipv6 SCRIPT [ARGUMENT...]``

With ``ipv6.disable=1`` at boot there are no files of IPv6 in ``/proc``, and no sockets of it. It cannot be
turned off later, so both are refused in this process, with the errors of such a kernel.
"""

import errno
import os
import re
import runpy
import sys

#: As listed by a kernel that booted with ``ipv6.disable=1``, and one that booted without.
_FILES = re.compile(
    r"net/(?:tcp6|udp6|udplite6|raw6|snmp6|sockstat6|if_inet6|ipv6_route|dev_snmp6)\b|sys/net/ipv6\b"
)
_AF_INET6 = 10


def _refuse(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        if _FILES.search(os.fsdecode(arguments[0])):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), arguments[0])
    elif event == "socket.__new__" and arguments[1] == _AF_INET6:
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))


if __name__ == "__main__":
    sys.addaudithook(_refuse)
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
