"""Batches: every row once, a function of lengths, seed and epoch alone."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from adaptstilts.data.batches import MEGA, by_tokens, epoch_order, sorted_runs

LENGTHS = st.lists(st.integers(1, 60), max_size=80)


@settings(deadline=None)
@given(LENGTHS, st.integers(1, 9), st.integers(0, 3), st.integers(0, 3), st.booleans())
def test_an_epoch_has_every_row_once(lengths: list[int], size: int, seed: int, epoch: int, bucket: bool) -> None:
    batches = epoch_order(lengths, size, seed, epoch, bucket)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert sum(len(batch) != size for batch in batches) <= 1
    assert all(1 <= len(batch) <= size for batch in batches)
    assert batches == epoch_order(list(lengths), size, seed, epoch, bucket)


def test_epochs_and_seeds_differ() -> None:
    lengths = [5] * 64
    orders = {str(epoch_order(lengths, 8, seed, epoch)) for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16


def test_an_order_that_stores_depend_on() -> None:
    """Interrupted phases continue in it and keys promise it; it may change only with a new version."""
    assert epoch_order([3, 1, 2, 9, 8, 7, 5], 2, 1, 0) == ORDER


ORDER = [[1, 2], [0, 6], [3], [5, 4]]


def test_buckets_waste_little() -> None:
    lengths = [1 + (i * 7919) % 100 for i in range(8 * MEGA * 2)]

    def padded(bucket: bool) -> float:
        batches = epoch_order(lengths, 8, 1, 0, bucket)
        return sum(len(batch) * max(lengths[row] for row in batch) for batch in batches) / sum(lengths)

    assert padded(True) < 1.1 < 1.5 < padded(False)


@given(LENGTHS, st.integers(1, 300), st.data())
def test_runs_stay_within_the_budget(lengths: list[int], budget: int, data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=len(lengths), max_size=len(lengths)))
    runs = by_tokens(range(len(lengths)), sizes, lengths, budget)
    assert [row for run in runs for row in run] == list(range(len(lengths)))
    for run in runs:
        assert len(run) == 1 or sum(sizes[row] for row in run) * max(lengths[row] for row in run) <= budget


@given(LENGTHS, st.integers(1, 300))
def test_runs_are_as_long_as_they_may_be(lengths: list[int], budget: int) -> None:
    runs = by_tokens(range(len(lengths)), [1] * len(lengths), lengths, budget)
    for run, after in itertools.pairwise(runs):
        longer = [*run, after[0]]
        assert len(longer) * max(lengths[row] for row in longer) > budget


@given(LENGTHS, st.integers(1, 300))
def test_an_evaluation_goes_from_long_to_short(lengths: list[int], budget: int) -> None:
    runs = sorted_runs([1] * len(lengths), lengths, budget)
    rows = [row for run in runs for row in run]
    assert sorted(rows) == list(range(len(lengths)))
    assert [lengths[row] for row in rows] == sorted(lengths, reverse=True)


def test_runs_of_chosen_rows() -> None:
    assert by_tokens([4, 0, 2], {0: 1, 2: 2, 4: 1}, {0: 10, 2: 10, 4: 10}, 20) == [[4, 0], [2]]
    assert by_tokens([], [], [], 10) == []
