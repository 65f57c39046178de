"""Plain text in columns, for terminals."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence

import typer

GAP = "  "
INDENT = "    "
_LEAST = 30  # narrowest last column; if there is less space, it goes below the others


def terminal_width() -> int | None:
    """Return how many characters fit on a line of the terminal; None if the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def wrapped(line: str, width: int | None) -> Iterator[str]:
    """Yield a line in parts that fit, all but the first indented.

    Args:
        line: any text.
        width: characters of a part; None to leave the line as it is.
    """
    if width is None or len(line) <= width:
        yield line
        return
    margin = line[: len(line) - len(line.lstrip())]
    yield from textwrap.wrap(
        line.strip(),
        max(width, len(margin) + 2 * len(INDENT)),
        initial_indent=margin,
        subsequent_indent=margin + INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )


def print_lines(lines: Iterable[str]) -> None:
    """Print lines that are wrapped at the edge of the terminal."""
    width = terminal_width()
    for line in lines:
        for part in wrapped(line, width):
            typer.echo(part)


def aligned(
    header: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[str] = (), width: int | None = None
) -> Iterator[str]:
    """Yield a header and rows whose columns are padded to one width.

    Args:
        header: one name per column.
        rows: one cell per column.
        numeric: the columns that are aligned to the right.
        width: characters of a line. If rows do not fit, their last column is wrapped, or goes below the others if these
            leave too little space. None for no limit.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    right = [name in numeric for name in header]
    start = sum(widths[:-1]) + len(GAP) * (len(widths) - 1)
    for row in (header, *rows):
        cells = [*map(_cell, row, widths, right)]
        if width is None or start + widths[-1] <= width:
            yield GAP.join(cells).rstrip()
        elif width - start < _LEAST:
            yield GAP.join(cells[:-1]).rstrip()
            yield from textwrap.wrap(row[-1], width, initial_indent=INDENT, subsequent_indent=INDENT)
        else:
            first, *others = textwrap.wrap(row[-1], width - start) or [""]
            yield GAP.join([*cells[:-1], first]).rstrip()
            yield from (" " * start + other for other in others)


def _cell(text: str, width: int, right: bool) -> str:
    return text.rjust(width) if right else text.ljust(width)
