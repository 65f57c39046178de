"""What kinds that search share: the rows of one language, the vectors of its sentences, and what a search gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from adaptstilts.data.examples import Examples
from adaptstilts.errors import ConfigError
from adaptstilts.metrics.scores import Metric
from adaptstilts.models.batching import Feature, Features
from adaptstilts.search.base import Vectors

if TYPE_CHECKING:
    from adaptstilts.models.tokenizer import Tokenizer

RowSets = Mapping[str, Examples]


@dataclass(frozen=True)
class SentenceVectors:
    """The encoded sentences of one side: of one language, and of one part and row set if there are several.

    Attributes:
        vectors: (texts, hidden), one of unit length for every distinct text.
        places: (sentences,) the row of ``vectors`` for each sentence; equal texts have equal places.
        cut: (sentences,) whether a sentence lost tokens to the maximum length.
        known: (sentences,) whether the tokenizer knows any word of a sentence; the vectors of those of which it knows
            none are alike, whatever they say.
    """

    vectors: Vectors
    places: NDArray[np.int64]
    cut: NDArray[np.bool_]
    known: NDArray[np.bool_]

    def rows(self, which: NDArray[np.int64] | None = None) -> Vectors:
        """Return the vectors of some sentences, or of all: (sentences, hidden)."""
        places = self.places if which is None else self.places[which]
        vectors: Vectors = self.vectors[places]
        return vectors


@dataclass(frozen=True)
class SearchResult:
    """The predictions of a search in one language, and the gold answers they are scored against.

    Attributes:
        predictions: one for each example, as JSON values.
        gold: in the form that the kind's ``score`` compares predictions with.
        ids: row numbers of the examples in the split.
        total: rows of the split that have a gold label.
        counts: facts reported beside the scores; ``truncated`` at least.
        more: metrics that predictions and gold answers alone do not give.
        items: names of the items that the examples are of, for a task that declares them.
    """

    predictions: list[Any]
    gold: list[Any]
    ids: list[int]
    total: int
    counts: dict[str, Any]
    more: Mapping[str, Metric] = field(default_factory=dict)
    items: list[str] | None = None


def sentence_features(texts: Sequence[str], tokenizer: Tokenizer, max_length: int, prefix: str = "") -> Features:
    """Turn each text into one sequence; ``place`` of its feature is whether the text was cut.

    Args:
        texts: sentences.
        tokenizer: tokenizer of the base model.
        max_length: most tokens of a sequence, special tokens included.
        prefix: text put before every sentence.

    Raises:
        ConfigError: the prefix alone fills a sequence, so that all sentences would be the same.
    """
    if prefix:
        _check_room(prefix, tokenizer, max_length)
    items, truncated = [], 0
    prefixed = [prefix + text for text in texts] if prefix else texts
    for i, ids in enumerate(tokenizer.ids(prefixed)):
        sequence = tokenizer.single(ids, max_length)
        items.append(Feature.of(i, [sequence], None, sequence.cut))
        truncated += sequence.cut
    return Features(items, truncated)


def _check_room(prefix: str, tokenizer: Tokenizer, max_length: int) -> None:
    """Raise if a prefix leaves no token for a sentence; arguments as of :func:`sentence_features`."""
    count, room = len(tokenizer.ids([prefix])[0]), max_length - tokenizer.special_count()
    if count >= room:
        raise ConfigError(
            f"prefix: has {count:,} tokens, and max_length {max_length} leaves room for {room}, so nothing of a text"
            " would be read; give a shorter prefix or a larger max_length"
        )
