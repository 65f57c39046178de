"""Plain text in columns, for terminals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

GAP = "  "


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[str] = ()) -> Iterator[str]:
    """Yield a header and rows whose columns are padded to one width.

    Args:
        header: one name per column.
        rows: one cell per column.
        numeric: the columns that are aligned to the right.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    right = [name in numeric for name in header]
    for row in (header, *rows):
        yield GAP.join(map(_cell, row, widths, right)).rstrip()


def _cell(text: str, width: int, right: bool) -> str:
    return text.rjust(width) if right else text.ljust(width)
