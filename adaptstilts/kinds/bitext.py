"""Sentence retrieval: aligned sentences in a foreign language and in English. Nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from adaptstilts.data.examples import Example, text_problem
from adaptstilts.errors import ConfigError
from adaptstilts.kinds.base import Batch, Feature, Features
from adaptstilts.metrics import Metric, accuracy
from adaptstilts.tasks.base import Task

if TYPE_CHECKING:
    from adaptstilts.models.tokenizer import Tokenizer


class Bitext:
    """Fields: ``foreign`` and ``english``, translations of each other."""

    name = "bitext"
    headline = ("accuracy",)
    trainable = False

    def check(self, example: Example, task: Task) -> str | None:
        """Both sides are text; the newline that the hub's copies keep at the end is taken off."""
        problem = text_problem(example, "foreign", "english")
        if problem is None:
            example.update(foreign=example["foreign"].rstrip("\r\n"), english=example["english"].rstrip("\r\n"))
        return problem

    def features(self, rows: Sequence[Example], tokenizer: Tokenizer, task: Task, max_length: int) -> Features:
        """One sequence per row of ``{"text": ...}``; ``place`` is whether it was cut."""
        items, truncated = [], 0
        for i, ids in enumerate(tokenizer.ids([row["text"] for row in rows])):
            sequence, cut = tokenizer.single(ids, max_length)
            items.append(Feature(i, (sequence,), None, cut))
            truncated += cut
        return Features(items, truncated)

    def head(self, hidden: int, dropout: float, task: Task) -> nn.Module:
        """There is none."""
        raise ConfigError(f"{task.name} is a retrieval task: it has no head and is not trained")

    def loss(self, head: nn.Module, states: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """There is none."""
        raise ConfigError("a retrieval task is not trained")

    def predict(self, head: nn.Module, states: Tensor, batch: Batch) -> list[Any]:
        """There is none."""
        raise ConfigError("a retrieval task has no head")

    def decode(self, outputs: Sequence[Any], features: Features, rows: Sequence[Example], task: Task) -> list[Any]:
        """Row numbers, as found by the search."""
        return list(outputs)

    def gold(self, rows: Sequence[Example], task: Task) -> list[Any]:
        """Row ``i`` is the translation of row ``i``."""
        return list(range(len(rows)))

    def score(self, predictions: Sequence[Any], gold: Sequence[Any]) -> Mapping[str, Metric]:
        """Accuracy at rank one."""
        return {"accuracy": accuracy(predictions, gold)}


KIND = Bitext()
