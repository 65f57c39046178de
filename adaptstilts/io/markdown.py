"""Tables in Markdown, aligned so that they also read well as plain text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from adaptstilts.io.wording import printable

_MARKUP = re.compile(r"[\\`*\[\]<>|]")
_RULE = "---"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool] = (), padded: bool = True) -> str:
    """Return a Markdown table.

    Cells are written as they are: the caller escapes text that could end a cell.

    Args:
        header: one name per column.
        rows: one cell per column.
        right: for each column, whether it is aligned to the right; empty for none.
        padded: pad the cells of a column to one width; best turned off if single cells are very long.
    """
    flush = list(right) or [False] * len(header)
    widths = [len(_RULE)] * len(header)
    if padded:
        widths = [max(len(_RULE), *map(len, column)) for column in zip(header, *rows, strict=True)]
    rules = [_rule(width, to_the_right) for width, to_the_right in zip(widths, flush, strict=True)]
    lines = [_line(row, widths if padded else [0] * len(row), flush) for row in (header, rules, *rows)]
    return "\n".join(lines)


def escape(text: str) -> str:
    """Return a text that Markdown, and the HTML made from it, shows as it is, on one line."""
    return _MARKUP.sub(r"\\\g<0>", printable(text))


def _rule(width: int, to_the_right: bool) -> str:
    return "-" * (width - 1) + ":" if to_the_right else "-" * width


def _line(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    cells = []
    for cell, width, to_the_right in zip(row, widths, right, strict=True):
        cells.append(cell.rjust(width) if to_the_right else cell.ljust(width))
    return f"| {' | '.join(cells)} |"
