"""Labels permuted among the rows of a split: a task with the same texts and labels, in which nothing can be learned."""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

from adaptstilts.data.examples import Example, Examples
from adaptstilts.tasks import Task, kind_specs


def permute_labels(examples: Examples, task: Task, seed: int) -> Examples:
    """Return the examples with their labels permuted; how often every label occurs stays the same.

    Labels of words (tagging) are permuted among all words, those of choices among rows with as many choices.

    Args:
        examples: of a split.
        task: theirs, whose kind has labels.
        seed: of the permutation.
    """
    field = kind_specs.get(task.kind).label_field
    assert field is not None  # noqa: S101
    rows = [dict(row) for row in examples.rows]
    generator = random.Random(f"placebo-{seed}")
    groups: dict[Hashable, list[Example]] = {}
    for row in rows:
        groups.setdefault(_group(row), []).append(row)
    for group in groups.values():
        _permute(group, field, generator)
    return replace(examples, rows=rows)


def _group(row: Example) -> Hashable:
    """Return what rows must have in common to swap labels: the number of choices, if they have any."""
    choices = row.get("choices")
    return len(choices) if isinstance(choices, Sequence) else None


def _permute(rows: Sequence[Example], field: str, generator: random.Random) -> None:
    labels: list[Any] = []
    for row in rows:
        labels += row[field] if isinstance(row[field], list) else [row[field]]
    generator.shuffle(labels)
    place = 0
    for row in rows:
        if isinstance(row[field], list):
            count = len(row[field])
            row[field] = labels[place : place + count]
        else:
            count = 1
            row[field] = labels[place]
        place += count
