"""Plurals, enumerations and units."""

from __future__ import annotations

import pytest

from adaptstilts.io import wording


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 languages"), (1, "1 language"), (2, "2 languages"), (12_000, "12,000 languages")]
)
def test_a_number_agrees_with_its_noun(count: int, text: str) -> None:
    assert wording.counted(count, "language") == text


def test_an_irregular_plural() -> None:
    assert wording.counted(1, "entry", "entries") == "1 entry"
    assert wording.counted(2, "entry", "entries") == "2 entries"


@pytest.mark.parametrize(
    ("items", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (list("abc"), "a, b and c")]
)
def test_an_enumeration(items: list[str], text: str) -> None:
    assert wording.joined(items) == text


def test_units() -> None:
    assert [wording.short_count(n) for n in (0, 950, 1000, 2_700_000, 5e12)] == ["0", "950", "1.0k", "2.7M", "5.0T"]
    assert [wording.size(n) for n in (0, 1023, 1024, 3 * 2**30)] == ["0 B", "1023 B", "1.0 KiB", "3.0 GiB"]
