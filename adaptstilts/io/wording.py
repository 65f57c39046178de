"""Numbers and lists in sentences: plurals, units and enumerations."""

from __future__ import annotations

from collections.abc import Sequence

DECIMAL = ("", "k", "M", "G", "T")
BYTES = ("B", "KiB", "MiB", "GiB")


def counted(count: int, noun: str, nouns: str = "") -> str:
    """Return a number with its noun: ``1 language``, ``2 languages``, ``12,000 languages``.

    Args:
        count: how many there are.
        noun: what is counted, in the singular.
        nouns: the plural, if it is not the singular with an ``s``.
    """
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def joined(items: Sequence[str], last: str = "and") -> str:
    """Return an enumeration: ``a``, ``a and b``, ``a, b and c``."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def printable(text: str) -> str:
    """Return a text on one line, with escapes for characters that a terminal would act on."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def short_count(value: float) -> str:
    """Return a number with the largest unit that leaves it above one: ``950``, ``2.7M``."""
    number, unit = _scale(value, DECIMAL, 1000)
    return f"{number}{unit}"


def size(value: float) -> str:
    """Return a number of bytes with the largest unit that leaves it above one: ``10.3 MiB``."""
    number, unit = _scale(value, BYTES, 1024)
    return f"{number} {unit}"


def _scale(value: float, units: Sequence[str], step: int) -> tuple[str, str]:
    index = 0
    while value >= step and index < len(units) - 1:
        value, index = value / step, index + 1
    return (f"{value:.1f}" if index else f"{value:.0f}"), units[index]
