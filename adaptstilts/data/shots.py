"""Draw a few training rows of a language: nested, spread over the labels, and the same in every run."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from adaptstilts.data.examples import Example, Examples
from adaptstilts.errors import DataError
from adaptstilts.tasks import Task, kind_specs

_NO_INPUT = ("id", "answers")  # fields that are neither what a model reads nor a label


@dataclass(frozen=True)
class Shots:
    """Some training rows of one language.

    Attributes:
        language: its code.
        k: how many rows.
        draw: number of the draw, which is its seed; nothing else depends on it.
    """

    language: str
    k: int
    draw: int


def take(examples: Examples, task: Task, shots: Shots) -> Examples:
    """Return the rows of a draw, in their order in the split.

    Rows of a smaller ``k`` are among those of a larger one. Every label has its share of them, up to one row; a row
    with several labels (tagging) counts for its rarest.

    Args:
        examples: all rows of the language.
        task: theirs.
        shots: which rows.

    Raises:
        DataError: there are fewer rows.
    """
    count = len(examples.rows)
    if shots.k > count:
        raise DataError(f"{task.name}: {shots.k} training rows in {shots.language} wanted, {count} usable")
    order = _order(_strata(examples.rows, kind_specs.get(task.kind).label_field), shots.draw)
    chosen = sorted(order[: shots.k])
    return replace(examples, rows=[examples.rows[i] for i in chosen], ids=[examples.ids[i] for i in chosen])


def _strata(rows: Sequence[Example], field: str | None) -> list[Hashable]:
    """Return the label that each row counts for."""
    if field is None:
        return [None] * len(rows)
    labels = [row[field] if isinstance(row[field], list) else [row[field]] for row in rows]
    frequency: Counter[Hashable] = Counter()
    for each in labels:
        frequency.update(set(each))
    return [min(each, key=lambda label: (frequency[label], str(label)), default=None) for each in labels]


def _order(strata: Sequence[Hashable], draw: int) -> list[int]:
    """Return all rows in an order of which every beginning has its share of every stratum."""
    generator = random.Random(f"shots-{draw}-{len(strata)}")
    members: dict[Hashable, list[int]] = {}
    for number, stratum in enumerate(strata):
        members.setdefault(stratum, []).append(number)
    places: list[tuple[float, int]] = []
    for stratum in sorted(members, key=str):
        rows = members[stratum]
        generator.shuffle(rows)
        shift = generator.random()
        places += [((rank + shift) / len(rows), row) for rank, row in enumerate(rows)]
    return [row for _, row in sorted(places)]


def equal_rows(examples: Examples, others: Examples, task: Task) -> int:
    """Return how many examples have the same input, whatever their label, as one of others.

    Args:
        examples: counted.
        others: compared with.
        task: task of both.
    """
    known = {_input(row, task) for row in others.rows}
    return sum(_input(row, task) in known for row in examples.rows)


def _input(row: Example, task: Task) -> str:
    left_out = {kind_specs.get(task.kind).label_field, *_NO_INPUT}
    return json.dumps([row[name] for name in sorted(row) if name not in left_out], default=str)
