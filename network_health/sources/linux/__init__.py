"""Reads the Linux kernel's own interfaces: one module per source, reading separate from parsing.

In: the parameters of one reading. Out: the value types of `network_health.model`.
"""

from network_health.sources.linux.boot import read_boot_id
from network_health.sources.linux.bpf import CallCounter, Calls
from network_health.sources.linux.carried_bytes import read_carried
from network_health.sources.linux.cgroups import container_and_unit, read_cgroup_path, read_container_and_unit
from network_health.sources.linux.closed_sockets import ClosedSockets
from network_health.sources.linux.connection_counts import read_connections
from network_health.sources.linux.conntrack import read_conntrack_sources, tracks_connections
from network_health.sources.linux.conntrack_destinations import read_destinations
from network_health.sources.linux.conntrack_flows import FlowListing, is_accounting, read_flows
from network_health.sources.linux.default_routes import read_default_routes
from network_health.sources.linux.forwarding_table import read_bridge_ports, read_unicast_addresses
from network_health.sources.linux.half_open import read_half_open
from network_health.sources.linux.interface_addresses import (
    InterfaceAddress,
    network_of,
    read_interface_addresses,
)
from network_health.sources.linux.interface_counters import CounterReader
from network_health.sources.linux.ip_counters import read_ip_counters
from network_health.sources.linux.link_loss import read_loss_kinds
from network_health.sources.linux.memory import release_memory
from network_health.sources.linux.namespace_entry import call_in_namespace, calls_in_namespaces
from network_health.sources.linux.namespace_ids import read_namespace_ids
from network_health.sources.linux.namespace_reader import NamespaceReader
from network_health.sources.linux.namespaces import (
    NetworkNamespace,
    own_path,
    read_namespace_of,
    read_namespaces,
)
from network_health.sources.linux.next_hops import read_hardware_addresses, read_unanswered
from network_health.sources.linux.owners import OwnerFinder, SocketOwners, find_owners_first_in
from network_health.sources.linux.proc_sockets import read_connections_from_proc
from network_health.sources.linux.process_visibility import HIDEPID, PID_NAMESPACE, read_obstacle
from network_health.sources.linux.procfs import (
    ProcessReader,
    is_running,
    read_command,
    read_descriptor_count,
    read_name,
    read_process_details,
    read_start_time,
    read_user,
    require_proc,
    user_name,
)
from network_health.sources.linux.protocols import read_protocols
from network_health.sources.linux.route_changes import ChangedRoutes, RouteChanges
from network_health.sources.linux.routes import MAX_ROUTES, Flow, Route, Rules, read_routes, read_rules
from network_health.sources.linux.rtnetlink import LinkReader, read_links
from network_health.sources.linux.scripts import read_script
from network_health.sources.linux.socket_groups import (
    SocketListing,
    SocketUser,
    read_socket_groups,
    read_socket_groups_in,
    read_users,
)
from network_health.sources.linux.sockets import read_connected_to, read_listeners
from network_health.sources.linux.sysctl import has_limits, is_forwarding
from network_health.sources.linux.tcp_bytes import read_tcp_bytes
from network_health.sources.linux.udp_sockets import read_lossy_udp_sockets

__all__ = [
    "HIDEPID",
    "MAX_ROUTES",
    "PID_NAMESPACE",
    "CallCounter",
    "Calls",
    "ChangedRoutes",
    "ClosedSockets",
    "CounterReader",
    "Flow",
    "FlowListing",
    "InterfaceAddress",
    "LinkReader",
    "NamespaceReader",
    "NetworkNamespace",
    "OwnerFinder",
    "ProcessReader",
    "Route",
    "RouteChanges",
    "Rules",
    "SocketListing",
    "SocketOwners",
    "SocketUser",
    "call_in_namespace",
    "calls_in_namespaces",
    "container_and_unit",
    "find_owners_first_in",
    "has_limits",
    "is_accounting",
    "is_forwarding",
    "is_running",
    "network_of",
    "own_path",
    "read_boot_id",
    "read_bridge_ports",
    "read_carried",
    "read_cgroup_path",
    "read_command",
    "read_connected_to",
    "read_connections",
    "read_connections_from_proc",
    "read_conntrack_sources",
    "read_container_and_unit",
    "read_default_routes",
    "read_descriptor_count",
    "read_destinations",
    "read_flows",
    "read_half_open",
    "read_hardware_addresses",
    "read_interface_addresses",
    "read_ip_counters",
    "read_links",
    "read_listeners",
    "read_loss_kinds",
    "read_lossy_udp_sockets",
    "read_name",
    "read_namespace_ids",
    "read_namespace_of",
    "read_namespaces",
    "read_obstacle",
    "read_process_details",
    "read_protocols",
    "read_routes",
    "read_rules",
    "read_script",
    "read_socket_groups",
    "read_socket_groups_in",
    "read_start_time",
    "read_tcp_bytes",
    "read_unanswered",
    "read_unicast_addresses",
    "read_user",
    "read_users",
    "release_memory",
    "require_proc",
    "tracks_connections",
    "user_name",
]
