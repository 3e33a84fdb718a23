"""Runs the tests on other processors: real Pythons and kernels of Debian, below an emulator."""
