"""The rows of a ranking task: the queries of every language, their gold candidates, and the pool that is searched.

The pool is a table of its own (Mewsli-X), or consists of the candidates among the rows of all languages of the phase
(LAReQA). In the latter case the gold candidates of a query are those of all queries with its id, in any language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adaptstilts import kinds, languages, tasks
from adaptstilts.data.examples import Example, Examples, read, subset
from adaptstilts.data.sources import Split
from adaptstilts.errors import DataError
from adaptstilts.plan.phases import EvaluatePhase
from adaptstilts.runtime.context import Runtime
from adaptstilts.tasks.base import POOL


@dataclass(frozen=True)
class RankingRows:
    """The queries and candidates of a ranking phase.

    Attributes:
        queries: queries of every language.
        targets: ids of the gold candidates of each query.
        pool: id -> candidate; equally near candidates are ranked in this order.
        is_shared: True if the pool is a table of its own.
    """

    queries: Mapping[str, Examples]
    targets: Mapping[str, list[list[str]]]
    pool: Mapping[str, Example]
    is_shared: bool

    def sample(self, code: str, limit: int | None) -> tuple[Examples, list[list[str]]]:
        """Return the queries of a language that are ranked, and their gold candidates.

        Args:
            code: code of the language.
            limit: number of queries; None for all.
        """
        queries = self.queries[code]
        sample = subset(queries, limit)
        position = {number: i for i, number in enumerate(queries.ids)}
        return sample, [self.targets[code][position[number]] for number in sample.ids]


def load(phase: EvaluatePhase, runtime: Runtime) -> RankingRows:
    """Read the rows of a phase: every query with its gold candidates, and the pool.

    Args:
        phase: names the task, the split and the languages.
        runtime: reads the data.

    Raises:
        DataError: rows are unusable, alone or together.
    """
    task = tasks.get(phase.task)
    kind = kinds.pool_ranker(task.kind)
    splits: dict[str, Split] = {}
    rows: dict[str, Examples] = {}
    for code in phase.languages:
        source = task.reads(phase.settings.split, languages.resolve(code))[code]
        splits[code] = runtime.split(task, source, phase.data[code])
        rows[code] = kind.numbered(read(splits[code], task, kind.check))
    shared = _shared_pool(phase, runtime)
    if shared is None:
        rows = {code: _prefix_candidates(examples, f"{code}_") for code, examples in rows.items()}
    pool: dict[str, Example] = shared or {}
    queries: dict[str, Examples] = {}
    for code, examples in rows.items():
        if shared is None:
            _add_candidates(examples, pool, splits[code])
        queries[code] = kind.queries(examples)
    for code, examples in queries.items():
        _check_queries(examples, pool, splits[code])
    return RankingRows(queries, _targets(queries, shared is not None), pool, shared is not None)


def _shared_pool(phase: EvaluatePhase, runtime: Runtime) -> dict[str, Example] | None:
    """Return the candidates of a pool that is a table of its own; None if the task has no such table."""
    task = tasks.get(phase.task)
    source = task.reads(phase.settings.split, languages.resolve(phase.languages[0])).get(POOL)
    if source is None:
        return None
    pool: dict[str, Example] = {}
    split = runtime.split(task, source, phase.data[POOL])
    _add_candidates(read(split, task, kinds.pool_ranker(task.kind).check), pool, split)
    return pool


def _prefix_candidates(examples: Examples, prefix: str) -> Examples:
    """Prefix the ids of candidates, so that those of different languages differ."""
    rows = [{**row, "candidate": prefix + row["candidate"]} for row in examples.rows]
    return Examples(rows, examples.ids, examples.total, examples.dropped)


def _add_candidates(examples: Examples, pool: dict[str, Example], split: Split) -> None:
    """Add the candidates among some rows to a pool.

    Args:
        examples: queries and candidates.
        pool: id -> candidate.
        split: split of the rows, for messages.

    Raises:
        DataError: two candidates of the same id have different texts.
    """
    for row in examples.rows:
        if row["text"] is None:
            continue
        earlier = pool.setdefault(row["candidate"], row)
        if (earlier["text"], earlier.get("context")) != (row["text"], row.get("context")):
            raise DataError(
                f"{split.files[0]}: candidate {row['candidate']!r} has two texts; expected an id for each candidate"
            )


def _check_queries(examples: Examples, pool: Mapping[str, Example], split: Split) -> None:
    """Raise unless the queries of a language have unique ids and gold candidates in the pool.

    Args:
        examples: the queries.
        pool: id -> candidate.
        split: split of the queries, for messages.

    Raises:
        DataError: names the first query that is wrong.
    """
    file, seen = split.files[0], set[str]()
    if not examples.rows:
        raise DataError(f"{file}: no query of {split.source} has a gold candidate")
    for number, row in zip(examples.ids, examples.rows, strict=True):
        if row["id"] in seen:
            raise DataError(f"{file}: example {number}: id: expected one that no other query has, found {row['id']!r}")
        if row["candidate"] not in pool:
            raise DataError(
                f"{file}: example {number}: candidate: expected one of the {len(pool)} candidates, found"
                f" {row['candidate']!r}"
            )
        seen.add(row["id"])


def _targets(queries: Mapping[str, Examples], is_shared: bool) -> dict[str, list[list[str]]]:
    """Return the gold candidates per query: its own and, without a shared pool, its translations'.

    Args:
        queries: queries of every language; translations have the same id.
        is_shared: True if the pool is a table of its own.
    """
    of_id: dict[str, dict[str, None]] = {}
    for examples in queries.values():
        for row in examples.rows:
            of_id.setdefault(row["id"], {})[row["candidate"]] = None
    targets: dict[str, list[list[str]]] = {}
    for code, examples in queries.items():
        if is_shared:
            targets[code] = [[row["candidate"]] for row in examples.rows]
        else:
            targets[code] = [list(of_id[row["id"]]) for row in examples.rows]
    return targets
