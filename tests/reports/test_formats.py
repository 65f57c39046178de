"""Table formats: which one a command writes, what each makes of a document, and one from outside the package."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import toy_format

from adaptstilts.errors import ConfigError
from adaptstilts.reports import formats
from adaptstilts.reports.formats import Bold, Document, Table

TABLE = Table("a_title: 5 %", ("name", "score", ""), (("a|b", Bold("1.5"), "x"), ("c_d", "-", "1")), ("a note",))
DOCUMENT = Document([TABLE], "A summary.", ("name", "score"), [("=1+1", 1.25), ("c_d", None)], {"score": [1.25, None]})


@pytest.fixture
def html() -> Iterator[None]:
    formats.add(toy_format.HTML)
    yield
    formats.REGISTRY.remove("html")


def test_what_ships() -> None:
    assert set(formats.known()) == {"md", "csv", "latex", "json"}
    for name, table_format in formats.known().items():
        assert table_format.name == name
        assert all(ending.startswith(".") and ending == ending.lower() for ending in table_format.endings)


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        (None, None, "md"),
        (None, "r.csv", "csv"),
        (None, "r.CSV", "csv"),
        (None, "r.tex", "latex"),
        (None, "r.json", "json"),
        (None, "r.md", "md"),
        (None, "folder.csv/results", "md"),
        ("latex", None, "latex"),
        ("json", "r.csv", "json"),
        ("md", "r.unknown", "md"),
    ],
)
def test_the_format_named_wins_then_the_ending_decides(name: str | None, path: str | None, expected: str) -> None:
    assert formats.for_output(name, Path(path) if path else None).name == expected


def test_an_unknown_ending_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ConfigError, match=r"^r\.xls: no format has the ending \.xls; use one of \.csv, \.json, "):
        formats.for_output(None, Path("r.xls"))


def test_an_unknown_name_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ConfigError, match=r"^unknown format 'latx'; did you mean latex\?$"):
        formats.for_output("latx")


def test_markdown() -> None:
    assert formats.get("md").render(DOCUMENT).splitlines() == [
        "### a_title: 5 %",
        "",
        "| name |   score |     |",
        "| ---- | ------: | --- |",
        r"| a\|b | **1.5** | x   |",
        "| c_d  |       - | 1   |",
        "",
        "_a note_",
        "",
        "A summary.",
    ]


def test_latex() -> None:
    text = formats.get("latex").render(DOCUMENT)
    assert r"\begin{tabular}{lrl}" in text
    assert r"a|b & \textbf{1.5} & x \\" in text
    assert r"\caption{a\_title: 5 \%. a note}" in text
    escaped = formats.get("latex").render(Document([Table("~^\\", ("a",), ())], "", (), [], None))
    assert r"\caption{\textasciitilde{}\textasciicircum{}\textbackslash{}}" in escaped


def test_csv_has_unrounded_values_and_runs_no_formula() -> None:
    rows = list(csv.reader(io.StringIO(formats.get("csv").render(DOCUMENT))))
    assert rows == [["name", "score"], ["'=1+1", "1.25"], ["c_d", ""]]


def test_json_has_the_data() -> None:
    assert json.loads(formats.get("json").render(DOCUMENT)) == {"score": [1.25, None]}


@pytest.mark.parametrize("name", ["md", "csv", "latex", "json"])
def test_an_empty_document(name: str) -> None:
    assert formats.get(name).render(Document([], "", (), [], [])).endswith("\n")


@pytest.mark.usefixtures("html")
def test_a_format_from_outside() -> None:
    assert formats.for_output(None, Path("r.htm")).name == "html"
    text = formats.get("html").render(DOCUMENT)
    assert "<tr><td>a|b</td><td><b>1.5</b></td><td>x</td></tr>" in text


def test_a_class_is_no_member() -> None:
    """A module has the class of its format beside the instance; only the instance is one."""
    assert all(not isinstance(table_format, type) for table_format in formats.known().values())


class Broken(toy_format.Html):
    """A format whose ``render`` does whatever the test says."""

    def __init__(self, rendered: object, endings: object = (".broken",)) -> None:
        for name, value in (("name", "broken"), ("endings", endings), ("rendered", rendered)):
            object.__setattr__(self, name, value)

    def render(self, document: Document) -> Any:
        if isinstance(self.rendered, Exception):  # type: ignore[attr-defined]
            raise self.rendered  # type: ignore[attr-defined]
        return self.rendered  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("rendered", "reason"),
    [
        (ValueError("one\ntwo"), r"format broken: cannot render the tables \(ValueError: one\)$"),
        (b"bytes", "format broken: expected text from render, found bytes$"),
        (None, "format broken: expected text from render, found NoneType$"),
    ],
)
def test_a_format_that_fails_is_named(rendered: object, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        formats.rendered(Broken(rendered), DOCUMENT)


@pytest.mark.parametrize("endings", [".html", None, ("html",), (1,)])
def test_wrong_endings_are_refused(endings: object) -> None:
    with pytest.raises(ConfigError, match=r"^format 'broken': endings: expected a tuple of endings with their dots"):
        formats.add(Broken("", endings))
    assert "broken" not in formats.known()
