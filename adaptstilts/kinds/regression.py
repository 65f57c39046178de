"""Regression on a text or a pair of texts: one number, from the first token's vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from adaptstilts.data.examples import Example
from adaptstilts.kinds import classification
from adaptstilts.kinds.base import FirstTokenHead, Probe, TrainableDefaults, initialize
from adaptstilts.metrics.scores import Metric, pearson, spearman
from adaptstilts.models.batching import Batch, Feature, Features
from adaptstilts.tasks import row_checks
from adaptstilts.tasks.base import Task

if TYPE_CHECKING:
    from adaptstilts.models.encoder import Encoder
    from adaptstilts.models.tokenizer import Tokenizer


class Regression(TrainableDefaults):
    """Regression; fields ``text_a``, optionally ``text_b``, and ``label`` (a number)."""

    name = "regression"
    numeric = True

    def check(self, example: Example, task: Task) -> str | None:
        """Check that texts are text and the label is a finite number."""
        return row_checks.regression(example, task)

    def features(self, rows: Sequence[Example], tokenizer: Tokenizer, task: Task, max_length: int) -> Features:
        """Turn every row into one text or a pair of texts."""
        return classification.KIND.features(rows, tokenizer, task, max_length)

    def head(self, encoder: Encoder, task: Task) -> nn.Module:
        """Return a head with one output."""
        return initialize(FirstTokenHead(encoder.hidden, 1, encoder.dropout))

    def loss(self, head: nn.Module, states: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Compute the squared error, one term per row."""
        target = torch.tensor([float(feature.target) for feature in batch.features], device=states.device)
        total = functional.mse_loss(head(states).float().squeeze(-1), target, reduction="sum")
        return total, torch.tensor(len(target))

    def predict(self, head: nn.Module, states: Tensor, batch: Batch) -> list[Any]:
        """Return the number."""
        numbers: list[Any] = head(states).float().squeeze(-1).tolist()
        return numbers

    def decode(self, outputs: Sequence[Any], features: Features, rows: Sequence[Example], task: Task) -> list[Any]:
        """Return numbers."""
        return list(outputs)

    def gold(self, rows: Sequence[Example], task: Task) -> list[Any]:
        """Return numbers."""
        return [float(row["label"]) for row in rows]

    def score(self, predictions: Sequence[Any], gold: Sequence[Any], task: Task, language: str) -> Mapping[str, Metric]:
        """Compute Pearson and Spearman correlation."""
        return {"pearson": pearson(predictions, gold), "spearman": spearman(predictions, gold)}

    def probes(self, feature: Feature) -> list[Probe]:
        """Return the first token, with the number that it stands for."""
        return classification.KIND.probes(feature)


KIND = Regression()
