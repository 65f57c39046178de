"""What phases put through the encoder, from which their costs are estimated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from adaptstilts import languages, tasks
from adaptstilts.tasks import Source, Task

FORWARD = 2  # floating-point operations for each weight and token


@dataclass(frozen=True)
class Pass:
    """Rows that go through the encoder.

    Attributes:
        sources: of the rows.
        max_length: tokens of a row at most; None for as many as the rows of the phase's parents have.
        epochs: how often each row is read.
        limit: rows of a source at most.
        most: rows of all epochs at most.
        flops_per_weight: floating-point operations for each weight and token.
        published_rows: number of rows of a source that cannot be read; 0 if it is not known.
    """

    sources: tuple[Source, ...]
    max_length: int | None
    epochs: int = 1
    limit: int | None = None
    most: int | None = None
    flops_per_weight: int = FORWARD
    published_rows: int = 0


def evaluation_pass(task: str, split: str, codes: Iterable[str], limit: int | None, max_length: int | None) -> Pass:
    """Return one pass over the rows of a task.

    Args:
        task: its name.
        split: ``dev`` or ``test``.
        codes: languages.
        limit: rows of a language at most.
        max_length: tokens of a row at most.
    """
    return Pass(_sources(tasks.get(task), split, tuple(codes)), max_length, limit=limit)


_SOURCES: dict[tuple[int, str, tuple[str, ...]], tuple[Task, tuple[Source, ...]]] = {}


def _sources(task: Task, split: str, codes: tuple[str, ...]) -> tuple[Source, ...]:
    """Return the sources of a task in some languages, each once; a plan asks for the same ones many times."""
    key = (id(task), split, codes)
    if key not in _SOURCES:
        sources: dict[Source, None] = {}
        for code in codes:
            sources |= dict.fromkeys(task.reads(split, languages.resolve(code)).values())
        _SOURCES[key] = task, tuple(sources)  # with the task, whose id is not given to another one then
    return _SOURCES[key][1]
