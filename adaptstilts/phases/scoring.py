"""What evaluate and retrieve phases write for each language: scores, statistics for intervals, predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, cast

from adaptstilts import kinds
from adaptstilts.data.examples import Example
from adaptstilts.io import hashing
from adaptstilts.metrics.scores import Metric, StoredMetric
from adaptstilts.store import entries
from adaptstilts.store.contents import LanguageScores, Predictions
from adaptstilts.tasks import Task

ITEM_DIGITS = 16  # hexadecimal digits of the sha256 of an item's name


class LanguageResult(TypedDict):
    """The part of one language in the files of an entry."""

    scores: LanguageScores
    stats: dict[str, StoredMetric]
    predictions: Predictions


def score_language(
    task: Task,
    language: str,
    predictions: list[Any],
    gold: list[Any],
    ids: list[int],
    total: int,
    counts: Mapping[str, Any],
    more: Mapping[str, Metric] | None = None,
    items: list[str] | None = None,
) -> LanguageResult:
    """Score the predictions of one language.

    Args:
        task: names the metrics.
        language: its code.
        predictions: one for each example, as JSON values.
        gold: the gold answers.
        ids: row numbers of the examples in the split.
        total: number of examples in the split.
        counts: facts reported beside the scores.
        more: metrics that need more than predictions and gold answers.
        items: names of the items that the examples are of, from :func:`item_names`.
    """
    metrics = {**kinds.get(task.kind).score(predictions, gold, task, language), **(more or {})}
    values = {name: metric.value for name, metric in metrics.items()}
    stats: dict[str, StoredMetric] = {}
    for name, metric in metrics.items():
        stats[name] = {"measure": metric.measure, "stats": [list(row) for row in metric.stats]}
    predicted: Predictions = {"ids": ids, "predictions": predictions}
    if items is not None:
        predicted["items"] = items
    return {
        "scores": cast(LanguageScores, {"values": values, "n": len(ids), "rows": total, **counts}),
        "stats": stats,
        "predictions": predicted,
    }


def item_names(task: Task, rows: Sequence[Example]) -> list[str] | None:
    """Return a short digest of the name of each example's item; None if the task declares no such field.

    Args:
        task: the task.
        rows: its examples.
    """
    if task.item is None:
        return None
    return [hashing.of(str(row[task.item]))[:ITEM_DIGITS] for row in rows]


def write_results(results: Mapping[str, LanguageResult], staging: Path) -> None:
    """Write ``scores.json``, ``stats.json`` and ``predictions/<language>.json``.

    Args:
        results: by language.
        staging: folder of the files.
    """
    entries.SCORES.write(staging, {code: result["scores"] for code, result in results.items()})
    entries.STATS.write(staging, {code: result["stats"] for code, result in results.items()})
    for code, result in results.items():
        entries.predictions(code).write(staging, result["predictions"])
