"""Which pairs of a full product a run of the tests takes."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable

EVERY_PAIR = "ADAPTSTILTS_EVERY_PAIR"  # set: the full product


def sampled(
    rows: Iterable[str], columns: Iterable[str], whole: Collection[str], step: int = 4
) -> list[tuple[str, str]]:
    """Return pairs that have every row and every column.

    Args:
        rows: first values.
        columns: second values.
        whole: rows that are paired with every column.
        step: the other rows take every ``step``-th column, each row another set of them.
    """
    if os.environ.get(EVERY_PAIR):
        step = 1
    columns = list(columns)
    pairs = []
    for number, row in enumerate(rows):
        kept = columns if row in whole else columns[number % step :: step]
        pairs += [(row, column) for column in kept]
    return pairs
