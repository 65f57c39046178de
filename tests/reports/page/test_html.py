"""Pages as HTML: order, escaping, no request, no script needed, and a limit on their size."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

from adaptstilts.reports.formats import Bold, Table
from adaptstilts.reports.page import html
from adaptstilts.reports.page.charts.dots import Dot, Dots
from adaptstilts.reports.page.model import Answer, Evidence, Fact, Figure, KeyText, Number, Page, Provenance, Section

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
FORMULA = "=cmd('calc')!A1"


class Reader(HTMLParser):
    """Collects tags, attributes and the text of table cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def figure(name: str, text: str = "xnli", count: int = 1) -> Figure:
    dots = [Dot(f"{text} {number}", text, text, 40.0) for number in range(count)]
    return Figure(name, text, text, Dots(dots, text, [text]))


def table(text: str = "xnli", count: int = 1) -> Table:
    row = (text, Bold("1.5"), KeyText("0123456789ab"))
    return Table(f"table of {text}", ("task", "score", "entry"), (row,) * count, (text,))


def page(text: str = "xnli", **changed: Any) -> Page:
    section = Section(text=text, figures=[figure("languages", text)], tables=[table(text)])
    whole = Page(
        title=text,
        subtitle=text,
        answer=Answer(f"{text}?", text, "effect", text, [Number(text, "+1.0", text)], [text]),
        trust=[Fact(text, "3", text, is_warning=True), Fact("Languages", "2")],
        figure=Section(figures=[figure("main", text)]),
        evidence=Section(tables=[table(text)]),
        languages=section,
        further=[Section("Swapped adapters", tables=[table(text)]), Section()],
        costs=Section(tables=[table(text)]),
        checks=Section(text=text),
        provenance=Provenance(
            study=f"name: x # {text}",
            overrides=[text],
            evidence=[
                Evidence(text, "adaptstilts verify", ["0123456789ab"]),
                Evidence("again", "verify", ["0123456789ab"]),
            ],
            tables=[table(text)],
        ),
    )
    return replace(whole, **changed)


def test_the_order_is_that_of_a_reviewer() -> None:
    text = html.render(page())
    sections = [tag.get("id") for tag in Reader(text).all("section")]
    assert sections == [
        "answer",
        "trust",
        "figure",
        "evidence",
        "languages",
        "further-1",
        "costs",
        "checks",
        "provenance",
    ]
    assert "no effect within the margin" not in text
    assert '<span class="chip">effect</span>' in text


def test_an_empty_page_has_only_its_answer() -> None:
    empty = Page("x", "", Answer("q?", "Nothing is computed yet.", "not resolved", ""))
    text = html.render(empty)
    assert [tag.get("id") for tag in Reader(text).all("section")] == ["answer", "trust", "provenance"]
    assert '<span class="chip">not resolved</span>' in text


def test_nothing_is_requested() -> None:
    text = html.render(page())
    reader = Reader(text)
    for tag, attributes in reader.tags:
        assert tag not in ("img", "iframe", "object", "embed", "audio", "video", "base", "form")
        for name in ("src", "href", "action", "poster", "data", "srcset"):
            assert str(attributes.get(name, "#")).startswith(("#", "data:,")), (tag, attributes)
    assert re.findall(r"@import|url\((?!#)", text) == []
    (policy,) = [tag["content"] for tag in reader.all("meta") if tag.get("http-equiv") == "Content-Security-Policy"]
    assert str(policy).startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-")


def test_the_policy_allows_the_one_script_and_no_other() -> None:
    text = html.render(page())
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
    assert len(script.splitlines()) < 200


def test_hostile_text_does_nothing() -> None:
    text = html.render(page(HOSTILE))
    reader = Reader(text)
    assert len(reader.all("script")) == 1
    assert reader.all("img") == []
    for tag, attributes in reader.tags:
        assert not any(name.startswith("on") for name in attributes), tag
    assert "alert(1)" in text  # it is there, as text


def test_a_formula_does_nothing_in_the_data_of_a_figure() -> None:
    text = html.render(page(FORMULA))
    data = re.findall(r'<pre tabindex="0" aria-label="CSV">(.*?)</pre>', text, re.DOTALL)
    assert len(data) == 2
    for csv in data:
        cells = [cell for line in csv.splitlines() for cell in line.split(",")]
        assert not any(cell.startswith(("=", "+", "@")) for cell in cells)
        assert "&#39;=cmd" in csv


def test_tables_are_real_tables() -> None:
    reader = Reader(html.render(page()))
    tables, captions = reader.all("table"), reader.all("caption")
    assert len(tables) == len(captions) == 6
    scopes = [tag.get("scope") for tag in reader.all("th")]
    assert set(scopes) == {"col", "row"}
    for drawing in reader.all("svg"):
        assert drawing["role"] == "img"
        ids = {tag.get("id") for _, tag in reader.tags}
        assert {drawing["aria-labelledby"], drawing["aria-describedby"]} <= ids


def test_ids_are_unique_and_links_lead_somewhere() -> None:
    reader = Reader(html.render(page()))
    ids = [tag["id"] for _, tag in reader.tags if "id" in tag]
    assert len(ids) == len(set(ids))
    targets = {str(tag["href"])[1:] for tag in reader.all("a")}
    assert "key-0123456789ab" in targets
    assert targets <= set(ids)


def test_the_same_page_gives_the_same_bytes() -> None:
    assert html.render(page()) == html.render(page())


@pytest.mark.slow
def test_what_is_too_much_is_left_out_and_named() -> None:
    large = Section(figures=[figure("large", "long" * 10, 100)], tables=[table("long" * 20, 200)])
    whole = page(further=[large])
    size = len(html.render(whole).encode())
    without_data = html.render(whole, size - 1)
    assert "The data of this figure are left out" in without_data
    assert "Left out to keep this page small" not in without_data
    smallest = html.render(whole, 60_000)
    assert len(smallest.encode()) <= 60_000
    assert "Left out to keep this page small: table of" in smallest
    figures = [tag.get("id") for tag in Reader(smallest).all("figure")]
    assert figures == ["fig-main", "fig-languages", "fig-large"]  # their headings stay
    assert 'aria-labelledby="fig-main-title"' in smallest
    assert 'aria-labelledby="fig-large-title"' not in smallest
