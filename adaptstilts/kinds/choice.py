"""Multiple choice: every (context, choice) pair gets one score, the highest wins. Any number of choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from adaptstilts.data.examples import Example
from adaptstilts.kinds.base import FirstTokenHead, Probe, TrainableDefaults, initialize
from adaptstilts.metrics.scores import Metric, accuracy
from adaptstilts.models.batching import Batch, Feature, Features
from adaptstilts.tasks import row_checks
from adaptstilts.tasks.base import Task

if TYPE_CHECKING:
    from adaptstilts.models.encoder import Encoder
    from adaptstilts.models.tokenizer import Tokenizer


class MultipleChoice(TrainableDefaults):
    """Multiple choice; fields ``context``, ``choices`` (a list of texts) and ``label`` (the index of the right one)."""

    name = "choice"

    def check(self, example: Example, task: Task) -> str | None:
        """Check that there are two or more choices, all text, and that the label is among them."""
        return row_checks.choice(example, task)

    def features(self, rows: Sequence[Example], tokenizer: Tokenizer, task: Task, max_length: int) -> Features:
        """Turn every context and choice into a pair; the longer text loses its beginning."""
        contexts = tokenizer.ids([row["context"] for row in rows])
        flat = iter(tokenizer.ids([choice for row in rows for choice in row["choices"]]))
        items, truncated = [], 0
        for i, row in enumerate(rows):
            pairs = [tokenizer.pair(contexts[i], next(flat), max_length, front=True) for _ in row["choices"]]
            items.append(Feature.of(i, pairs, row["label"]))
            truncated += any(pair.cut for pair in pairs)
        return Features(items, truncated)

    def head(self, encoder: Encoder, task: Task) -> nn.Module:
        """Return a head with one output, the score of a choice, so that it fits any number of choices."""
        return initialize(FirstTokenHead(encoder.hidden, 1, encoder.dropout))

    def loss(self, head: nn.Module, states: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Compute the cross-entropy over the choices, one term per row."""
        target = torch.tensor([feature.target for feature in batch.features], device=states.device)
        total = functional.cross_entropy(_scores(head, states, batch), target, reduction="sum")
        return total, torch.tensor(len(target))

    def predict(self, head: nn.Module, states: Tensor, batch: Batch) -> list[Any]:
        """Return the index of the best choice."""
        best: list[Any] = _scores(head, states, batch).argmax(-1).tolist()
        return best

    def decode(self, outputs: Sequence[Any], features: Features, rows: Sequence[Example], task: Task) -> list[Any]:
        """Return indices of choices."""
        return list(outputs)

    def gold(self, rows: Sequence[Example], task: Task) -> list[Any]:
        """Return indices of choices."""
        return [row["label"] for row in rows]

    def score(self, predictions: Sequence[Any], gold: Sequence[Any], task: Task, language: str) -> Mapping[str, Metric]:
        """Compute the accuracy."""
        return {"accuracy": accuracy(predictions, gold)}

    def probes(self, feature: Feature) -> list[Probe]:
        """Return the first token of every choice, with 1 for the right one and 0 for the others."""
        return [(i, 0, float(i == feature.target)) for i in range(len(feature.sequences))]


def _scores(head: nn.Module, states: Tensor, batch: Batch) -> Tensor:
    """Return (rows, choices) scores, minus infinity where a row has fewer choices than another."""
    flat = head(states).float().squeeze(-1)
    rows = flat.split([len(feature.sequences) for feature in batch.features])
    return nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=float("-inf"))


KIND = MultipleChoice()
