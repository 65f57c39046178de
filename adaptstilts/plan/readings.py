"""The splits whose rows phases read, so that they can be checked before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adaptstilts import languages, tasks
from adaptstilts.data.shots import Shots
from adaptstilts.languages import Language
from adaptstilts.study import masked_text
from adaptstilts.tasks import Source, Task
from adaptstilts.tasks.base import POOL

if TYPE_CHECKING:
    from adaptstilts.plan.phases import StreamSpec


@dataclass(frozen=True)
class Reading:
    """A split whose rows a phase reads.

    Attributes:
        task: whose rows they are, restricted to one row set if it has several.
        source: of the split.
        language: code of the language in which it is scored; empty if it is not.
        limit: number of rows that are scored at most.
        needed: number of rows that it must have at least.
        split: ``train`` for all English training rows, or the split that is scored; empty for other rows.
    """

    task: Task
    source: Source
    language: str = ""
    limit: int | None = None
    needed: int = 0
    split: str = ""


def of_training(streams: Iterable[StreamSpec], shots: Shots | None) -> list[Reading]:
    """Return the training and dev rows of the streams of a phase.

    Args:
        streams: of the phase.
        shots: the training rows, if they are a few of one language; None for the English ones.
    """
    readings: list[Reading] = []
    for stream in streams:
        rows = masked_text.of(stream.text) if stream.text else tasks.get(stream.rows)
        task = rows if stream.text else tasks.get(stream.task)
        if shots:
            readings.append(Reading(rows, rows.shot_source(shots.language), needed=shots.k))
        else:
            readings += of_english([rows])
        if task.dev:
            readings.append(Reading(task, task.fill(task.dev)))
    return readings


def of_english(trained: Iterable[Task]) -> list[Reading]:
    """Return the English training rows of tasks."""
    return [Reading(task, task.fill(task.train), split="train") for task in trained if task.train]


def of_evaluation(task: str, split: str, codes: Iterable[str], limit: int | None) -> list[Reading]:
    """Return what the evaluation of a task reads.

    Args:
        task: its name.
        split: ``dev`` or ``test``.
        codes: languages.
        limit: rows of a language that are scored at most.
    """
    readings: list[Reading] = []
    for code in codes:
        readings += _readings_in(tasks.get(task), split, languages.resolve(code), limit)
    return readings


def _readings_in(task: Task, split: str, language: Language, limit: int | None) -> Iterator[Reading]:
    for name, source in task.reads(split, language).items():
        row_set = task.row_set(name.rpartition(".")[2])
        if name == POOL:
            yield Reading(row_set, source)
        else:
            yield Reading(row_set, source, language.code, limit, split="" if task.sets else split)
