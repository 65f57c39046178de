"""What a kind does: one protocol for kinds that are trained, one for kinds that only search.

``Trainable`` kinds turn rows into features, have a head and a loss, and decode its outputs into predictions.
``Searchable`` kinds are scored with the encoder as it is, by searching the vectors of sentences. ``PoolRanker`` is a
trainable kind whose evaluation searches as well: one pool of candidates for the queries of every language.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from adaptstilts.data.examples import Example, Examples
from adaptstilts.kinds.sentence_search import RowSets, SearchResult, SentenceVectors
from adaptstilts.metrics.scores import Metric
from adaptstilts.models.batching import Batch, Feature, Features
from adaptstilts.study import Retrieve
from adaptstilts.tasks.base import Task

if TYPE_CHECKING:
    from adaptstilts.models.encoder import Encoder
    from adaptstilts.models.tokenizer import Tokenizer

Probe = tuple[int, int, float]


class Kind(Protocol):
    """What every kind has: a name, a check of its rows, and metrics."""

    name: str

    def check(self, example: Example, task: Task) -> str | None:
        """Return what is wrong with an example, naming the field and what was expected; None if nothing is.

        Args:
            example: a row by the kind's fields; the check may tidy it in place.
            task: the declaration that the row is read for.
        """

    def score(self, predictions: Sequence[Any], gold: Sequence[Any], task: Task, language: str) -> Mapping[str, Metric]:
        """Compute every metric of a task in one language; ``task.headline`` names those whose mean is its score.

        Args:
            predictions: one for each example, as JSON values.
            gold: the answers they are compared with, in the same order.
            task: names the metrics and, where these matter, the labels.
            language: code of the rows' language.
        """


class Trainable(Kind, Protocol):
    """A kind with features, a head and a loss.

    Attributes:
        joint: whether the loss of a row depends on the other rows of its batch, so that a batch is never split.
        numeric: whether targets are numbers on a scale and not classes.
    """

    joint: bool
    numeric: bool

    def features(self, rows: Sequence[Example], tokenizer: Tokenizer, task: Task, max_length: int) -> Features:
        """Turn examples into token sequences of at most ``max_length`` tokens, special tokens included.

        Args:
            rows: checked examples.
            tokenizer: tokenizer of the base model.
            task: the rows' declaration.
            max_length: most tokens of a sequence.
        """

    def head(self, encoder: Encoder, task: Task) -> nn.Module:
        """Return a new head for an encoder, initialised from torch's global generator."""

    def loss(self, head: nn.Module, states: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the summed loss of a batch, and the number of terms in the sum.

        Args:
            head: a module that :meth:`head` returned.
            states: (sequences, tokens, hidden), last hidden states.
            batch: the sequences that they were computed from.
        """

    def predict(self, head: nn.Module, states: Tensor, batch: Batch) -> list[Any]:
        """Return, for each feature of a batch, the plain numbers that :meth:`decode` needs; arguments as of `loss`."""

    def decode(self, outputs: Sequence[Any], features: Features, rows: Sequence[Example], task: Task) -> list[Any]:
        """Return one prediction for each example, as JSON values.

        Args:
            outputs: what :meth:`predict` returned, one for each feature.
            features: features of the rows.
            rows: the examples.
            task: the rows' declaration.
        """

    def calibrates(self, task: Task) -> bool:
        """Return whether a trained head of this task has something left to set by :meth:`calibrate`."""

    def calibrate(
        self, head: nn.Module, outputs: Sequence[Any], features: Features, rows: Sequence[Example], task: Task
    ) -> None:
        """Set what is not trained in a trained head, such as a threshold, from its outputs on the English dev rows.

        Args:
            head: after training.
            outputs: what :meth:`predict` returned, one for each feature.
            features: features of the rows.
            rows: the dev examples.
            task: the rows' declaration.
        """

    def gold(self, rows: Sequence[Example], task: Task) -> list[Any]:
        """Return the gold answers, in the form that :meth:`score` compares predictions with."""

    def labels(self, gold: Sequence[Any]) -> Sequence[object]:
        """Return the single labels among gold answers; none where many equal answers are nothing unusual.

        Many rows that all have one label look like a test set whose labels are withheld, and are refused.
        """

    def probes(self, feature: Feature) -> list[Probe]:
        """Return the (sequence, token, value) that a linear probe sees of one row; none if it should see nothing.

        ``value`` is the row's number if the kind is ``numeric``, else the number of a class.
        """


class PoolRanker(Trainable, Protocol):
    """A trainable kind that ranks one pool of candidates for the queries of every language of an evaluation.

    Attributes:
        top: candidates that are ranked for a query.
    """

    top: int

    def queries(self, examples: Examples) -> Examples:
        """Return the examples that are queries; ``total`` counts them."""

    def numbered(self, examples: Examples) -> Examples:
        """Return the examples with an id for every candidate."""


class Searchable(Kind, Protocol):
    """A kind whose tasks are scored by searching sentence vectors; it has no head and is never trained.

    Rows and sides are named ``<dev or test>.<row set>`` if the kind has row sets, else rows are named ``""``.
    """

    def problem(self, rows: RowSets) -> tuple[str, str] | None:
        """Return the name of the rows that do not fit the others, and what was expected; None if all do."""

    def sentences(self, rows: RowSets) -> dict[str, list[str]]:
        """Return the texts to encode, by the name of their side."""

    def search(self, rows: RowSets, sides: Mapping[str, SentenceVectors], settings: Retrieve) -> SearchResult:
        """Search the sentences of one language.

        Args:
            rows: the checked rows of the language.
            sides: vectors of the texts that :meth:`sentences` returned, by the same names.
            settings: neighbours, margin and backend.
        """

    def gold(self, rows: RowSets) -> list[Any]:
        """Return the gold answers in the form of predictions, if rows alone give them; else an empty list."""


class TrainableDefaults:
    """The members that most trainable kinds share: batches may be split, and there is nothing to calibrate."""

    joint = False
    numeric = False

    def calibrates(self, task: Task) -> bool:
        """Return False."""
        return False

    def calibrate(
        self, head: nn.Module, outputs: Sequence[Any], features: Features, rows: Sequence[Example], task: Task
    ) -> None:
        """Change nothing."""

    def labels(self, gold: Sequence[Any]) -> Sequence[object]:
        """Return the gold answers, those of answers that are lists one by one."""
        singles: list[object] = []
        for answer in gold:
            if isinstance(answer, list):
                singles += answer
            else:
                singles.append(answer)
        return singles

    def probes(self, feature: Feature) -> list[Probe]:
        """Return nothing."""
        return []


class FirstTokenHead(nn.Module):
    """Dropout, dense, tanh, dropout and a linear layer on the first token's vector (as in RoBERTa and jiant).

    Args:
        hidden: size of the vectors.
        outputs: numbers for each sequence.
        dropout: probability, before both layers.
    """

    def __init__(self, hidden: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor) -> Tensor:
        """Map (sequences, tokens, hidden) to (sequences, outputs)."""
        first = torch.tanh(self.dense(self.dropout(states[:, 0])))
        logits: Tensor = self.out(self.dropout(first))
        return logits


class TokenHead(nn.Module):
    """Dropout and one linear layer on every token's vector.

    Args:
        hidden: size of the vectors.
        outputs: numbers for each token.
        dropout: probability.
    """

    def __init__(self, hidden: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.out = nn.Linear(hidden, outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor) -> Tensor:
        """Map (sequences, tokens, hidden) to (sequences, tokens, outputs)."""
        logits: Tensor = self.out(self.dropout(states))
        return logits


def initialize(head: nn.Module) -> nn.Module:
    """Draw weights from Normal(0, 0.02) and zero the biases, as BERT does, from torch's global generator."""
    for module in head.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)
    return head
