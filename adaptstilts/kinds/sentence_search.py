"""What retrieval kinds share: sentences are encoded, vectors are searched, and nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from adaptstilts.data.examples import Example, Examples
from adaptstilts.errors import ConfigError
from adaptstilts.kinds.base import Kind
from adaptstilts.metrics.scores import Metric
from adaptstilts.models.batching import Batch, Feature, Features
from adaptstilts.search.exact import Vectors
from adaptstilts.study import Retrieve
from adaptstilts.tasks.base import Task

if TYPE_CHECKING:
    from adaptstilts.models.encoder import Encoder
    from adaptstilts.models.tokenizer import Tokenizer

Rows = Mapping[str, Examples]


@dataclass(frozen=True)
class Side:
    """Sentences of one language and part, encoded.

    Attributes:
        vectors: (t, d) of every distinct text, unit length.
        places: (n,) row of ``vectors`` for each sentence; equal texts have equal places.
        cut: (n,) whether a sentence lost tokens to the maximum length.
    """

    vectors: Vectors
    places: NDArray[np.int64]
    cut: NDArray[np.bool_]

    def rows(self, which: NDArray[np.int64] | None = None) -> Vectors:
        """Vectors of some sentences, or of all: (n, d)."""
        found: Vectors = self.vectors[self.places if which is None else self.places[which]]
        return found


@dataclass(frozen=True)
class Found:
    """What a search found in one language.

    Attributes:
        predictions: one for each example, as JSON values.
        gold: in the form that the kind's ``score`` compares predictions with.
        ids: row numbers of the examples in the split.
        total: rows of the split that have a gold label.
        counts: what else is said beside the scores; ``truncated`` at least.
        more: metrics that predictions and gold alone do not give.
    """

    predictions: list[Any]
    gold: list[Any]
    ids: list[int]
    total: int
    counts: dict[str, Any]
    more: Mapping[str, Metric] = field(default_factory=dict)


class Retrieval(Kind, Protocol):
    """A kind whose tasks are scored by searching sentence vectors.

    ``fields`` says which fields of an example each row set has; a split that is one table is the row set ``""``.
    Rows and sides are named ``<dev or test>.<row set>`` where a task has row sets.
    """

    fields: Mapping[str, tuple[str, ...]]

    def problem(self, rows: Rows) -> tuple[str, str] | None:
        """What is wrong between rows: whose rows, and what was expected; None when all is right."""

    def sentences(self, rows: Rows) -> dict[str, list[str]]:
        """What is to be encoded, by the name of its side."""

    def search(self, rows: Rows, sides: Mapping[str, Side], settings: Retrieve) -> Found:
        """What the vectors of one language give."""


class Untrained:
    """The part of a kind that a retrieval kind does not have, and features of bare sentences."""

    trainable = False
    joint = False

    def features(self, rows: Sequence[Example], tokenizer: Tokenizer, task: Task, max_length: int) -> Features:
        """One sequence per row of ``{"text": ...}``; ``place`` is whether it was cut."""
        return sentence_features([row["text"] for row in rows], tokenizer, max_length)

    def head(self, encoder: Encoder, task: Task) -> nn.Module:
        """There is none."""
        raise ConfigError(f"{task.name} is a retrieval task: it has no head and is not trained")

    def loss(self, head: nn.Module, states: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """There is none."""
        _refuse()

    def predict(self, head: nn.Module, states: Tensor, batch: Batch) -> list[Any]:
        """There is none: predictions come from the search."""
        _refuse()

    def decode(self, outputs: Sequence[Any], features: Features, rows: Sequence[Example], task: Task) -> list[Any]:
        """There is none: predictions come from the search."""
        _refuse()

    def calibrate(
        self, head: nn.Module, outputs: Sequence[Any], features: Features, rows: Sequence[Example], task: Task
    ) -> None:
        """There is no head."""
        _refuse()

    def gold(self, rows: Sequence[Example], task: Task) -> list[Any]:
        """There is none: it comes with what the search found."""
        _refuse()


def sentence_features(texts: Sequence[str], tokenizer: Tokenizer, max_length: int) -> Features:
    """One sequence per text; ``place`` is whether it was cut."""
    items, truncated = [], 0
    for i, ids in enumerate(tokenizer.ids(texts)):
        sequence, cut = tokenizer.single(ids, max_length)
        items.append(Feature(i, (sequence,), None, cut))
        truncated += cut
    return Features(items, truncated)


def _refuse() -> NoReturn:
    raise ConfigError("a retrieval task has no head and is not trained")
