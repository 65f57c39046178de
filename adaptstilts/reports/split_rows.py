"""The rows behind one result: those that were scored, and those that anything under it was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from adaptstilts import tasks
from adaptstilts.data.row_counts import RowCount, published_rows
from adaptstilts.plan.expand import Cell
from adaptstilts.plan.phases import TrainPhase, parse
from adaptstilts.reports.costs import ancestors
from adaptstilts.store.contents import TrainResult
from adaptstilts.store.entries import SCORES, TRAIN_RESULT
from adaptstilts.store.store import Store


def split_rows(cell: Cell, split: str, store: Store) -> list[RowCount]:
    """Return the rows of every split behind a cell: training rows first, then the scored ones by language.

    Args:
        cell: a cell whose phase is done; other seeds have the same rows.
        split: the split that is scored.
        store: its entries.
    """
    entry, task = store.peek(cell.phase), tasks.get(cell.task)
    counts: dict[RowCount, None] = {}
    for below in reversed(ancestors(entry, {cell.phase}, store)):
        phase = parse(below.spec)
        if isinstance(phase, TrainPhase) and phase.shots is None:
            counts |= dict.fromkeys(_training_rows(phase, TRAIN_RESULT.read(below)))
    published = 0 if task.sets else published_rows(task, split)
    for code, score in SCORES.read(entry).items():
        left_out = sum(score.get("dropped", {}).values())
        counts[RowCount(cell.task, split, code, score["rows"], left_out, published)] = None
    return [*counts]


def _training_rows(phase: TrainPhase, result: TrainResult) -> Iterator[RowCount]:
    """Yield the rows that a phase was trained on, by task.

    Args:
        phase: a phase that is trained on English rows.
        result: what it reported.
    """
    streams: Mapping[str, Mapping[str, Any]] = result.get("streams", {phase.task: result})
    rows_of = {stream.task: stream.rows for stream in phase.streams} or {phase.task: phase.rows}
    for name, counts in streams.items():
        task = tasks.known().get(rows_of.get(name, ""))
        if task is not None:  # not text of language modelling
            usable, left_out = counts["examples_in_split"], sum(counts["dropped"].values())
            yield RowCount(task.name, "train", "", usable, left_out, published_rows(task, "train"))
