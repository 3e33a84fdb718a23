"""Writes metrics in Prometheus' text format, version 0.0.4. Pure.

From https://prometheus.io/docs/instrumenting/exposition_formats/. Prometheus' client library takes ten times
as long for the samples of 1,000 interfaces: more than the check that they come from.

Guarantees: any text can be the value of a label. An unknown value has no sample, and a family without samples
is left out.
"""

from __future__ import annotations

from collections.abc import Iterable

#: The labels as `labels` writes them, and the value; ``None`` is unknown.
Sample = tuple[str, float | None]

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def labels(**values: str) -> str:
    """``{device="eth0",kind="veth"}``; a label that is empty is left out: the same for Prometheus."""
    parts = [f'{name}="{text.translate(_ESCAPES)}"' for name, text in values.items() if text]
    return f"{{{','.join(parts)}}}" if parts else ""


def family(name: str, meaning: str, samples: Iterable[Sample]) -> str:
    """The lines of one metric; a counter has a name that ends in ``_total``."""
    full = f"network_health_{name}"
    lines = "".join([f"{full}{where} {value}\n" for where, value in samples if value is not None])
    kind = "counter" if name.endswith("_total") else "gauge"
    return f"# HELP {full} {meaning}\n# TYPE {full} {kind}\n{lines}" if lines else ""


def single(name: str, meaning: str, value: float | None) -> str:
    """The lines of a metric that has no labels."""
    return family(name, meaning, [("", value)])
