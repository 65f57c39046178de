"""Spans of tokens are whole characters as a reader takes them, without what cannot be seen."""

from __future__ import annotations

import pytest

from adaptstilts.models.graphemes import visible, whole

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
FLAG = "\U0001f1e9\U0001f1ea"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (" answer\u00a0", "answer"),
        ("answer\u200b", "answer"),
        ("\ufeffanswer\r\n", "answer"),
        ("\u200eאב\u200f", "אב"),
        ("\u200b \u2060", ""),
        ("two words", "two words"),
    ],
)
def test_visible(text: str, seen: str) -> None:
    begin, end = visible(text, 0, len(text))
    assert text[begin:end] == seen


@pytest.mark.parametrize(
    ("text", "span", "seen"),
    [
        ("cafe\u0301 x", (0, 4), "cafe\u0301"),
        ("ที่นี่", (0, 1), "ที่"),
        ("ที่นี่", (1, 4), "ที่นี่"),
        ("हिन्दी", (0, 1), "हि"),
        ("\u1112\u1161\u11ab x", (0, 1), "\u1112\u1161\u11ab"),
        (f"a{FAMILY}b", (1, 2), FAMILY),
        (f"{FLAG}{FLAG}", (0, 1), FLAG),
        ("\u2764\ufe0f x", (0, 1), "\u2764\ufe0f"),
        ("end.\u200b Next", (0, 4), "end.\u200b"),
        ("end.\u200b Next", (4, 10), "Next"),
        ("one\r\ntwo", (3, 8), "two"),
        ("plain", (1, 3), "la"),
    ],
)
def test_spans_are_whole_characters(text: str, span: tuple[int, int], seen: str) -> None:
    ((begin, end),) = whole(text, [span])
    assert text[begin:end] == seen


def test_a_token_of_nothing_visible_has_no_characters() -> None:
    ((begin, end),) = whole("é \u200b x", [(1, 3)])
    assert begin == end
