"""Fingerprints of sentences in evaluation sets, which must not be in the training text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

from adaptstilts.data.sources import Split
from adaptstilts.pretrain.tables import tables_of

_SENTENCE_ENDS = re.compile(r"(?<=[.!?。！？؟।])\s*")
_SHORTEST_PART = 4  # characters of a part of a text that counts as a sentence


class _Letters(dict[int, str | None]):
    """A table for ``str.translate`` that drops punctuation, blanks, symbols and controls; filled on first use."""

    def __missing__(self, code: int) -> str | None:
        is_dropped = unicodedata.category(chr(code))[0] in "PZSC"
        self[code] = None if is_dropped else chr(code)
        return self[code]


_LETTERS = _Letters()


def fingerprint(text: str) -> str:
    """Return a sentence without case, punctuation and blanks; two sentences of equal fingerprints count as the same."""
    return unicodedata.normalize("NFKC", text).casefold().translate(_LETTERS)


def evaluated_fingerprints(splits: Iterable[Split]) -> frozenset[str]:
    """Return the fingerprints of all texts in some splits, and of the single sentences in them.

    Languages are not distinguished: a match in any of them counts for all.
    """
    fingerprints: set[str] = set()
    for text in _texts_of(splits):
        fingerprints.add(fingerprint(text))
        for part in _SENTENCE_ENDS.split(text):
            letters = fingerprint(part)
            if len(letters) >= _SHORTEST_PART:
                fingerprints.add(letters)
    return frozenset(fingerprints - {""})


def _texts_of(splits: Iterable[Split]) -> Iterator[str]:
    """Yield every text in any column of some splits; equal values of a text column once."""
    for split in splits:
        for _, table in tables_of(split):
            for name in table.column_names:
                column = table[name]
                is_text = str(column.type) in ("string", "large_string")
                for value in (column.unique() if is_text else column).to_pylist():
                    yield from _texts_in(value)


def _texts_in(value: Any) -> Iterator[str]:
    """Yield every text in a cell; a list of words is one text."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts_in(item)
    elif isinstance(value, list):
        words = [item for item in value if isinstance(item, str)]
        if words:
            yield " ".join(words)
        for item in value:
            if isinstance(item, list | dict):
                yield from _texts_in(item)
