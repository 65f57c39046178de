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

from adaptstilts.data.examples import Example, text_problem
from adaptstilts.kinds.base import TrainableDefaults, initialize
from adaptstilts.metrics.scores import Metric, token_accuracy
from adaptstilts.models.batching import IGNORE, Batch, Feature, Features
from adaptstilts.tasks.base import Task

if TYPE_CHECKING:
    from adaptstilts.models.encoder import Encoder
    from adaptstilts.models.tokenizer import Tokenizer

ASKED = 0.15


class MaskedLanguageModel(TrainableDefaults):
    """Field: ``text``."""

    name = "masked"

    def check(self, example: Example, task: Task) -> str | None:
        """It is text."""
        return text_problem(example, "text")

    def features(self, rows: Sequence[Example], tokenizer: Tokenizer, task: Task, max_length: int) -> Features:
        """Pieces of each text of at most ``max_length`` tokens, nothing left out; texts without a token give none."""
        items = []
        room = max_length - tokenizer.special_count()
        for i, ids in enumerate(tokenizer.ids([row["text"] for row in rows])):
            for start in range(0, len(ids), room):
                source = random.Random(f"mask-{i}-{start}")
                shown, target = _masked(ids[start : start + room], tokenizer, source)
                items.append(Feature.of(i, [tokenizer.joined(shown)], [IGNORE, *target, IGNORE]))
        return Features(items)

    def head(self, encoder: Encoder, task: Task) -> nn.Module:
        """Dense, GELU, LayerNorm, and the word embeddings as output weights."""
        head = encoder.new_language_model_head()
        initialize(head)
        head.start(encoder.language_model_weights())
        return head

    def loss(self, head: nn.Module, states: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Cross-entropy over the vocabulary, one term per token asked for; only those reach the head."""
        target = _target(batch, states)
        kept = target != IGNORE
        total = functional.cross_entropy(head(states[kept]).float(), target[kept], reduction="sum")
        return total, kept.sum().cpu()

    def predict(self, head: nn.Module, states: Tensor, batch: Batch) -> list[Any]:
        """The best token of every place that is asked for."""
        kept = _target(batch, states) != IGNORE
        best = iter(head(states[kept]).float().argmax(-1).tolist())
        return [[next(best) for _ in range(int(row.sum()))] for row in kept]

    def decode(self, outputs: Sequence[Any], features: Features, rows: Sequence[Example], task: Task) -> list[Any]:
        """Token ids of each row, as text."""
        found: list[list[str]] = [[] for _ in rows]
        for feature, output in zip(features.items, outputs, strict=True):
            found[feature.example] += map(str, output)
        return found

    def gold(self, rows: Sequence[Example], task: Task) -> list[Any]:
        """There is none: text is trained on and not evaluated."""
        raise NotImplementedError("masked text has no gold labels of its own")

    def score(self, predictions: Sequence[Any], gold: Sequence[Any], task: Task, language: str) -> Mapping[str, Metric]:
        """Share of the tokens that are found again."""
        return {"accuracy": token_accuracy(predictions, gold)}


def _masked(ids: list[int], tokenizer: Tokenizer, source: random.Random) -> tuple[list[int], list[int]]:
    """What is shown of a piece, and what is asked for: one token at least."""
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
