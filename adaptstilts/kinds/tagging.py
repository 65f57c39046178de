"""Sequence labelling: one tag per word, read off the word's first piece. Long sentences are split, not cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from adaptstilts.data.examples import Example
from adaptstilts.kinds.base import Probe, TokenHead, TrainableDefaults, initialize
from adaptstilts.metrics.scores import Metric, chunk_f1, token_accuracy
from adaptstilts.models.batching import IGNORE, Batch, Feature, Features
from adaptstilts.tasks import row_checks
from adaptstilts.tasks.base import Task

if TYPE_CHECKING:
    from adaptstilts.models.encoder import Encoder
    from adaptstilts.models.tokenizer import Tokenizer


class Tagging(TrainableDefaults):
    """Sequence labelling; fields ``tokens`` (words) and ``tags`` (indices into the task's labels, one per word)."""

    name = "tagging"

    def check(self, example: Example, task: Task) -> str | None:
        """Check that there are as many tags as words, and at least one."""
        return row_checks.tagging(example, task)

    def features(self, rows: Sequence[Example], tokenizer: Tokenizer, task: Task, max_length: int) -> Features:
        """Cut every word into pieces; a sentence longer than ``max_length`` gives several features.

        ``place`` is the positions of the first pieces. A single word longer than a whole sequence is cut.
        """
        room = max_length - tokenizer.special_count()
        items, truncated = [], 0
        for i, row in enumerate(rows):
            pieces: list[int] = []
            targets: list[int] = []
            cut = False
            for word, tag in zip(tokenizer.words(row["tokens"]), row["tags"], strict=True):
                cut |= len(word) > room
                word = word[:room]
                if len(pieces) + len(word) > room:
                    items.append(_feature(i, pieces, targets, tokenizer))
                    pieces, targets = [], []
                targets += [tag] + [IGNORE] * (len(word) - 1)
                pieces += word
            items.append(_feature(i, pieces, targets, tokenizer))
            truncated += cut
        return Features(items, truncated)

    def head(self, encoder: Encoder, task: Task) -> nn.Module:
        """Return a head with one output per tag."""
        return initialize(TokenHead(encoder.hidden, len(task.labels), encoder.dropout))

    def loss(self, head: nn.Module, states: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Compute the cross-entropy over tags, one term per word."""
        width = states.shape[1]
        rows = [feature.target + [IGNORE] * (width - len(feature.target)) for feature in batch.features]
        target = torch.tensor(rows, device=states.device)
        kept = target != IGNORE
        total = functional.cross_entropy(head(states[kept]).float(), target[kept], reduction="sum")
        return total, kept.sum().cpu()

    def predict(self, head: nn.Module, states: Tensor, batch: Batch) -> list[Any]:
        """Return the best tag of each word."""
        best = head(states).float().argmax(-1).tolist()
        return [[row[j] for j in feature.place] for row, feature in zip(best, batch.features, strict=True)]

    def decode(self, outputs: Sequence[Any], features: Features, rows: Sequence[Example], task: Task) -> list[Any]:
        """Return tag names, the parts of a split sentence joined."""
        tags: list[list[str]] = [[] for _ in rows]
        for feature, output in zip(features.items, outputs, strict=True):
            tags[feature.example] += [task.labels[tag] for tag in output]
        return tags

    def gold(self, rows: Sequence[Example], task: Task) -> list[Any]:
        """Return tag names."""
        return [[task.labels[tag] for tag in row["tags"]] for row in rows]

    def score(self, predictions: Sequence[Any], gold: Sequence[Any], task: Task, language: str) -> Mapping[str, Metric]:
        """Compute chunk F1 as XTREME does, and token accuracy."""
        return {"f1": chunk_f1(predictions, gold), "token_accuracy": token_accuracy(predictions, gold)}

    def probes(self, feature: Feature) -> list[Probe]:
        """Return the first piece of every word, with the number of its tag."""
        return [(0, i, float(tag)) for i, tag in enumerate(feature.target) if tag != IGNORE]


def _feature(example: int, pieces: list[int], targets: list[int], tokenizer: Tokenizer) -> Feature:
    target = [IGNORE, *targets, IGNORE]
    place = [i for i, tag in enumerate(target) if tag != IGNORE]
    return Feature.of(example, [tokenizer.joined(pieces)], target, place)


KIND = Tagging()
