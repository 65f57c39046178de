"""Markdown tables: widths, alignment, and tables of no rows."""

from __future__ import annotations

from adaptstilts.io import markdown


def test_columns_are_padded_to_one_width() -> None:
    text = markdown.table(("name", "n"), [("a", "1000"), ("longer", "2")])
    assert text.splitlines() == ["| name   | n    |", "| ------ | ---- |", "| a      | 1000 |", "| longer | 2    |"]


def test_numbers_are_aligned_to_the_right() -> None:
    text = markdown.table(("name", "n"), [("a", "1000"), ("b", "2")], right=(False, True))
    assert text.splitlines() == ["| name |    n |", "| ---- | ---: |", "| a    | 1000 |", "| b    |    2 |"]


def test_without_padding_a_cell_is_as_long_as_its_text() -> None:
    text = markdown.table(("name", ""), [("a" * 9, "1")], padded=False)
    assert text.splitlines() == ["| name |  |", "| --- | --- |", "| aaaaaaaaa | 1 |"]


def test_no_rows() -> None:
    assert markdown.table(("a",), []).splitlines() == ["| a   |", "| --- |"]
