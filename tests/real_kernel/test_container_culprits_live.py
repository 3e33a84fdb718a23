"""Who is behind the rate of any interface of a host whose traffic is that of containers.

Containers send through bridges, routes, NAT and macvlans. Each situation says who must be named for each
interface; a process that is not in the list must not be named with 10 % or more.
"""

import contextlib
import re
import time
from functools import partial

import pytest

from tests import nftables
from tests.containers import docker, new_cgroup
from tests.netns import veth
from tests.real_kernel.container_host import HIGHER, OUTSIDE, Host, all_masked, assert_named, sending
from tests.real_kernel.paced import PORT, Sender, check, clauses, listening, named, started
from tests.real_kernel.test_interface_culprits_live import add
from tests.running_kernel import needs_tracepoints

pytestmark = pytest.mark.root


@pytest.mark.parametrize("nat", [False, True])
def test_what_a_container_sends(namespace, nat):
    """It crosses its veth, the bridge and the uplink; the other container, which is idle, is not named."""
    it = Host(namespace, nat)
    with listening(it.outside), sending(it.one, Sender("backup", OUTSIDE, 20)):
        content = check(it.host, [], namespaces="auto")
    text = f"N% by backup[PID] in namespace {it.one.name} to {OUTSIDE}:{PORT}"
    assert all_masked(content, "outbound") == {"eth0": text}
    assert all_masked(content, "inbound") == {"br0": text, "v1": text}


@pytest.mark.parametrize("nat", [False, True])
def test_what_a_container_receives(namespace, nat):
    """The answers come by the uplink, the bridge and the veth."""
    it = Host(namespace, nat)
    sender = Sender("fetch", OUTSIDE, 20, receives=True)
    with listening(it.outside), sending(it.one, sender):
        content = check(it.host, [], namespaces="auto")
    text = f"N% by fetch[PID] in namespace {it.one.name} from {OUTSIDE}:{PORT + 1}"
    assert all_masked(content, "inbound") == {"eth0": text}
    assert all_masked(content, "outbound") == {"br0": text, "v1": text}


def test_a_container_beside_the_host(namespace):
    """Both are named on the uplink, with their shares; on the bridge only the container is."""
    it = Host(namespace, nat=True)
    with listening(it.outside), sending(it.one, Sender("backup", OUTSIDE, 21)):
        content = check(it.host, [Sender("own", OUTSIDE, 9)], namespaces="auto")
    assert_named(content, {"eth0": {"backup": 70, "own": 30}})
    assert_named(content, {"br0": {"backup": 100}, "v1": {"backup": 100}}, "inbound")
    (uplink,) = content["metrics"]["culprits"]["tx_rate"]
    assert [each.get("namespace") for each in uplink["processes"][:2]] == [f"namespace {it.one.name}", None]
    assert "namespace" not in uplink


def test_a_container_that_uses_the_network_of_another(namespace):
    """The process is not in the container that the network is named by, as behind a VPN container."""
    it = Host(namespace, nat=True)
    (vpn, first), (app, second) = docker(), docker()

    def enter(folder, run):
        (folder / "cgroup.procs").write_text("0")
        run()

    with contextlib.ExitStack() as stack:
        of_vpn, of_app = (stack.enter_context(new_cgroup(each)) for each in (first, second))
        stack.enter_context(listening(it.outside))
        stack.enter_context(started(it.one, partial(enter, of_vpn, partial(time.sleep, 60))))
        while not (of_vpn / "cgroup.procs").read_text():
            time.sleep(0.02)
        torrent = Sender("torrent", OUTSIDE, 20)
        stack.enter_context(started(it.one, partial(enter, of_app, torrent.run)))
        content = check(it.host, [], namespaces="auto")
    text = f"N% by torrent[PID] in the network of container {vpn} to {OUTSIDE}:{PORT}"
    assert all_masked(content, "outbound") == {"eth0": text}
    (uplink,) = content["metrics"]["culprits"]["tx_rate"]
    assert uplink["processes"][0]["container"] == app


def test_what_a_container_sends_through_its_own_tunnel(namespace):
    """The host routes the packets of the tunnel, not those inside: these would leave by eth0."""
    it, switch, far = Host(namespace), namespace(), namespace()
    add(switch, "name br0 type bridge")
    for end, name, address in ((it.host, "eth1", "10.7.0.1/24"), (far, "p", "10.7.0.2/24")):
        veth(switch, end, (f"to-{name}", name), ("10.99.0.1/32", address))
        switch.ip("link", "set", f"to-{name}", "master", "br0")
    it.host.ip("route", "add", "default", "via", OUTSIDE)
    far.ip("route", "add", "default", "via", "10.7.0.1")
    box = namespace()
    veth(it.host, box, ("direct", "eth0"), ("10.6.0.1/24", "10.6.0.2/24"))
    box.ip("route", "add", "default", "via", "10.6.0.1")
    for end, remote, address in ((box, "10.7.0.2", "10.5.0.1/24"), (far, "10.6.0.2", "10.5.0.2/24")):
        add(end, f"name vx0 type vxlan id 5 remote {remote} dstport 4789", address=address)
    with listening(far, it.outside), sending(box, Sender("vpn", "10.5.0.2", 20)):
        content = check(it.host, [Sender("own", OUTSIDE, 25, udp=True)], namespaces="auto")
    assert {name: set(shares) for name, shares in named(content).items()} == {"eth0": set(), "eth1": set()}
    assert named(content, "inbound") == {"direct": {"vpn": pytest.approx(95, abs=HIGHER)}}


