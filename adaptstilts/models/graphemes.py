"""Characters as readers see them (grapheme clusters of UAX 29), and invisible characters."""

from __future__ import annotations

from collections.abc import Sequence

import regex

Span = tuple[int, int]

_CLUSTER = regex.compile(r"\X")
# Parts of clusters: combining marks, joiners, jamo, halves of flags. Other code points are characters of their own.
_JOINING = regex.compile(r"[^\p{GCB=Other}\p{GCB=Control}\p{GCB=LF}]")
# Invisible and without width: zero-width spaces, byte order marks, text directions.
_ZERO_WIDTH = regex.compile(r"\p{Default_Ignorable_Code_Point}")
_INVISIBLE = regex.compile(r"[\s\p{Cc}\p{Default_Ignorable_Code_Point}]")
_VISIBLE = regex.compile(r"[^\s\p{Cc}\p{Default_Ignorable_Code_Point}]")


def has_visible(text: str) -> bool:
    """Return whether any character of a text is drawn as something."""
    return _VISIBLE.search(text) is not None


def visible(text: str, begin: int, end: int) -> Span:
    """Return [begin, end) without invisible characters at its edges; an empty span if there are no others.

    Args:
        text: the span is in it.
        begin: first character.
        end: character after the last.
    """
    while begin < end and _INVISIBLE.match(text, begin):
        begin += 1
    while begin < end and _INVISIBLE.match(text, end - 1):
        end -= 1
    return begin, end


def whole(text: str, spans: Sequence[Span]) -> list[Span]:
    """Extend spans to whole characters, as a reader sees them, without blanks around them.

    Zero-width characters belong to the character before them, as when texts are split at blanks.

    Args:
        text: the spans are in it.
        spans: [begin, end) characters; those of invisible ones become empty.
    """
    trimmed = [visible(text, begin, end) for begin, end in spans]
    if text.isascii():
        return trimmed
    first, after = list(range(len(text) + 1)), list(range(len(text) + 1))
    if _JOINING.search(text):
        for cluster in _CLUSTER.finditer(text):
            begin, end = cluster.span()
            for inside in range(begin + 1, end):
                first[inside], after[inside] = begin, end
    for begin in range(len(text) - 1, -1, -1):
        if _ZERO_WIDTH.match(text, begin):
            after[begin] = after[begin + 1]
    return [(first[begin], after[end]) if begin < end else (begin, end) for begin, end in trimmed]
