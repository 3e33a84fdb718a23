"""Runs a command on a host that is busy with other things: ``python -m tests.load COMMAND...``

Beside the command there are 5,000 sockets and 300 Mbps over loopback, and a process that keeps a core busy.
Nothing leaves this host, and all of it ends with the command, or after an hour.
"""

import contextlib
import ctypes
import multiprocessing
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

SOCKETS = 5000
MBPS = 300
LIMIT_S = 3600
_PARENT_DEATH_SIGNAL = 1
_SLICE_S = 0.01


def main(command):
    """Run the command beside the load; returns its exit status."""
    with contextlib.ExitStack() as stack:
        for work in (hold_sockets, send, keep_a_core_busy):
            stack.enter_context(running(work))
        said = f"{SOCKETS} sockets, {MBPS} Mbps over lo and a busy process"
        print(f"beside {said}: {' '.join(command)}", flush=True)
        before, began_s = loopback_bytes(), time.monotonic()
        status = subprocess.run(command, check=False).returncode
        mbps = (loopback_bytes() - before) * 8 / 10**6 / (time.monotonic() - began_s)
        print(f"beside {mbps:.0f} Mbps over lo on average: status {status}")
    return status


@contextlib.contextmanager
def running(work):
    """A process that has begun its work; it is ended afterwards."""
    ready = multiprocessing.Event()
    process = multiprocessing.Process(target=_bounded, args=(work, ready))
    process.start()
    try:
        assert ready.wait(60), f"{work.__name__} does not begin"
        yield
    finally:
        process.kill()
        process.join()


def _bounded(work, ready):
    """Work until the parent ends, for an hour at most."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    signal.alarm(LIMIT_S)
    work(ready)


def hold_sockets(ready):
    """Both ends of connections that do nothing."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, SOCKETS + 100), most))
    listener = socket.create_server(("127.0.0.1", 0), backlog=16)
    held = [listener]
    while len(held) < SOCKETS:
        held += [socket.create_connection(listener.getsockname()), listener.accept()[0]]
    ready.set()
    signal.pause()


def send(ready):
    """Bytes at an even rate."""
    listener = socket.create_server(("127.0.0.1", 0))
    sender = socket.create_connection(listener.getsockname())
    receiver = listener.accept()[0]
    threading.Thread(target=_take, args=(receiver,), daemon=True).start()
    ready.set()
    sent, began_s = 0, time.monotonic()
    while True:
        due = (time.monotonic() - began_s) * MBPS * 10**6 / 8
        if due > sent:
            data = bytes(int(due - sent))
            sender.sendall(data)
            sent += len(data)
        time.sleep(_SLICE_S)


def _take(receiver):
    while receiver.recv(1 << 20):
        pass


def keep_a_core_busy(ready):
    """Compute without end."""
    ready.set()
    while True:
        pass


def loopback_bytes():
    """All that was sent over loopback so far."""
    with open("/sys/class/net/lo/statistics/tx_bytes") as counter:
        return int(counter.read())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
