"""A table format from outside the package: everything that a plug-in needs, in one file."""

from __future__ import annotations

from dataclasses import dataclass

from adaptstilts.reports.formats import Bold, Document


@dataclass(frozen=True)
class Html:
    """Tables as a fragment of a web page."""

    name: str = "html"
    endings: tuple[str, ...] = (".html", ".htm")

    def render(self, document: Document) -> str:
        lines = []
        for table in document.tables:
            lines += [f"<h3>{table.title}</h3>", "<table>", *map(row, table.rows), "</table>"]
        return "\n".join(lines) + "\n"


def row(cells: tuple[str, ...]) -> str:
    return "<tr>" + "".join(map(cell, cells)) + "</tr>"


def cell(text: str) -> str:
    return f"<td><b>{text}</b></td>" if isinstance(text, Bold) else f"<td>{text}</td>"


HTML = Html()
