"""A few rows of a language: nested, spread over the labels, and a function of the draw alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptstilts import tasks
from adaptstilts.data.examples import Examples
from adaptstilts.data.shots import Shots, equal_rows, take
from adaptstilts.errors import DataError

XNLI, UDPOS = tasks.get("xnli"), tasks.get("udpos")


def examples(labels: list[Any], field: str = "label") -> Examples:
    rows = [{"text_a": f"a{i}", "text_b": "b", field: label} for i, label in enumerate(labels)]
    return Examples(rows, [10 * i for i in range(len(rows))], len(rows))


@given(st.lists(st.sampled_from([0, 0, 0, 1, 2]), min_size=1, max_size=60), st.integers(1, 3), st.data())
def test_draws_are_nested_and_stratified(labels: list[int], draw: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(labels)))
    every = examples(labels)
    one, more = (take(every, XNLI, Shots("de", n, draw)) for n in (k, len(labels)))
    assert one.ids == sorted(one.ids)
    assert len(set(one.ids)) == k
    assert set(one.ids) <= set(take(every, XNLI, Shots("de", min(k + 5, len(labels)), draw)).ids)
    assert more.ids == every.ids
    assert one == take(every, XNLI, Shots("sw", k, draw))
    frequency, drawn = Counter(labels), Counter(row["label"] for row in one.rows)
    for label, count in frequency.items():
        assert abs(drawn[label] - k * count / len(labels)) < 1 + len(frequency) / 2


def test_draws_differ() -> None:
    every = examples([0, 1] * 20)
    found = {tuple(take(every, XNLI, Shots("de", 5, draw)).ids) for draw in range(1, 6)}
    assert len(found) == 5


def test_a_row_with_several_labels_counts_for_its_rarest() -> None:
    every = examples([[0, 0]] * 45 + [[0, 7]] * 5, "tags")
    drawn = take(every, UDPOS, Shots("de", 10, 1))
    assert sum(7 in row["tags"] for row in drawn.rows) == 1


def test_too_few_rows() -> None:
    with pytest.raises(DataError, match=r"^xnli: 4 training rows in de wanted, 3 usable$"):
        take(examples([0, 1, 2]), XNLI, Shots("de", 4, 1))


def test_equal_rows_are_those_of_equal_input() -> None:
    tested = examples([0, 1, 2])
    other = replace(tested, rows=[{**tested.rows[1], "label": 0}, {**tested.rows[2], "text_b": "c"}])
    assert equal_rows(tested, other, XNLI) == 1
