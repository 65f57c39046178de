"""Answers in a form that can be compared: what counts as punctuation, as an article and as a token.

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
    "ar": "ال",  # wherever it occurs; the published pattern has a second branch, which can never match
    "hi": "",
    "zh": "",
}
_ASCII = frozenset(string.punctuation)  # has signs that are no punctuation by category: $+<=>^`|~
_HAN = re.compile(r"([\u4e00-\u9fa5])")  # the range that MLQA splits; rarer characters stay in their run


@dataclass(frozen=True)
class Rules:
    """How answers of one language are normalised.

    Attributes:
        articles: pattern of what is replaced by a space; empty for none.
        all_scripts: whether punctuation is every character of a Unicode category P beside that of ASCII.
        split_han: whether every Chinese character is a token of its own.
    """

    articles: str
    all_scripts: bool = False
    split_han: bool = False

    def normalize(self, text: str) -> str:
        """Lower case, without punctuation and articles, tokens separated by single spaces."""
        bare = "".join(char for char in text.lower() if not self._punctuation(char))
        if self.articles:
            bare = re.sub(self.articles, " ", bare)
        if self.split_han:
            bare = _HAN.sub(r" \1 ", bare)
        return " ".join(bare.split())

    def tokens(self, text: str) -> list[str]:
        """The tokens of a normalised answer, which F1 counts."""
        return self.normalize(text).split()

    def _punctuation(self, char: str) -> bool:
        return char in _ASCII or (self.all_scripts and unicodedata.category(char).startswith("P"))


SQUAD = Rules(_ARTICLES["en"])


@cache
def rules(style: Style, language: str = "en") -> Rules:
    """The rules of a style for one language; ``squad`` has the same for all.

    Raises:
        ConfigError: the style is unknown, or has no rules for the language.
    """
    if style == "squad":
        return SQUAD
    if style != "mlqa":
        raise ConfigError(f"unknown rules for answers {style!r}; expected squad or mlqa")
    if language not in _ARTICLES:
        raise ConfigError(f"no mlqa rules for answers in {language!r}; it has {', '.join(sorted(_ARTICLES))}")
    return Rules(_ARTICLES[language], all_scripts=True, split_han=language == "zh")


def normalize_answer(text: str) -> str:
    """An answer by the rules of SQuAD: lower case, no ASCII punctuation, no English articles, single spaces."""
    return SQUAD.normalize(text)
