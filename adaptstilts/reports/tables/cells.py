"""The text of single cells."""

from __future__ import annotations

from collections.abc import Iterable

from adaptstilts.io import wording
from adaptstilts.metrics.bootstrap import Difference

NOTHING = "-"


def points(value: float | None) -> str:
    """Return a score with one decimal."""
    return NOTHING if value is None else f"{value:.1f}"


def difference(value: Difference | None) -> str:
    """Return a difference with its interval: ``+1.8 [-0.3, +4.3]``."""
    return NOTHING if value is None else f"{value.value:+.1f} [{value.low:+.1f}, {value.high:+.1f}]"


def count(value: int | None) -> str:
    """Return a number of parameters: ``2.7M``."""
    return NOTHING if value is None else wording.short_count(value)


def size(value: int | None) -> str:
    """Return a number of bytes: ``10.3 MiB``."""
    return NOTHING if value is None else wording.size(value)


def metric(name: str) -> str:
    """Return the name of a metric as a heading."""
    return name.replace("_", " ")


def unique(items: Iterable[str]) -> list[str]:
    """Return the items in order, each once."""
    return list(dict.fromkeys(items))
