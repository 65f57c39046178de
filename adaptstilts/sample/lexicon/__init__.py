"""One file per language: the hand-written phrases of the sample's small world, and how the language orders them."""

from __future__ import annotations

import importlib

from adaptstilts.sample.grammar import Lexicon

CODES = ("en", "de", "es", "fr", "ru", "ar", "hi", "sw", "tr", "zh")


def get(code: str) -> Lexicon:
    """Return the lexicon of one language."""
    lexicon: Lexicon = importlib.import_module(f"{__name__}.{code}").LEXICON
    return lexicon
