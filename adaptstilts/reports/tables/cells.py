"""The text of single cells."""

from __future__ import annotations

from collections.abc import Iterable

from adaptstilts.io import wording
from adaptstilts.metrics.intervals import Difference

NOTHING = "-"


def points(value: float | None) -> str:
    """Return a score with one decimal."""
    return NOTHING if value is None else f"{value:.1f}"


def difference(value: Difference | None) -> str:
    """Return a difference with its interval: ``+1.8 [-0.3, +4.3]``; of one seed with what other rows would change.

    The latter is no interval for the difference, as training noise is not in it: ``+1.8 (rows ±2.3)``.
    """
    if value is None:
        return NOTHING
    if value.seeds < 2:
        return f"{value.value:+.1f} (rows ±{(value.high - value.low) / 2:.1f})"
    return f"{value.value:+.1f} [{value.low:+.1f}, {value.high:+.1f}]"


def difference_with_p(value: Difference | None) -> str:
    """Return a difference with its interval and its corrected p-value: ``+1.8 [+0.3, +3.3], p 0.02``."""
    text = difference(value)
    return text if p_value(value) == NOTHING else f"{text}, p {p_value(value)}"


def p_value(value: Difference | None) -> str:
    """Return the corrected p-value of a difference."""
    if value is None or value.holm is None:
        return NOTHING
    return "<0.001" if value.holm < 0.001 else f"{value.holm:.3f}"


def detectable(value: Difference | None) -> str:
    """Return the smallest true difference that such a comparison finds in 80 of 100 studies."""
    if value is None or value.holm is None:
        return NOTHING
    return f"{value.detectable:.1f}"


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
