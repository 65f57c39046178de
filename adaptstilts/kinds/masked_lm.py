"""Masked language modelling: the loss that an encoder was pretrained with, beside a task's own.

Which tokens are asked for depends on the row alone: eight of ten become the mask, one another token, one stays (Devlin
et al. 2019, arXiv 1810.04805). The head is that of the base model, where its weights file has one.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from adaptstilts.data.examples import Example
from adaptstilts.kinds.base import TrainableDefaults, initialize
from adaptstilts.metrics.scores import Metric, token_accuracy
from adaptstilts.models.batching import IGNORE, Batch, Feature, Features
from adaptstilts.tasks import row_checks
from adaptstilts.tasks.base import Task

if TYPE_CHECKING:
    from adaptstilts.models.encoder import Encoder
    from adaptstilts.models.tokenizer import Tokenizer

ASKED = 0.15


class MaskedLanguageModel(TrainableDefaults):
    """Masked language modelling; field ``text``."""

    name = "masked"

    def check(self, example: Example, task: Task) -> str | None:
        """Check that it is text."""
        return row_checks.masked(example, task)

    def features(self, rows: Sequence[Example], tokenizer: Tokenizer, task: Task, max_length: int) -> Features:
        """Cut every text into pieces of at most ``max_length`` tokens; texts without a token give none."""
        items = []
        room = max_length - tokenizer.special_count()
        for i, ids in enumerate(tokenizer.ids([row["text"] for row in rows])):
            for start in range(0, len(ids), room):
                source = random.Random(f"mask-{i}-{start}")
                shown, target = _masked(ids[start : start + room], tokenizer, source)
                items.append(Feature.of(i, [tokenizer.joined(shown)], [IGNORE, *target, IGNORE]))
        return Features(items)

    def head(self, encoder: Encoder, task: Task) -> nn.Module:
        """Return the base model's own language-model head if it has one, else a new one."""
        head = encoder.new_language_model_head()
        initialize(head)
        head.start(encoder.language_model_weights())
        return head

    def loss(self, head: nn.Module, states: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Compute the cross-entropy over the vocabulary, one term per hidden token; only those reach the head."""
        target = _target(batch, states)
        kept = target != IGNORE
        total = functional.cross_entropy(head(states[kept]).float(), target[kept], reduction="sum")
        return total, kept.sum().cpu()

    def predict(self, head: nn.Module, states: Tensor, batch: Batch) -> list[Any]:
        """Return the best token for every hidden one."""
        kept = _target(batch, states) != IGNORE
        best = iter(head(states[kept]).float().argmax(-1).tolist())
        return [[next(best) for _ in range(int(row.sum()))] for row in kept]

    def decode(self, outputs: Sequence[Any], features: Features, rows: Sequence[Example], task: Task) -> list[Any]:
        """Return the token ids of each row, as text."""
        tokens: list[list[str]] = [[] for _ in rows]
        for feature, output in zip(features.items, outputs, strict=True):
            tokens[feature.example] += map(str, output)
        return tokens

    def gold(self, rows: Sequence[Example], task: Task) -> list[Any]:
        """Raise NotImplementedError: text is trained on and not evaluated."""
        raise NotImplementedError("masked text has no gold labels of its own")

    def score(self, predictions: Sequence[Any], gold: Sequence[Any], task: Task, language: str) -> Mapping[str, Metric]:
        """Compute the share of the hidden tokens that are predicted."""
        return {"accuracy": token_accuracy(predictions, gold)}


def _masked(ids: list[int], tokenizer: Tokenizer, source: random.Random) -> tuple[list[int], list[int]]:
    """Return what is shown of a piece, and which tokens are to be predicted, at least one."""
    asked = set(source.sample(range(len(ids)), max(round(len(ids) * ASKED), 1)))
    shown, target = list(ids), [IGNORE] * len(ids)
    for place in asked:
        target[place] = ids[place]
        fate = source.random()
        if fate < 0.9:
            shown[place] = tokenizer.mask if fate < 0.8 else source.randrange(tokenizer.size)
    return shown, target


def _target(batch: Batch, states: Tensor) -> Tensor:
    width = states.shape[1]
    rows = [feature.target + [IGNORE] * (width - len(feature.target)) for feature in batch.features]
    return torch.tensor(rows, device=states.device)


KIND = MaskedLanguageModel()
