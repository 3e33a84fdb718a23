"""The tests; conftest.py says who may run which."""
