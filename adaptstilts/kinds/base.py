"""What a kind is, and how its features become a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from adaptstilts.data.examples import Example
from adaptstilts.metrics.scores import Metric
from adaptstilts.models.batching import Batch, Features
from adaptstilts.tasks.base import Task

if TYPE_CHECKING:
    from adaptstilts.models.encoder import Encoder
    from adaptstilts.models.tokenizer import Tokenizer


@runtime_checkable
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
