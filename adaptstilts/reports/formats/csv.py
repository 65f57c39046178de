"""CSV: one row per result, values unrounded."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from adaptstilts.reports.formats.base import Document

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Csv:
    """Values for spreadsheets and scripts; text that a spreadsheet would run gets an apostrophe in front."""

    name: str = "csv"
    endings: tuple[str, ...] = (".csv",)

    def render(self, document: Document) -> str:
        """Return the rows of a document under their column names."""
        return csv_text(document.columns, document.rows)


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[str | float | None]]) -> str:
    """Return a table as CSV that no spreadsheet runs.

    Args:
        columns: names of the values.
        rows: unrounded values, None for what is not known.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_cell, columns))
    for row in rows:
        writer.writerow(map(_cell, row))
    return text.getvalue()


def _cell(value: str | float | None) -> str | float:
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


CSV = Csv()
