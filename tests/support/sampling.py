"""Which cases and pairs of a full product a run of the tests takes, and which of them are slow."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import pytest

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
    chosen = []
    for number, row in enumerate(rows):
        kept = columns if row in whole else columns[number % step :: step]
        chosen += [(row, column) for column in kept]
    return chosen


def parameters(cases: Mapping[str, object], fast: Collection[str]) -> Any:
    """Return parameters of ``pytest.mark.parametrize``: all cases, slow unless named.

    Args:
        cases: value of each case.
        fast: cases of the fast set.
    """
    slow = pytest.mark.slow
    return [pytest.param(value, id=name, marks=() if name in fast else slow) for name, value in cases.items()]


def pairs(rows: Iterable[str], columns: Iterable[str], whole: Collection[str], step: int = 4) -> Any:
    """Return the full product as parameters, slow unless :func:`sampled` has the pair."""
    rows, columns = list(rows), list(columns)
    fast = set(sampled(rows, columns, whole, step))
    every = itertools.product(rows, columns)
    return [pytest.param(*pair, marks=() if pair in fast else pytest.mark.slow) for pair in every]
