"""Figures as SVG in a page and as files: theme, ids, hostile text, and the same bytes every time."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

import matplotlib

from adaptstilts.errors import ResourceError
from adaptstilts.reports.page import drawing
from adaptstilts.reports.page.charts.forest import Contrast, Forest
from adaptstilts.reports.page.model import Figure
from adaptstilts.reports.page.palette import VARIABLES

HOSTILE = '<script>alert("1")</script> $x^2$ &amp;'
# text that looks like what is rewritten, and would end a style if it were
STYLED = 'a style="}</style><script>alert(1)</script>" id="x" fill="#1b1d22" xlink:href="#x" <g id="tip.x">'


def figure(name: str = "changes", text: str = "xnli") -> Figure:
    contrast = Contrast(text, f"{text}, full", text, 1.0, 0.5, 1.5, (0.8, 1.2))
    return Figure(name, text, text, Forest([contrast], text, [text], margin=1.0))


def test_colours_follow_the_theme() -> None:
    svg = drawing.svg(figure())
    assert "var(--ink)" in svg
    assert "var(--series-0)" in svg
    assert not any(colour in svg for colour in VARIABLES)


def test_ids_are_used_and_begin_with_the_name_of_the_figure() -> None:
    svg = drawing.svg(figure("other"))
    ids = re.findall(r' id="([^"]*)"', svg)
    references = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg))
    assert len(ids) == len(set(ids))
    assert set(ids) == references
    assert all(name.startswith("fig-other-") for name in ids)


@pytest.mark.parametrize("text", [HOSTILE, STYLED])
def test_hostile_text_stays_text(text: str) -> None:
    svg = drawing.svg(figure(text=text))
    root = ElementTree.fromstring(svg)
    assert [node for node in root.iter() if node.tag.endswith("script")] == []
    assert "<script" not in svg
    labels = ["".join(node.itertext()) for node in root.iter("text")]
    assert labels.count(text) >= 2
    tips = [node.text or "" for node in root.iter("title")]
    assert any(text in tip for tip in tips)


@pytest.mark.parametrize("name", ["", "1a", "a b", 'a"><script>'])
def test_the_name_of_a_figure_is_plain(name: str) -> None:
    with pytest.raises(ValueError, match="letters, digits and hyphens"):
        figure(name)


def test_no_address_is_in_the_drawing() -> None:
    assert re.findall(r"https?:|//|@import|src=", drawing.svg(figure())) == []


def test_settings_of_the_user_change_nothing() -> None:
    before = drawing.svg(figure())
    with matplotlib.rc_context({"font.size": 30, "axes.grid": False, "svg.fonttype": "path"}):
        assert drawing.svg(figure()) == before
        assert matplotlib.rcParams["font.size"] == 30


@pytest.mark.slow
def test_files_for_papers_are_light_and_the_same_every_time(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        drawing.save_all([figure()], tmp_path / folder, drawing.FORMATS)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["changes.pdf", "changes.png", "changes.svg"]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert (tmp_path / "a" / "changes.pdf").read_bytes().startswith(b"%PDF")
    assert "var(--" not in (tmp_path / "a" / "changes.svg").read_text(encoding="utf-8")


def test_files_that_cannot_be_written_are_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ResourceError, match="cannot be written"):
        drawing.save_all([figure()], tmp_path / "file" / "figures", ["png"])


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing.importlib.util, "find_spec", lambda name: None if name == "matplotlib" else object())
    with pytest.raises(
        ResourceError, match=r"^matplotlib: not installed; install the extra report: adaptstilts\[report\]$"
    ):
        drawing.require_libraries()
