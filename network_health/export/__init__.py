"""Exports the metrics of reports to Prometheus: to a file, or at an HTTP address.

In: a `Report`. Out: Prometheus' text format. The client library is loaded only if a setting asks for it.
"""

from network_health.export.bounded_server import BoundedServer, QuietHandler, socket_address
from network_health.export.exporter import INSTALL_COMMAND, Exporter

__all__ = ["INSTALL_COMMAND", "BoundedServer", "Exporter", "QuietHandler", "socket_address"]
