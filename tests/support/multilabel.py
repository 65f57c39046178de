"""A kind of tasks from outside the package, in one file: any number of labels for each text."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from adaptstilts.kinds import KindSpec
from adaptstilts.kinds.base import FirstTokenHead, Probe, TrainableDefaults, initialize
from adaptstilts.metrics.scores import Metric, accuracy
from adaptstilts.models.batching import Batch, Feature, Features
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.tokenizer import Tokenizer
from adaptstilts.tasks import Source, Task
from support.inputs import sentence, write_split

Example = dict[str, Any]
LABELS = ("animal", "plant", "thing")
_WORDS = {"cat": "animal", "dog": "animal", "bird": "animal", "tree": "plant", "stone": "thing", "house": "thing"}


class MultilabelHead(FirstTokenHead):
    """A logit for every label; those above ``threshold`` are given."""

    threshold: Tensor

    def __init__(self, hidden: int, outputs: int, dropout: float) -> None:
        super().__init__(hidden, outputs, dropout)
        self.register_buffer("threshold", torch.zeros(()))


class Multilabel(TrainableDefaults):
    """Fields: ``text`` and ``labels`` (a list, which may be empty)."""

    name = "multilabel"

    def check(self, example: Example, task: Task) -> str | None:
        return None if isinstance(example["labels"], list) else f"labels: expected a list, found {example['labels']!r}"

    def features(self, rows: Sequence[Example], tokenizer: Tokenizer, task: Task, max_length: int) -> Features:
        items, truncated = [], 0
        for i, ids in enumerate(tokenizer.ids([row["text"] for row in rows])):
            sequence = tokenizer.single(ids, max_length)
            target = [float(label in rows[i]["labels"]) for label in range(len(task.labels))]
            items.append(Feature.of(i, [sequence], target))
            truncated += sequence.cut
        return Features(items, truncated)

    def head(self, encoder: Encoder, task: Task) -> nn.Module:
        return initialize(MultilabelHead(encoder.hidden, len(task.labels), encoder.dropout))

    def loss(self, head: nn.Module, states: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        target = torch.tensor([feature.target for feature in batch.features])
        total = functional.binary_cross_entropy_with_logits(head(states).float(), target, reduction="sum")
        return total / target.shape[1], torch.tensor(len(target))

    def predict(self, head: nn.Module, states: Tensor, batch: Batch) -> list[Any]:
        assert isinstance(head, MultilabelHead)
        logits: list[Any] = (head(states).float() - head.threshold).tolist()
        return logits

    def decode(self, outputs: Sequence[Any], features: Features, rows: Sequence[Example], task: Task) -> list[Any]:
        return [[label for label, logit in zip(task.labels, row, strict=True) if logit > 0] for row in outputs]

    def calibrates(self, task: Task) -> bool:
        return True

    def calibrate(
        self, head: nn.Module, outputs: Sequence[Any], features: Features, rows: Sequence[Example], task: Task
    ) -> None:
        assert isinstance(head, MultilabelHead)
        gold = self.gold(rows, task)

        def quality(threshold: float) -> float:
            moved = [[logit - threshold for logit in row] for row in outputs]
            return self.score(self.decode(moved, features, rows, task), gold, task, "en")["f1"].value

        head.threshold += max((i / 10 for i in range(-20, 21)), key=quality)

    def gold(self, rows: Sequence[Example], task: Task) -> list[Any]:
        return [[task.labels[label] for label in sorted(row["labels"])] for row in rows]

    def probes(self, feature: Feature) -> list[Probe]:
        return [(0, 0, float(feature.target[0]))]

    def score(self, predictions: Sequence[Any], gold: Sequence[Any], task: Task, language: str) -> Mapping[str, Metric]:
        pairs = [(set(have), set(want)) for have, want in zip(predictions, gold, strict=True)]
        stats: list[tuple[float, ...]] = [(len(have & want), len(have), len(want)) for have, want in pairs]
        return {"f1": Metric("f1", stats), "exact": accuracy(predictions, gold)}


SPEC = KindSpec(
    "multilabel",
    f"{__name__}:Multilabel",
    headline=("f1",),
    metrics=("f1", "exact"),
    fields=("text", "labels"),
    label_field="labels",
    named_labels=True,
    defaults={"warmup": 0.25},
)
TASK = Task(
    name="topics",
    kind="multilabel",
    languages=("en", "de"),
    columns={"text": "text", "labels": "topics"},
    labels=LABELS,
    train=Source("toy/topics", "en", "train"),
    dev=Source("toy/topics", "en", "validation"),
    test=Source("toy/topics", "{code}", "test"),
    intermediate=True,
    licence="made here",
    citation="none",
)


def make_topics(root: Path) -> None:
    """Write rows of the task; a text has the labels of its words."""
    generator = random.Random(5)
    for config, split, n in (
        ("en", "train", 48),
        ("en", "validation", 16),
        ("en", "test", 60),
        ("de", "test", 60),
    ):
        rows = []
        for _ in range(n):
            text = sentence(generator, 7)
            rows.append({"text": text, "topics": sorted({_WORDS[word] for word in text.split() if word in _WORDS})})
        write_split(root, "toy/topics", config, split, rows)