def test_two_containers_on_one_uplink(namespace):
    """Each veth has its own, the uplink and the bridge have both."""
    it = Host(namespace, nat=True)
    one, two = Sender("one", OUTSIDE, 20), Sender("two", OUTSIDE, 10)
    with listening(it.outside), sending(it.one, one), sending(it.two, two):
        content = check(it.host, [], namespaces="auto")
    assert_named(content, {"eth0": {"one": 67, "two": 33}})
    shares = {"one": 67, "two": 33}
    assert_named(content, {"br0": shares, "v1": {"one": 100}, "v2": {"two": 100}}, "inbound")


def test_one_container_sends_to_another(namespace):
    """What stays in the bridge crosses the two veths: neither the bridge nor the uplink has it."""
    it = Host(namespace)
    with listening(it.outside, it.two), sending(it.one, Sender("copy", "10.9.0.3", 20)):
        content = check(it.host, [Sender("own", OUTSIDE, 20)], namespaces="auto")
    assert_named(content, {"eth0": {"own": 100}, "v2": {"python": 100}})
    assert_named(content, {"v1": {"copy": 100}}, "inbound")


def test_a_container_talks_to_the_host(namespace):
    """The host's own process is named, once."""
    it = Host(namespace)
    with listening(it.host), sending(it.one, Sender("copy", "10.9.0.1", 20)):
        content = check(it.host, [], namespaces="auto")
    assert_named(content, {"br0": {"python": 100}, "v1": {"python": 100}}, "inbound")


def test_a_published_port_of_another_container(namespace):
    """It looks like a connection to the outside, but is redirected: the sender is not named on the uplink."""
    it = Host(namespace, nat=True)
    it.host.call(nftables.publish, "10.99.0.1", PORT, "10.9.0.3", PORT)
    with listening(it.outside, it.two), sending(it.one, Sender("copy", "10.99.0.1", 20)):
        content = check(it.host, [Sender("vm", OUTSIDE, 20, udp=True)], namespaces="auto")
    sent = named(content)
    assert (sent["eth0"], sent["v2"].keys()) == ({}, {"python"}), content["details"]
    assert named(content, "inbound")["v1"].keys() == {"copy"}


@pytest.mark.parametrize("receives", [False, True])
def test_a_bridge_with_the_uplink(namespace, receives):
    """The uplink is a port beside the container's veth: the bridge's own counters have nothing."""
    host, switch, outside, box = (namespace() for _ in range(4))
    add(switch, "name br0 type bridge")
    add(host, "name br0 type bridge", address="10.8.0.1/24")
    pairs = [(host, "v1", box, "eth0", "10.8.0.3/24"), (switch, "q", outside, "p", "10.8.0.2/24")]
    for near, port, end, name, address in pairs:
        near.ip("link", "add", port, "type", "veth", "peer", "name", name, "netns", end.name)
        near.ip("link", "set", port, "master", "br0", "up")
        end.ip("addr", "add", address, "dev", name)
        end.ip("link", "set", name, "up")
    host.ip("link", "add", "eth0", "type", "veth", "peer", "name", "r", "netns", switch.name)
    for end, name in ((host, "eth0"), (switch, "r")):
        end.ip("link", "set", name, "master", "br0", "up")
    sender = Sender("backup", OUTSIDE, 20, receives=receives)
    with listening(outside), sending(box, sender):
        content = check(host, [], namespaces="auto")
    uplink, port = ("inbound", "outbound") if receives else ("outbound", "inbound")
    assert_named(content, {"eth0": {"backup": 100}}, uplink)
    assert_named(content, {"v1": {"backup": 100}}, port)


@pytest.mark.parametrize("receives", [False, True])
@pytest.mark.parametrize("mode", ["bridge", "vepa", "private"])
def test_a_macvlan_of_a_container(namespace, mode, receives):
    """The uplink below it has the container's process."""
    it = Host(namespace)
    add(it.host, f"link eth0 name mv1 type macvlan mode {mode}")
    box = namespace()
    it.host.ip("link", "set", "mv1", "netns", box.name)
    box.ip("addr", "add", "10.8.0.7/24", "dev", "mv1")
    box.ip("link", "set", "mv1", "up")
    sender = Sender("backup", OUTSIDE, 20, receives=receives)
    with listening(it.outside), sending(box, sender):
        content = check(it.host, [], namespaces="auto")
    assert_named(content, {"eth0": {"backup": 100}}, "inbound" if receives else "outbound")


