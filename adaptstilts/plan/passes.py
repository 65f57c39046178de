"""What phases run through the encoder; their costs are estimated from this."""

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
        sources: where the rows come from.
        max_length: largest number of tokens per row; None for as many as the rows of the phase's parents have.
        epochs: how often each row is read.
        limit: largest number of rows per source.
        most: largest number of rows over all epochs.
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
        limit: largest number of rows per language.
        max_length: largest number of tokens per row.
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
        _SOURCES[key] = task, tuple(sources)  # keeps the task alive, so that no other one gets its id
    return _SOURCES[key][1]
