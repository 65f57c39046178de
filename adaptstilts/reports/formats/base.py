"""Table formats, and the documents that they render."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

_NUMBER = re.compile(r"[+-]?\d.*|-|")


class Bold(str):
    """The text of a cell that stands out from its neighbours."""

    __slots__ = ()


@dataclass(frozen=True)
class Table:
    """A titled table of rounded values, for people to read, with remarks below it."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def numeric(self) -> tuple[bool, ...]:
        """Tell for each column whether all its cells are numbers or empty."""
        if not self.rows:
            return (False,) * len(self.header)
        return tuple(all(map(_NUMBER.fullmatch, column)) for column in zip(*self.rows, strict=True))


@dataclass(frozen=True)
class Document:
    """Everything that one command reports; a format renders the parts that suit it.

    Attributes:
        tables: rounded values, as people read them.
        summary: a sentence to end with; may be empty.
        columns: names of the values in ``rows``.
        rows: unrounded values, one row per result, as spreadsheets read them; None for what is not known.
        data: the same values and more, as nested JSON values.
    """

    tables: Sequence[Table]
    summary: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | float | None]]
    data: Any


@runtime_checkable
class TableFormat(Protocol):
    """One way to write a document.

    ``endings`` are those of files that hold it, each with its dot and in lower case.
    """

    @property
    def name(self) -> str:
        """Return its name for ``--format``."""

    @property
    def endings(self) -> tuple[str, ...]:
        """Return the endings of its files."""

    def render(self, document: Document) -> str:
        """Return the text of a document; it ends with a line break."""
