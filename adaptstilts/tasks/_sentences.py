"""Split English text into sentences by a few rules, for data that come without sentence breaks."""

from __future__ import annotations

import re

Span = tuple[int, int]

_MARK = re.compile(r"""[.!?]+(?:["'”’»)\]]|\[[^\]\s]{1,4}\])*(?=\s)""")  # closing quotes and [4] belong to the mark
_NEXT = re.compile(r"""\s+(["'“‘«(\[]*)(\w*)""")
_OPENING = "\"'“‘«(["
_ABBREVIATIONS = frozenset(
    "mr mrs ms messrs dr prof rev fr sr jr st mt ft hon pres gov sen rep gen col lt maj capt cmdr adm sgt cpl"
    " inc ltd co corp bros dept univ assn est etc al vs v cf eds trans approx ave blvd rd"
    " jan feb mar apr jun jul aug sep sept oct nov dec".split()
)
_NUMBERED = frozenset("no nos vol vols pp fig figs art sec ch ca op".split())
_LETTERS = re.compile(r"[^\W\d_]|(?:[^\W\d_]{1,3}\.)+[^\W\d_]{1,2}")
_STARTERS = frozenset(
    "The This That These Those There In On At It Its He She They His Her Their We As By For From After Before During"
    " When While Where However But And Although Though Since With Without One Some Many Most Other Both If To Of An A"
    " According Because Despite Under Until".split()
)


def sentences(text: str) -> list[Span]:
    """Return the sentences of an English text as [begin, end) characters, without white space around them.

    A sentence ends with ``.``, ``!`` or ``?`` (and closing quotes, brackets and reference marks) before white space
    and a capital, a digit or a quote. After an abbreviation, an initial or letters with periods (``U.S.``) it ends only
    if the next word is one that usually begins a sentence, and never between ``No.`` or the like and a digit. Numbers
    such as 3.5 contain no white space and so no end. The sentences cover all of the text but white space.
    """
    ends = [mark.end() for mark in _MARK.finditer(text) if _ends(text, mark)]
    spans = [_trimmed(text, begin, end) for begin, end in zip([0, *ends], [*ends, len(text)], strict=True)]
    return [(begin, end) for begin, end in spans if begin < end]


def index_at(spans: list[Span], place: int) -> int | None:
    """Return the index of the first span that contains a character; None if no span does.

    Args:
        spans: [begin, end) characters.
        place: number of the character.
    """
    for i, (begin, end) in enumerate(spans):
        if begin <= place < end:
            return i
    return None


def _ends(text: str, mark: re.Match[str]) -> bool:
    """Return whether a sentence ends at a mark."""
    after = _NEXT.match(text, mark.end())
    assert after is not None  # noqa: S101 (white space follows every mark)
    quote, word = after.groups()
    if not quote and not word[:1].isupper() and not word[:1].isdigit():
        return False
    if not re.fullmatch(r"\.\W*", mark.group().split("[")[0]) or mark.group().startswith(".."):
        return True
    before = re.split(r"[\s/–—-]", text[max(0, mark.start() - 30) : mark.start()])[-1].lstrip(_OPENING)
    if before.lower() in _ABBREVIATIONS or _LETTERS.fullmatch(before):
        return word in _STARTERS
    return not (before.lower() in _NUMBERED and word[:1].isdigit())


def _trimmed(text: str, begin: int, end: int) -> Span:
    """Return a span without the white space at its ends."""
    inside = text[begin:end]
    return begin + len(inside) - len(inside.lstrip()), begin + len(inside.rstrip())
