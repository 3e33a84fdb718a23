"""Tests on a real kernel, in network namespaces; root."""
