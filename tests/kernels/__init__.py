"""Runs the live tests on Debian's kernels, each in an emulated machine."""
