"""Evaluating a ranking task: the queries of every language against one pool of candidates, by exact search.

The pool is a table of its own (Mewsli-X), or what the rows of all languages of the phase hold (LAReQA): then a query's
right candidates are those of the queries with its id in all of these languages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from adaptstilts import kinds, languages, tasks
from adaptstilts.data.examples import Example, Examples, read, subset
from adaptstilts.data.sources import Split
from adaptstilts.errors import DataError, Interrupted
from adaptstilts.kinds.sentence_search import SearchResult
from adaptstilts.models.encoder import Encoder
from adaptstilts.plan.phases import EvaluatePhase
from adaptstilts.runtime.context import Runtime, half_precision
from adaptstilts.runtime.inference import predict
from adaptstilts.search import neighbours
from adaptstilts.search.base import Vectors
from adaptstilts.tasks.base import POOL

CHUNK = 2**12  # rows whose tokens are held at once


@dataclass(frozen=True)
class Held:
    """What a phase ranks.

    Attributes:
        queries: of every language.
        targets: the ids of the right candidates of each of them.
        pool: id -> candidate, in the order in which equally near ones are ranked.
        shared: whether the pool is a table of its own.
    """

    queries: Mapping[str, Examples]
    targets: Mapping[str, list[list[str]]]
    pool: Mapping[str, Example]
    shared: bool


def rank(
    phase: EvaluatePhase, runtime: Runtime, encoder: Encoder, head: nn.Module, length: int
) -> dict[str, SearchResult]:
    """The nearest 20 candidates of every query, by language; one that was stopped begins anew.

    Args:
        phase: of a ranking task.
        runtime: data, tokenizer, and whether to stop.
        encoder: with the adapters that are to act.
        head: of the target phase.
        length: tokens of a candidate at most, and of a query where the task has no limit of its own.

    Raises:
        DataError: rows that are unusable, alone or together.
        Interrupted: asked to stop.
    """
    held = load(phase, runtime)
    chosen = {code: _chosen(held, code, phase.settings.examples) for code in held.queries}
    asked = [row for examples, _ in chosen.values() for row in examples.rows]
    encoding = _Encoding(phase, runtime, encoder, head, length, len(held.pool) + len(asked))
    pool, pool_cut = encoding.vectors(list(held.pool.values()), "query")
    vectors, cut = encoding.vectors(asked, "text")
    nearest, _ = neighbours(vectors, pool, kinds.pool_ranker(tasks.get(phase.task).kind).top)
    counts = {"pool": _told(phase, held, int(pool_cut.sum()))}
    names, found, first = list(held.pool), {}, 0
    for code, (examples, gold) in chosen.items():
        last = first + len(examples.rows)
        ranked = [[names[place] for place in places] for places in nearest[first:last].tolist()]
        more = {"truncated": int(cut[first:last].sum()), "dropped": dict(examples.dropped), **counts}
        found[code] = SearchResult(ranked, gold, examples.ids, examples.total, more)
        first = last
    return found


def load(phase: EvaluatePhase, runtime: Runtime) -> Held:
    """The rows of a phase: every query with its right candidates, and the pool.

    Raises:
        DataError: rows that are unusable, alone or together.
    """
    task, split = tasks.get(phase.task), phase.settings.split
    kind = kinds.pool_ranker(task.kind)
    places = {code: task.reads(split, languages.resolve(code)) for code in phase.languages}
    splits = {code: runtime.split(task, sources[code], phase.data[code]) for code, sources in places.items()}
    rows = {code: kind.numbered(read(found, task, kind.check)) for code, found in splits.items()}
    source = next(iter(places.values())).get(POOL)
    pool: dict[str, Example] = {}
    if source is None:
        rows = {code: _named(examples, f"{code}_") for code, examples in rows.items()}
        for code, examples in rows.items():
            _add(examples, pool, splits[code])
    else:
        shared = runtime.split(task, source, phase.data[POOL])
        _add(read(shared, task, kind.check), pool, shared)
    held = {code: kind.queries(examples) for code, examples in rows.items()}
    for code, examples in held.items():
        _check(examples, pool, splits[code])
    return Held(held, _targets(held, source is not None), pool, source is not None)


class _Encoding:
    """Encodes rows and counts them."""

    def __init__(
        self, phase: EvaluatePhase, runtime: Runtime, encoder: Encoder, head: nn.Module, length: int, total: int
    ) -> None:
        self.phase, self.runtime, self.encoder, self.head = phase, runtime, encoder, head
        self.length, self.total, self.done = length, total, 0
        self.bf16 = half_precision(phase.settings.precision, runtime.device)

    def vectors(self, rows: Sequence[Example], without: str) -> tuple[Vectors, NDArray[np.bool_]]:
        """(rows, hidden) float32 unit vectors, and (rows,) whether tokens were cut; pairs are read without one side."""
        task = tasks.get(self.phase.task)
        kind, tokenizer = kinds.trainable(task.kind), self.runtime.tokenizer
        vectors = np.empty((len(rows), self.encoder.hidden), np.float32)
        cut = np.zeros(len(rows), bool)
        for start in range(0, len(rows), CHUNK):
            chunk = [{**row, without: None} for row in rows[start : start + CHUNK]]
            features = kind.features(chunk, tokenizer, task, self.length)
            try:
                outputs = predict(self.encoder, self.head, kind, features, tokenizer.pad, self.bf16, self.runtime.stop)
            except Interrupted:
                told = f"{self.phase.title}: stopped after {self.done} of {self.total} texts"
                raise Interrupted(told) from None
            vectors[start : start + len(outputs)] = np.concatenate(outputs)
            cut[start : start + len(outputs)] = [item.place for item in features.items]
            self.done += len(outputs)
            self.runtime.report(self.phase.title, self.done, self.total)
        return vectors, cut


def _chosen(held: Held, code: str, limit: int | None) -> tuple[Examples, list[list[str]]]:
    """The queries of a language that are asked, and their right candidates."""
    every = held.queries[code]
    examples = subset(every, limit)
    at = {number: i for i, number in enumerate(every.ids)}
    return examples, [held.targets[code][at[number]] for number in examples.ids]


def _named(examples: Examples, prefix: str) -> Examples:
    """Candidates named so that those of different languages differ."""
    rows = [{**row, "candidate": prefix + row["candidate"]} for row in examples.rows]
    return Examples(rows, examples.ids, examples.total, examples.dropped)


def _add(examples: Examples, pool: dict[str, Example], split: Split) -> None:
    """Put the candidates among some rows into a pool, by id.

    Raises:
        DataError: two of the same id have different texts.
    """
    for row in examples.rows:
        if row["text"] is None:
            continue
        earlier = pool.setdefault(row["candidate"], row)
        if (earlier["text"], earlier.get("context")) != (row["text"], row.get("context")):
            raise DataError(
                f"{split.files[0]}: candidate {row['candidate']!r} has two texts; expected an id for each candidate"
            )


def _check(examples: Examples, pool: Mapping[str, Example], split: Split) -> None:
    """Whether the queries of a language have ids of their own, and candidates that are in the pool.

    Raises:
        DataError: names the first that has not.
    """
    file, seen = split.files[0], set[str]()
    if not examples.rows:
        raise DataError(f"{file}: no query of {split.source} has a right candidate")
    for number, row in zip(examples.ids, examples.rows, strict=True):
        if row["id"] in seen:
            raise DataError(f"{file}: example {number}: id: expected one that no other query has, found {row['id']!r}")
        if row["candidate"] not in pool:
            raise DataError(
                f"{file}: example {number}: candidate: expected one of the {len(pool)} candidates, found"
                f" {row['candidate']!r}"
            )
        seen.add(row["id"])


def _targets(held: Mapping[str, Examples], shared: bool) -> dict[str, list[list[str]]]:
    """The right candidates of every query: its own, and where languages have theirs, those of its translations."""
    together: dict[str, dict[str, None]] = {}
    for examples in held.values():
        for row in examples.rows:
            together.setdefault(row["id"], {})[row["candidate"]] = None
    return {
        code: [[row["candidate"]] if shared else list(together[row["id"]]) for row in examples.rows]
        for code, examples in held.items()
    }


def _told(phase: EvaluatePhase, held: Held, cut: int) -> dict[str, int]:
    """What is said of the pool."""
    told = {"candidates": len(held.pool), "truncated": cut}
    if held.shared:
        return told
    return {**told, "languages": len(phase.languages), "of": len(tasks.get(phase.task).languages)}
