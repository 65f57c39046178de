"""Evaluating a ranking task: the queries of every language against one pool of candidates, by exact search."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from torch import nn

from adaptstilts import kinds, tasks
from adaptstilts.data.examples import Example
from adaptstilts.errors import Interrupted
from adaptstilts.io.wording import joined
from adaptstilts.kinds.sentence_search import SearchResult
from adaptstilts.models import unknown_tokens
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.unknown_tokens import TokenCount
from adaptstilts.phases.ranking_rows import RankingRows, load
from adaptstilts.phases.scoring import item_names
from adaptstilts.plan.phases import EvaluatePhase
from adaptstilts.runtime.context import Runtime
from adaptstilts.runtime.hardware import half_precision
from adaptstilts.runtime.inference import predict
from adaptstilts.search import neighbours
from adaptstilts.search.base import Vectors

CHUNK = 2**12  # rows whose tokens are in memory at once


def rank(
    phase: EvaluatePhase, runtime: Runtime, encoder: Encoder, head: nn.Module, length: int
) -> dict[str, SearchResult]:
    """Find the nearest candidates of every query, by language; a run that is interrupted starts over.

    Args:
        phase: phase of a ranking task.
        runtime: data, tokenizer, and whether to stop.
        encoder: encoder with the right adapters active.
        head: head of the target phase.
        length: largest number of tokens of a candidate, and of a query unless the task has its own limit.

    Raises:
        DataError: rows are unusable, alone or together.
        Interrupted: the runtime asked to stop.
    """
    rows = load(phase, runtime)
    samples = {code: rows.sample(code, phase.settings.examples) for code in rows.queries}
    queries = list(chain.from_iterable(examples.rows for examples, _ in samples.values()))
    encoding = _Encoding(phase, runtime, encoder, head, length, len(rows.pool) + len(queries))
    pool, pool_cut = encoding.vectors(list(rows.pool.values()), "query")
    vectors, cut = encoding.vectors(queries, "text")
    nearest, _ = neighbours(vectors, pool, kinds.pool_ranker(tasks.get(phase.task).kind).top)
    pool_counts = _pool_counts(phase, rows, int(pool_cut.sum()))
    names = np.array(list(rows.pool), object)
    results: dict[str, SearchResult] = {}
    first = 0
    for code, (examples, gold) in samples.items():
        last = first + len(examples.rows)
        ranked = [list(row) for row in names[nearest[first:last]]]
        counts = {
            "truncated": int(cut[first:last].sum()),
            "dropped": dict(examples.dropped),
            "pool": pool_counts,
        }
        items = item_names(tasks.get(phase.task), examples.rows)
        results[code] = SearchResult(ranked, gold, examples.ids, examples.total, counts, items=items)
        first = last
    return results


class _Encoding:
    """Encodes the rows of a phase and reports how many are done."""

    def __init__(
        self, phase: EvaluatePhase, runtime: Runtime, encoder: Encoder, head: nn.Module, length: int, total: int
    ) -> None:
        self.phase, self.runtime, self.encoder, self.head = phase, runtime, encoder, head
        self.length, self.total, self.done = length, total, 0
        self.bf16 = half_precision(phase.settings.precision, runtime.device)

    def vectors(self, rows: Sequence[Example], without: str) -> tuple[Vectors, NDArray[np.bool_]]:
        """Encode one side of some rows.

        Args:
            rows: queries, candidates or pairs.
            without: field of the other side, which is not read.

        Returns:
            (rows, hidden) float32 unit vectors, and (rows,) whether tokens were cut.
        """
        task = tasks.get(self.phase.task)
        kind, tokenizer = kinds.trainable(task.kind), self.runtime.tokenizer
        vectors = np.empty((len(rows), self.encoder.hidden), np.float32)
        cut = np.zeros(len(rows), bool)
        tokens = TokenCount()
        for start in range(0, len(rows), CHUNK):
            chunk = [{**row, without: None} for row in rows[start : start + CHUNK]]
            features = kind.features(chunk, tokenizer, task, self.length)
            tokens += unknown_tokens.count(features.items, tokenizer)
            try:
                outputs = predict(self.encoder, self.head, kind, features, tokenizer.pad, self.bf16, self.runtime.stop)
            except Interrupted:
                message = f"{self.phase.title}: stopped after {self.done} of {self.total} texts"
                raise Interrupted(message) from None
            vectors[start : start + len(outputs)] = np.concatenate(outputs)
            cut[start : start + len(outputs)] = [item.place for item in features.items]
            self.done += len(outputs)
            self.runtime.report(self.phase.title, self.done, self.total)
        side = "candidates" if without == "query" else "queries"
        self.runtime.warn_of_unknown(f"{task.name}, {side} in {joined(self.phase.languages)}", tokens)
        return vectors, cut


def _pool_counts(phase: EvaluatePhase, rows: RankingRows, cut: int) -> dict[str, int]:
    """Return the reported facts about the pool.

    Args:
        phase: the phase that ranks the pool.
        rows: the candidates.
        cut: number of candidates that lost tokens.
    """
    counts = {"candidates": len(rows.pool), "truncated": cut}
    if not rows.is_shared:
        counts |= {"languages": len(phase.languages), "of": len(tasks.get(phase.task).languages)}
    return counts
