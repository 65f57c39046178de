"""Classification of one text or of a pair of texts: one label, from the first token's vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from adaptstilts.data.examples import Example
from adaptstilts.kinds.base import FirstTokenHead, Probe, TrainableDefaults, initialize
from adaptstilts.metrics.scores import Metric, accuracy, binary_f1, matthews
from adaptstilts.models.batching import Batch, Feature, Features
from adaptstilts.tasks import row_checks
from adaptstilts.tasks.base import Task

if TYPE_CHECKING:
    from adaptstilts.models.encoder import Encoder
    from adaptstilts.models.tokenizer import Tokenizer


class Classification(TrainableDefaults):
    """Classification; fields ``text_a``, optionally ``text_b``, and ``label`` (an index into the task's labels)."""

    name = "classification"

    def check(self, example: Example, task: Task) -> str | None:
        """Check that texts are text; the label was mapped when the row was read."""
        return row_checks.classification(example, task)

    def features(self, rows: Sequence[Example], tokenizer: Tokenizer, task: Task, max_length: int) -> Features:
        """Turn every row into one text or a pair of texts."""
        first = tokenizer.ids([row["text_a"] for row in rows])
        second = tokenizer.ids([row["text_b"] for row in rows]) if "text_b" in task.columns else None
        items, truncated = [], 0
        for i, row in enumerate(rows):
            if second is None:
                sequence = tokenizer.single(first[i], max_length)
            else:
                sequence = tokenizer.pair(first[i], second[i], max_length)
            items.append(Feature.of(i, [sequence], row["label"]))
            truncated += sequence.cut
        return Features(items, truncated)

    def head(self, encoder: Encoder, task: Task) -> nn.Module:
        """Return a head with one output per label."""
        return initialize(FirstTokenHead(encoder.hidden, len(task.labels), encoder.dropout))

    def loss(self, head: nn.Module, states: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Compute the cross-entropy over labels, one term per row."""
        target = torch.tensor([feature.target for feature in batch.features], device=states.device)
        total = functional.cross_entropy(head(states).float(), target, reduction="sum")
        return total, torch.tensor(len(target))

    def predict(self, head: nn.Module, states: Tensor, batch: Batch) -> list[Any]:
        """Return the index of the best label."""
        best: list[Any] = head(states).float().argmax(-1).tolist()
        return best

    def decode(self, outputs: Sequence[Any], features: Features, rows: Sequence[Example], task: Task) -> list[Any]:
        """Return label names."""
        return [task.labels[output] for output in outputs]

    def gold(self, rows: Sequence[Example], task: Task) -> list[Any]:
        """Return label names."""
        return [task.labels[row["label"]] for row in rows]

    def score(self, predictions: Sequence[Any], gold: Sequence[Any], task: Task, language: str) -> Mapping[str, Metric]:
        """Compute accuracy and, with two labels, F1 and Matthews correlation of the second one, as GLUE does."""
        metrics = {"accuracy": accuracy(predictions, gold)}
        if len(task.labels) == 2:
            positive = task.labels[1]
            metrics |= {"f1": binary_f1(predictions, gold, positive), "matthews": matthews(predictions, gold, positive)}
        return metrics

    def probes(self, feature: Feature) -> list[Probe]:
        """Return the first token, with the number of the label."""
        return [(0, 0, float(feature.target))]


KIND = Classification()
