"""Markdown: tables under headings, with their remarks, and the summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adaptstilts.io import markdown
from adaptstilts.reports.formats.base import Bold, Document, Table


@dataclass(frozen=True)
class Markdown:
    """Tables as people read them on a terminal or on a web page."""

    name: str = "md"
    endings: tuple[str, ...] = (".md", ".markdown")

    def render(self, document: Document) -> str:
        """Return all tables, then the summary."""
        parts = [table_text(table) for table in document.tables]
        if document.summary:
            parts.append(document.summary)
        return "\n\n".join(parts) + "\n"


def table_text(table: Table) -> str:
    """Return one table with its heading and its remarks."""
    text = f"### {table.title}\n\n{markdown.table(_row(table.header), [*map(_row, table.rows)], table.numeric())}"
    if table.notes:
        text += "\n\n" + "  \n".join(f"_{note}_" for note in table.notes)
    return text


def _row(cells: Sequence[str]) -> list[str]:
    return [_cell(text) for text in cells]


def _cell(text: str) -> str:
    escaped = text.replace("|", r"\|")
    return f"**{escaped}**" if isinstance(text, Bold) else escaped


MARKDOWN = Markdown()
