"""Exports the metrics of reports to Prometheus: to a file, or at an HTTP address.

In: a `Report`. Out: Prometheus' text format.
"""

from network_health.export.bounded_server import BoundedServer, QuietHandler, socket_address
from network_health.export.exporter import Exporter

__all__ = ["BoundedServer", "Exporter", "QuietHandler", "socket_address"]
