"""The figures of a report for Prometheus: in a file for node_exporter, or served over HTTP.

exporter = Exporter(log=print)                                 # after each check:
report = exporter.publish(monitor.check(), monitor.settings)   # where the settings want it

The client library is the extra ``[prometheus]``: it is loaded when a setting asks for it, not before.
"""

from network_health.export.exporter import Exporter

__all__ = ["Exporter"]