@pytest.mark.parametrize("receives", [False, True])
def test_an_ipvlan_of_a_container(namespace, receives):
    """The same; the kernel may have no such interfaces."""
    it = Host(namespace)
    add(it.host, "link eth0 name iv1 type ipvlan mode l2")
    box = namespace()
    it.host.ip("link", "set", "iv1", "netns", box.name)
    box.ip("addr", "add", "10.8.0.7/24", "dev", "iv1")
    box.ip("link", "set", "iv1", "up")
    sender = Sender("backup", OUTSIDE, 20, receives=receives)
    with listening(it.outside), sending(box, sender):
        content = check(it.host, [], namespaces="auto")
    assert_named(content, {"eth0": {"backup": 100}}, "inbound" if receives else "outbound")


def test_macvlans_beside_each_other(namespace):
    """What one container sends to another one does not cross the uplink."""
    it = Host(namespace)
    boxes = namespace(), namespace()
    for n, box in enumerate(boxes):
        add(it.host, f"link eth0 name mv{n} type macvlan mode bridge")
        it.host.ip("link", "set", f"mv{n}", "netns", box.name)
        box.ip("addr", "add", f"10.8.0.{7 + n}/24", "dev", f"mv{n}")
        box.ip("link", "set", f"mv{n}", "up")
    senders = Sender("copy", "10.8.0.8", 20), Sender("out", OUTSIDE, 10)
    with listening(it.outside, boxes[1]), sending(boxes[0], *senders):
        content = check(it.host, [Sender("own", OUTSIDE, 10)], namespaces="auto")
    assert_named(content, {"eth0": {"own": 50, "out": 50}})


def test_the_datagrams_of_a_container(namespace):
    """No process is known, but the container is, on its veth."""
    it = Host(namespace)
    with sending(it.one, Sender("quic", OUTSIDE, 20, udp=True)):
        content = check(it.host, [], namespaces="auto")
    found = clauses(content, "inbound")["v1"]
    assert re.fullmatch(rf"\d+% not TCP: [\d,]+ UDP datagrams/s in namespace {it.one.name}", found)


def test_an_upload_beside_a_download_of_another_container(namespace):
    """The table of tracked connections says that the upload is not redirected to the other container."""
    it = Host(namespace, nat=True)
    upload, download = Sender("up", OUTSIDE, 20), Sender("down", OUTSIDE, 40, receives=True)
    with listening(it.outside), sending(it.one, upload), sending(it.two, download):
        excluded = ["br0", "v*"]
        content = check(it.host, [], namespaces="auto", rx_threshold_mbps=10**6, exclude_interfaces=excluded)
    assert_named(content, {"eth0": {"up": 100}})


def test_a_download_beside_an_upload_of_another_container(namespace):
    """The other container is read, too: its bytes are its own, and cannot be what the first one received."""
    it = Host(namespace, nat=True)
    upload, download = Sender("up", OUTSIDE, 40), Sender("down", OUTSIDE, 20, receives=True)
    with listening(it.outside), sending(it.one, upload), sending(it.two, download):
        excluded = ["br0", "v*"]
        content = check(it.host, [], namespaces="auto", tx_threshold_mbps=10**6, exclude_interfaces=excluded)
    assert_named(content, {"eth0": {"down": 100}}, "inbound")


@needs_tracepoints
def test_the_datagrams_of_a_container_with_bpf(namespace):
    """The process is named on its veth, the bridge and the uplink."""
    it = Host(namespace)
    with started(it.one, Sender("quic", OUTSIDE, 20, udp=True).run):
        content = check(it.host, [], namespaces="auto", bpf=True)
    text = f"N% by quic[PID] in namespace {it.one.name} to {OUTSIDE}:{PORT}"
    assert all_masked(content, "outbound") == {"eth0": text}
    assert all_masked(content, "inbound") == {"br0": text, "v1": text}


def test_a_container_over_ipv6(namespace):
    """Its route over the host is found like that of IPv4."""
    it = Host(namespace)
    it.host.sysctl("net.ipv6.conf.all.forwarding", 1)
    for end, name, address in (
        (it.host, "eth0", "fd08::1"),
        (it.outside, "p", "fd08::2"),
        (it.host, "br0", "fd09::1"),
        (it.one, "eth0", "fd09::2"),
    ):
        end.ip("addr", "add", f"{address}/64", "dev", name, "nodad")
    it.one.ip("route", "add", "default", "via", "fd09::1")
    it.outside.ip("route", "add", "default", "via", "fd08::1")
    with listening(it.outside), sending(it.one, Sender("backup", "fd08::2", 20)):
        content = check(it.host, [], namespaces="auto")
    text = f"N% by backup[PID] in namespace {it.one.name} to [fd08::2]:{PORT}"
    assert all_masked(content, "outbound") == {"eth0": text}
    assert all_masked(content, "inbound") == {"br0": text, "v1": text}
