"""What a tokenizer does not know of a text: how many of its tokens, and whether it knows any word of a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adaptstilts.models import graphemes
from adaptstilts.models.batching import Feature
from adaptstilts.models.tokenizer import Ids, Tokenizer

WORD_START = "\u2581"  # SentencePiece's, which is a token of its own before an unknown word
MUCH_UNKNOWN = 0.01  # share of the tokens of a text from which people are warned


@dataclass(frozen=True)
class TokenCount:
    """Tokens of a text, without the special ones of its sequences, and how many of them are unknown."""

    tokens: int = 0
    unknown: int = 0

    def __add__(self, other: TokenCount) -> TokenCount:
        return TokenCount(self.tokens + other.tokens, self.unknown + other.unknown)

    def warning(self, text: str) -> str:
        """Return a line that warns of the unknown tokens of a text; empty if they are few.

        Args:
            text: what people call it.
        """
        if self.unknown <= MUCH_UNKNOWN * self.tokens:
            return ""
        share = f"{100 * self.unknown / self.tokens:.1f} %"
        return (
            f"warning: {text}: {share} of its {self.tokens:,} tokens are unknown to the model, which sees the same in"
            " all of them; check the encoding of the text, or choose a model whose vocabulary covers it"
        )


def count(features: Iterable[Feature], tokenizer: Tokenizer) -> TokenCount:
    """Count the tokens of some features; those that several windows share count in each.

    Args:
        features: rows as the model sees them.
        tokenizer: that they are from.
    """
    single, pair = tokenizer.special_count(), tokenizer.special_count(pair=True)
    tokens = unknown = 0
    for feature in features:
        seconds = feature.second or (None,) * len(feature.sequences)
        for sequence, second in zip(feature.sequences, seconds, strict=True):
            tokens += len(sequence) - (single if second is None else pair)
            unknown += sequence.count(tokenizer.unknown)
    return TokenCount(tokens, unknown)


class KnownWords:
    """Tells sentences of which a tokenizer knows no word: to the model they are alike, whatever they say.

    A sentence without unknown tokens is known if any of its tokens is visible. One with unknown tokens needs a known
    token that has a letter: punctuation and digits are what unknown sentences of any language share.

    Args:
        tokenizer: whose vocabulary is looked at.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        tokens = tokenizer.plain_tokens()
        size = max([tokenizer.size, *tokens.values()]) + 1
        self._unknown = tokenizer.unknown
        self._is_visible: NDArray[np.bool_] = np.zeros(size, bool)
        self._has_letter: NDArray[np.bool_] = np.zeros(size, bool)
        for token, number in tokens.items():
            self._is_visible[number] = graphemes.has_visible(token.replace(WORD_START, ""))
            self._has_letter[number] = any(map(str.isalpha, token))

    def is_known(self, ids: Ids) -> bool:
        """Return whether any word of a sentence is known.

        Args:
            ids: its tokens, without special ones.
        """
        enough = self._has_letter if self._unknown in ids else self._is_visible
        return bool(enough[ids].any()) if ids else False

    def are_known(self, sentences: Sequence[Ids]) -> NDArray[np.bool_]:
        """Return whether any word is known, for every sentence."""
        return np.fromiter(map(self.is_known, sentences), bool, len(sentences))
