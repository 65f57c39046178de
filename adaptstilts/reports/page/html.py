"""Write a page as one HTML file that needs no network and no script.

The template escapes every text. A policy in the page forbids all requests, and every script but the one that sorts and
filters tables, which is named by its hash.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

from adaptstilts.reports.formats import Bold, Table
from adaptstilts.reports.formats.csv import csv_text
from adaptstilts.reports.page import drawing
from adaptstilts.reports.page.model import KeyText, Page, Section

LIMIT = 300 * 1024  # bytes of a page
_TEMPLATES = "templates"
_VERDICTS = {
    "effect": "effect",
    "no effect": "no effect within the margin",
    "not resolved": "not resolved",
}


@dataclass(frozen=True)
class _Parts:
    """The parts for which a page has room.

    Attributes:
        drawings: figure -> its SVG; empty if it is left out.
        data: figure -> its CSV; empty if it is left out.
        tables: those of sections that are not left out.
    """

    drawings: Mapping[str, str]
    data: Mapping[str, str]
    tables: Sequence[Table]


def render(page: Page, limit: int = LIMIT) -> str:
    """Return the HTML of a page.

    Args:
        page: what it says.
        limit: bytes that it may have. If there is too much, parts are left out, and the page says so: first the data
            of figures, then tables and figures from the last one, but never the first figure or the evidence.

    Raises:
        ResourceError: matplotlib or jinja2 is not installed.
    """
    drawing.require_libraries()
    drawings = {figure.name: drawing.svg(figure) for figure in page.figures}
    data = {figure.name: csv_text(figure.chart.columns, figure.chart.rows()) for figure in page.figures}
    whole = _Parts(drawings, data, page.tables)
    text = _fill(page, whole)
    for smaller in _smaller(page, whole):
        if len(text.encode()) <= limit:
            break
        text = _fill(page, smaller)
    return text


def _smaller(page: Page, parts: _Parts) -> Iterator[_Parts]:
    """Yield what is left after one more thing is left out."""
    for name in sorted(parts.data, key=lambda name: -len(parts.data[name])):
        parts = replace(parts, data={**parts.data, name: ""})
        yield parts
    for section in reversed(page.sections):
        for table in () if section is page.evidence else reversed(section.tables):
            parts = replace(parts, tables=[other for other in parts.tables if other is not table])
            yield parts
        for figure in reversed(section.figures):
            if figure is not page.figures[0]:
                parts = replace(parts, drawings={**parts.drawings, figure.name: ""})
                yield parts


def _fill(page: Page, parts: _Parts) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__package__ or "", _TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["bold"] = lambda cell: isinstance(cell, Bold)
    environment.tests["key"] = lambda cell: isinstance(cell, KeyText)
    script = _asset("script.js")
    return environment.get_template("page.html").render(
        page=page,
        parts=parts,
        verdict=_VERDICTS[page.answer.verdict],
        numeric=_numeric,
        contents=_contents(page),
        anchors=_anchors(page),
        style=_asset("style.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _numeric(table: Table) -> tuple[bool, ...]:
    return table.numeric()


def _contents(page: Page) -> list[tuple[str, str, Section]]:
    """Return the sections that are not empty, in order, each with the name of its place and its usual heading."""
    sections = [
        ("figure", "The figure", page.figure),
        ("evidence", "Evidence", page.evidence),
        ("languages", "By language", page.languages),
        *((f"further-{number}", "", section) for number, section in enumerate(page.further, 1)),
        ("costs", "Costs", page.costs),
        ("checks", "Checks", page.checks),
    ]
    return [part for part in sections if not part[2].is_empty]


def _anchors(page: Page) -> dict[str, int]:
    """Return for every key the number of the first evidence that has it, which links lead to."""
    anchors: dict[str, int] = {}
    for number, evidence in enumerate(page.provenance.evidence):
        for key in evidence.keys:
            anchors.setdefault(key, number)
    return anchors


def _asset(name: str) -> str:
    return files(__package__ or "").joinpath(_TEMPLATES, name).read_text(encoding="utf-8")
