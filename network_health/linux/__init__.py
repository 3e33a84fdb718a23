"""Readings straight from the Linux kernel: one kernel source a file, reading and parsing apart."""
