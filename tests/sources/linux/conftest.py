"""The kernels whose recordings are read."""

import pytest

from tests.sources.linux import recorded


@pytest.fixture(params=recorded.KERNELS)
def each_kernel(request, monkeypatch):
    """The recordings of each kernel in turn."""
    monkeypatch.setattr(recorded, "kernel", request.param)
    return request.param
