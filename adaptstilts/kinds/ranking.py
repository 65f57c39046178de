"""Ranking: queries and candidates in one space, a query's right candidates nearest to it. One tower encodes both.

The dual encoder that XTREME-R trains for LAReQA and Mewsli-X (Ruder et al. 2021, arXiv 2104.07412): the first token's
vector at unit length, and a softmax over the candidates of the batch of inner products times a learned scale. Two
differences: there is no pooler on top of the first token, and the scale is learned as its logarithm (as in Radford et
al. 2021, arXiv 2103.00020), so that it stays positive.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from adaptstilts.data.examples import Example, Examples
from adaptstilts.errors import DataError
from adaptstilts.kinds.base import TrainableDefaults
from adaptstilts.metrics.scores import Metric, average_precision, reciprocal_rank
from adaptstilts.models.batching import Batch, Feature, Features
from adaptstilts.search import neighbours
from adaptstilts.tasks import row_checks
from adaptstilts.tasks.base import Task

if TYPE_CHECKING:
    from adaptstilts.models.encoder import Encoder
    from adaptstilts.models.tokenizer import Ids, Tokenizer

TOP = 20  # candidates that are ranked for a query
MRR_TOP = 10  # of these, as far as the reciprocal rank looks (XTREME-UP)
SCALE = 100.0  # at the start


class PairRanking(TrainableDefaults):
    """Ranking; fields ``id``, ``query``, ``candidate``, ``text`` and optionally ``context``, None if a row lacks them.

    A row is a query (``id``, ``query``, and ``candidate``: the id of the right one), a candidate (``candidate``,
    ``text``) or a pair to train on (``query`` and ``text``). ``context`` follows ``text`` as a second segment.
    """

    name = "ranking"
    joint = True
    top = TOP

    def check(self, example: Example, task: Task) -> str | None:
        """Check that fields are text or None, and that the row is a query, a candidate or a pair."""
        return row_checks.ranking(example, task)

    def features(self, rows: Sequence[Example], tokenizer: Tokenizer, task: Task, max_length: int) -> Features:
        """Turn the query of a row into one sequence and its text, with the context if there is one, into another.

        ``place`` is whether tokens were cut.
        """
        limit = min(max_length, task.query_length or max_length)
        queries, texts, contexts = (_ids(rows, tokenizer, name) for name in ("query", "text", "context"))
        items, truncated = [], 0
        for i, row in enumerate(rows):
            sequences = []
            if row["query"] is not None:
                sequences.append(tokenizer.single(next(queries), limit))
            if row["text"] is not None and row.get("context") is None:
                sequences.append(tokenizer.single(next(texts), max_length))
            elif row["text"] is not None:
                sequences.append(tokenizer.pair(next(texts), next(contexts), max_length))
            cut = any(sequence.cut for sequence in sequences)
            items.append(Feature.of(i, sequences, None, cut))
            truncated += cut
        return Features(items, truncated)

    def head(self, encoder: Encoder, task: Task) -> nn.Module:
        """Return the scale of the softmax, and nothing else."""
        return TowerHead()

    def loss(self, head: nn.Module, states: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Compute the cross-entropy of each query over the candidates of the whole batch, one term per row.

        Equal candidates of a batch are negatives of each other's queries, as in XTREME-R.

        Raises:
            DataError: a row is not a pair.
        """
        if any(len(feature.sequences) != 2 for feature in batch.features):
            raise DataError("ranking is trained on rows that have a query and the text of its candidate")
        vectors: Tensor = head(states)
        with torch.autocast(states.device.type, enabled=False):  # bf16 would blur logits of this size
            logits = head.get_parameter("log_scale").exp() * (vectors[0::2] @ vectors[1::2].T)
        target = torch.arange(len(logits), device=states.device)
        return functional.cross_entropy(logits, target, reduction="sum"), torch.tensor(len(target))

    def predict(self, head: nn.Module, states: Tensor, batch: Batch) -> list[Any]:
        """Return the unit vectors of each row: (sequences of the row, hidden) float32."""
        vectors = head(states).cpu().numpy()
        ends = np.cumsum([len(feature.sequences) for feature in batch.features])
        return [*np.split(vectors, ends[:-1])]

    def decode(self, outputs: Sequence[Any], features: Features, rows: Sequence[Example], task: Task) -> list[Any]:
        """Rank the candidates of all pairs for each query, by number; equal texts are one candidate."""
        numbers = _numbers(rows)
        first = {number: i for i, number in reversed(list(enumerate(numbers)))}
        pool = np.stack([outputs[first[number]][1] for number in range(len(first))])
        nearest, _ = neighbours(np.stack([output[0] for output in outputs]), pool, TOP)
        ranked: list[Any] = nearest.tolist()
        return ranked

    def gold(self, rows: Sequence[Example], task: Task) -> list[Any]:
        """Return the numbers that :meth:`decode` gives to the right candidates, each as a list of one."""
        return [[number] for number in _numbers(rows)]

    def score(self, predictions: Sequence[Any], gold: Sequence[Any], task: Task, language: str) -> Mapping[str, Metric]:
        """Compute mean average precision at 20, and the mean reciprocal rank at 10 for tasks that name it."""
        metrics = {"map": average_precision(predictions, gold, TOP)}
        if "mrr" in task.metrics:
            metrics["mrr"] = reciprocal_rank(predictions, gold, MRR_TOP)
        return metrics

    def queries(self, examples: Examples) -> Examples:
        """Return the examples that are queries; ``total`` counts them."""
        kept = [i for i, row in enumerate(examples.rows) if row["query"] is not None]
        rows, ids = [examples.rows[i] for i in kept], [examples.ids[i] for i in kept]
        return Examples(rows, ids, len(rows), examples.dropped)

    def numbered(self, examples: Examples) -> Examples:
        """Return the examples, candidates without an id getting the number of their text as one."""
        numbers = iter(_numbers([row for row in examples.rows if row["candidate"] is None]))
        rows = []
        for row in examples.rows:
            rows.append(row if row["candidate"] is not None else {**row, "candidate": str(next(numbers))})
        return Examples(rows, examples.ids, examples.total, examples.dropped)


class TowerHead(nn.Module):
    """The first token's vector at unit length, in float32; ``log_scale`` is the logarithm of the softmax's scale."""

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(SCALE)))

    def forward(self, states: Tensor) -> Tensor:
        """Map (sequences, tokens, hidden) to (sequences, hidden)."""
        return functional.normalize(states[:, 0].float(), dim=-1)


def _ids(rows: Sequence[Example], tokenizer: Tokenizer, name: str) -> Iterator[Ids]:
    """Return the token ids of a field, of those rows that have it."""
    return iter(tokenizer.ids([row[name] for row in rows if row.get(name) is not None]))


def _numbers(rows: Sequence[Example]) -> list[int]:
    """Return numbered candidates in order of appearance; equal texts with equal contexts are one."""
    seen: dict[tuple[str, str | None], int] = {}
    return [seen.setdefault((row["text"], row.get("context")), len(seen)) for row in rows]


KIND = PairRanking()
