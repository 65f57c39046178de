"""Results that are no better than guessing in English, where everything was trained."""

from __future__ import annotations

import math

from adaptstilts import tasks
from adaptstilts.io.wording import counted
from adaptstilts.reports.means import ENGLISH
from adaptstilts.reports.page.parts.results import Results
from adaptstilts.reports.records import Record
from adaptstilts.store.entries import SCORES
from adaptstilts.tasks import kind_specs

_NORMAL = 1.96


def chance_level(task: str) -> float | None:
    """Return the score of guessing, in points; None where the kind of the task does not say it."""
    declared = tasks.get(task)
    chance = kind_specs.get(declared.kind).chance
    return chance(declared) if chance else None


def not_above_chance(results: Results) -> list[str]:
    """Return the targets with results that are not above chance in English, and how many there are of each."""
    texts = []
    for task in results.tasks:
        level = chance_level(task)
        records = [record for record in results.done if record.task == task and record.english is not None]
        if level is None or not records:
            continue
        failed = sum(not _is_above(results, record, level) for record in records)
        if failed:
            texts.append(f"{failed} of {counted(len(records), 'result')} of {task}")
    return texts


def _is_above(results: Results, record: Record, level: float) -> bool:
    """Tell whether English is above a level by more than its test items allow by luck (95 %)."""
    scores = SCORES.read(results.store.peek(record.phases[0]))
    count = scores[ENGLISH]["n"]
    error = math.sqrt(level * (100 - level) / count)
    return record.english is not None and record.english > level + _NORMAL * error
