"""What a kind is, and how its features become a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from adaptstilts.data.examples import Example
from adaptstilts.metrics import Metric
from adaptstilts.tasks.base import Task

if TYPE_CHECKING:
    from adaptstilts.models.encoder import Encoder
    from adaptstilts.models.tokenizer import Tokenizer

IGNORE = -100


@dataclass(frozen=True)
class Feature:
    """One row as the model sees it.

    Attributes:
        example: index of the example it comes from; a long example gives several features.
        sequences: token ids; one sequence, or one for each choice.
        target: what the loss is computed on: a label, a choice, tag ids per token, or a (start, end) pair.
        place: what decoding needs to find its way back to the example.
    """

    example: int
    sequences: tuple[list[int], ...]
    target: Any
    place: Any = None

    @property
    def length(self) -> int:
        """Tokens of the longest sequence."""
        return max(len(sequence) for sequence in self.sequences)


@dataclass(frozen=True)
class Features:
    """Features of a list of examples.

    Attributes:
        items: in the order of the examples.
        truncated: examples that lost tokens to ``max_length``.
        counts: what else was done to how many examples.
    """

    items: list[Feature]
    truncated: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def lengths(self) -> list[int]:
        """Tokens of the longest sequence of each feature."""
        return [item.length for item in self.items]

    @property
    def sizes(self) -> list[int]:
        """Sequences of each feature."""
        return [len(item.sequences) for item in self.items]


@dataclass(frozen=True)
class Batch:
    """Padded sequences of some features: ``ids`` and ``mask`` are (sequences, tokens)."""

    features: Sequence[Feature]
    ids: Tensor
    mask: Tensor


class Kind(Protocol):
    """Features, head, loss, decoding and metrics of one kind of task."""

    name: str
    trainable: bool
    joint: bool  # whether the loss of a row depends on the others of its batch, so that a batch is never split

    def check(self, example: Example, task: Task) -> str | None:
        """What is wrong with an example, naming the field and what was expected; None when it is right."""

    def features(self, rows: Sequence[Example], tokenizer: Tokenizer, task: Task, max_length: int) -> Features:
        """Examples as token sequences of at most ``max_length`` tokens."""

    def head(self, encoder: Encoder, task: Task) -> nn.Module:
        """A new head for an encoder, initialised from torch's global generator."""

    def loss(self, head: nn.Module, states: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Summed loss of a batch and how many terms were summed.

        Args:
            head: what :meth:`head` made.
            states: (sequences, tokens, hidden), last hidden states.
            batch: what they were computed from.
        """

    def predict(self, head: nn.Module, states: Tensor, batch: Batch) -> list[Any]:
        """What :meth:`decode` needs of each feature, as plain numbers."""

    def decode(self, outputs: Sequence[Any], features: Features, rows: Sequence[Example], task: Task) -> list[Any]:
        """One prediction for each example, as JSON values."""

    def calibrate(
        self, head: nn.Module, outputs: Sequence[Any], features: Features, rows: Sequence[Example], task: Task
    ) -> None:
        """Set what a trained head has that is not trained (a threshold), from what it says of the English dev rows."""

    def gold(self, rows: Sequence[Example], task: Task) -> list[Any]:
        """The gold answers in the form of predictions."""

    def score(self, predictions: Sequence[Any], gold: Sequence[Any], task: Task, language: str) -> Mapping[str, Metric]:
        """Every metric of a task in one language; ``task.headline`` names those whose mean is its score."""


def collate(features: Sequence[Feature], pad: int, device: torch.device, length: int | None = None) -> Batch:
    """Pad the sequences of some features to the longest one, or to ``length``."""
    sequences = [sequence for feature in features for sequence in feature.sequences]
    width = length or max(len(sequence) for sequence in sequences)
    ids = torch.tensor([sequence + [pad] * (width - len(sequence)) for sequence in sequences])
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    mask = (torch.arange(width)[None, :] < lengths[:, None]).long()
    return Batch(features, ids.to(device), mask.to(device))


class Trained:
    """What most kinds that are trained have in common."""

    trainable = True
    joint = False

    def calibrate(
        self, head: nn.Module, outputs: Sequence[Any], features: Features, rows: Sequence[Example], task: Task
    ) -> None:
        """There is nothing to set."""


class FirstTokenHead(nn.Module):
    """Dropout, dense, tanh, dropout, linear on the first token's vector (as RoBERTa and jiant have it)."""

    def __init__(self, hidden: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor) -> Tensor:
        """(sequences, tokens, hidden) -> (sequences, outputs)."""
        first = torch.tanh(self.dense(self.dropout(states[:, 0])))
        logits: Tensor = self.out(self.dropout(first))
        return logits


class TokenHead(nn.Module):
    """Dropout and one linear layer on every token's vector."""

    def __init__(self, hidden: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.out = nn.Linear(hidden, outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor) -> Tensor:
        """(sequences, tokens, hidden) -> (sequences, tokens, outputs)."""
        logits: Tensor = self.out(self.dropout(states))
        return logits


def initialize(head: nn.Module) -> nn.Module:
    """Normal(0, 0.02) weights and zero biases, as BERT's, from torch's global generator."""
    for module in head.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)
    return head
