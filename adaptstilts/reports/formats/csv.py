"""CSV: one row per result, values unrounded."""

from __future__ import annotations

import csv
import io
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
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(document.columns)
        for row in document.rows:
            writer.writerow(map(_cell, row))
        return text.getvalue()


def _cell(value: str | float | None) -> str | float:
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


CSV = Csv()
