"""LaTeX: one ``table`` environment for each table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adaptstilts.reports.formats.base import Bold, Document, Table

_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
    }
)


@dataclass(frozen=True)
class Latex:
    """Tables for a paper; they need no package."""

    name: str = "latex"
    endings: tuple[str, ...] = (".tex",)

    def render(self, document: Document) -> str:
        """Return all tables; their remarks go into the captions."""
        return "\n\n".join(map(_table, document.tables)) + "\n"


def _table(table: Table) -> str:
    columns = "".join("r" if numeric else "l" for numeric in table.numeric())
    caption = ". ".join([table.title, *table.notes])
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\hline",
        rf"{_row(table.header)} \hline",
        *map(_row, table.rows),
        r"\hline",
        r"\end{tabular}",
        rf"\caption{{{_escape(caption)}}}",
        r"\end{table}",
    ]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return " & ".join(map(_cell, cells)) + r" \\"


def _cell(text: str) -> str:
    escaped = _escape(text)
    return rf"\textbf{{{escaped}}}" if isinstance(text, Bold) else escaped


def _escape(text: str) -> str:
    return text.translate(_ESCAPES)


LATEX = Latex()
