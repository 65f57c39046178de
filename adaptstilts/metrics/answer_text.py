"""Answers normalized for comparison: what counts as punctuation, as an article and as a token.

``squad`` are the rules of SQuAD (Rajpurkar et al. 2016), which XQuAD and TyDiQA use for every language. ``mlqa`` are
those of MLQA (Lewis et al. 2020, arXiv 1910.07475): punctuation of all scripts, articles of each language, and
Chinese characters as tokens.
"""

from __future__ import annotations

import re
import string
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Literal

from adaptstilts.errors import ConfigError

Style = Literal["squad", "mlqa"]

_ARTICLES = {
    "en": r"\b(?:a|an|the)\b",
    "es": r"\b(?:un|una|unos|unas|el|la|los|las)\b",
    "de": r"\b(?:ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    "vi": r"\b(?:của|là|cái|chiếc|những)\b",
    "ar": "ال",  # anywhere in a word; the second branch of the published pattern can never match
    "hi": "",
    "zh": "",
}
_ASCII = frozenset(string.punctuation)  # includes signs that Unicode does not call punctuation: $+<=>^`|~
_HAN = re.compile(r"([\u4e00-\u9fa5])")  # the range that MLQA splits; rarer characters are not split


@dataclass(frozen=True)
class Rules:
    """How answers in one language are normalized.

    Attributes:
        articles: pattern of the text that is replaced by a space; empty for none.
        all_scripts: remove characters of every Unicode category P, not only ASCII punctuation.
        split_han: make every Chinese character a token of its own.
    """

    articles: str
    all_scripts: bool = False
    split_han: bool = False

    def normalize(self, text: str) -> str:
        """Return an answer in lower case, without punctuation and articles, with single spaces between tokens."""
        plain = "".join(character for character in text.lower() if not self._is_punctuation(character))
        if self.articles:
            plain = re.sub(self.articles, " ", plain)
        if self.split_han:
            plain = _HAN.sub(r" \1 ", plain)
        return " ".join(plain.split())

    def tokens(self, text: str) -> list[str]:
        """Return the tokens of an answer after normalization, which F1 counts."""
        return self.normalize(text).split()

    def _is_punctuation(self, character: str) -> bool:
        return character in _ASCII or (self.all_scripts and unicodedata.category(character).startswith("P"))


SQUAD = Rules(_ARTICLES["en"])


@cache
def rules(style: Style, language: str = "en") -> Rules:
    """Return the rules of a style for one language.

    Args:
        style: ``squad``, which has the same rules for every language, or ``mlqa``.
        language: code of the language.

    Raises:
        ConfigError: the style is unknown, or has no rules for the language.
    """
    if style == "squad":
        return SQUAD
    if style != "mlqa":
        raise ConfigError(f"unknown answer rules {style!r}; expected squad or mlqa")
    if language not in _ARTICLES:
        raise ConfigError(f"mlqa has no answer rules for {language!r}; it has {', '.join(sorted(_ARTICLES))}")
    return Rules(_ARTICLES[language], all_scripts=True, split_han=language == "zh")
