"""One-to-one pairs, thresholds and F1, against what trying everything gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptstilts.search.bucc import (
    best_threshold,
    f1,
    is_correct,
    merge_equal_texts,
    one_to_one,
    oracle_threshold,
    quality,
)
from adaptstilts.search.margin import Pairs

SCORES = st.sampled_from([-1.0, 0.0, 0.5, 0.9, 1.0, 1.0 + 2**-52, 1.05, 1.1])


def pairs(rows: list[tuple[int, int, float]]) -> Pairs:
    foreign, english, scores = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    return Pairs(np.array(foreign, np.int64), np.array(english, np.int64), np.array(scores, np.float64))


def listed(found: Pairs) -> list[tuple[int, int, float]]:
    return list(zip(found.foreign.tolist(), found.english.tolist(), found.scores.tolist(), strict=True))


@given(st.dictionaries(st.tuples(st.integers(0, 6), st.integers(0, 6)), SCORES))
def test_one_to_one_takes_the_best_that_is_left(held: dict[tuple[int, int], float]) -> None:
    left = {pair: score for pair, score in held.items() if score > 0}
    expected = []
    while left:
        (i, j), score = min(left.items(), key=lambda item: (-item[1], item[0]))
        expected.append((i, j, score))
        left = {(a, b): s for (a, b), s in left.items() if a != i and b != j}
    assert listed(one_to_one(pairs([(*pair, score) for pair, score in held.items()]))) == expected


def test_one_to_one_by_hand() -> None:
    given_pairs = [(0, 0, 1.2), (0, 1, 1.3), (1, 1, 1.25), (2, 0, 1.2), (3, 3, 0.0), (4, 4, -0.5)]
    assert listed(one_to_one(pairs(given_pairs))) == [(0, 1, 1.3), (2, 0, 1.2)]
    assert listed(one_to_one(pairs([]))) == []


@given(st.lists(st.tuples(SCORES, st.booleans()), max_size=12), st.integers(0, 4))
def test_the_threshold_is_the_best_of_all(ranked: list[tuple[float, bool]], more: int) -> None:
    ranked.sort(key=lambda item: -item[0])
    scores, right = np.array([s for s, _ in ranked]), np.array([r for _, r in ranked], bool)
    gold = int(right.sum()) + more
    threshold = best_threshold(scores, right, gold)
    if not right.any():
        assert threshold == 0
        return

    def value(cut: float) -> float:
        kept = scores >= cut
        return 2 * right[kept].sum() / (kept.sum() + gold)

    best = max(value(score) for score in scores)
    assert value(threshold) == best
    above = [score for score in scores if value(score) == best]
    assert (scores >= threshold).sum() == (scores >= max(above)).sum(), "the first maximum"


@pytest.mark.parametrize(
    ("scores", "right", "gold", "threshold"),
    [
        ([1.2, 1.1, 1.0], [1, 1, 0], 2, 1.05),
        ([1.2, 1.1, 1.0], [1, 1, 1], 3, 1.0),  # all right: the optimum is the last pair
        ([1.2, 1.1, 1.0], [0, 0, 0], 3, 0.0),  # none right
        ([1.2], [1], 1, 1.2),
        ([], [], 5, 0.0),
        ([1.2, *[1.1] * 5], [1, 1, 0, 0, 0, 0], 2, 1.15),  # no threshold tells those at 1.1 apart
        ([1.0 + 2**-52, 1.0], [1, 0], 1, 1.0 + 2**-52),  # no float between
        ([1.4, 1.2, 1.1], [1, 0, 1], 2, 1.1),
        ([1.3, 1.2, 1.1, 1.0], [1, 0, 0, 1], 2, 1.25),  # F1 is 2/3 at the first pair and at the last: the first counts
        ([1.5, 1.4, 1.3, 1.2, 1.1], [1, 0, 0, 0, 1], 3, 1.45),  # 2/4 and 4/8
        ([1.7, 1.6, 1.5, 1.4, 1.3, 1.2, 1.1], [0, 1, 1, 0, 0, 0, 1], 5, 1.45),  # 4/8 and 6/12
    ],
)
def test_thresholds_by_hand(scores: list[float], right: list[int], gold: int, threshold: float) -> None:
    found = best_threshold(np.array(scores, np.float64), np.array(right, bool), gold)
    assert found == pytest.approx(threshold, abs=1e-12)
    if len(scores) == 2:
        assert found > scores[1]


def test_f1_is_the_harmonic_mean() -> None:
    found = f1(np.array([3, 0, 0]), np.array([4, 2, 0]), 6)
    assert found == pytest.approx([2 * 0.75 * 0.5 / 1.25, 0, 0])
    assert f1(np.array([0]), np.array([0]), 0).tolist() == [0.0]


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.just(1.0)), max_size=8),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=8),
)
def test_correct_pairs_are_those_of_the_list(held: list[tuple[int, int, float]], gold: list[tuple[int, int]]) -> None:
    found = is_correct(pairs(held), np.array(gold, np.int64).reshape(-1, 2))
    assert found.tolist() == [(i, j) in gold for i, j, _ in held]


@given(st.lists(st.integers(0, 9), max_size=20))
def test_equal_texts_are_one(texts: list[int]) -> None:
    first, group = merge_equal_texts(np.array(texts, np.int64))
    assert first.tolist() == [i for i, text in enumerate(texts) if text not in texts[:i]]
    assert [texts[first[place]] for place in group] == texts


def test_a_threshold_of_dev_on_other_pairs() -> None:
    """Six found, of four gold pairs three; above 1.05 three are left, two of them right."""
    found = pairs([(0, 0, 1.3), (1, 1, 1.2), (2, 5, 1.1), (3, 3, 1.0), (4, 6, 0.9), (5, 7, 0.8)])
    gold = np.array([(0, 0), (1, 1), (3, 3), (9, 9)])
    held = quality(found, gold, 1.05)
    assert (held.precision, held.recall, held.f1) == pytest.approx((2 / 3, 2 / 4, 4 / 7))
    oracle = oracle_threshold(found, gold)
    assert oracle == pytest.approx(0.95)
    assert quality(found, gold, oracle).f1 == pytest.approx(6 / 8)
    assert oracle_threshold(found.at(np.array([3, 1, 0, 2, 5, 4])), gold) == oracle, "in any order"


@pytest.mark.parametrize(
    ("found", "gold", "expected"),
    [
        ([(0, 0, 1.2), (1, 1, 1.1)], [(0, 0), (1, 1)], (1, 1, 1)),  # all right
        ([(0, 1, 1.2), (1, 0, 1.1)], [(0, 0), (1, 1)], (0, 0, 0)),  # none right
        ([(0, 0, 1.2)], [(0, 0)], (1, 1, 1)),  # one candidate
        ([], [(0, 0)], (0, 0, 0)),  # none at all
        ([(0, 0, 1.2)], [(0, 0), (7, 7)], (1, 0.5, 2 / 3)),  # a gold pair of sentences that are not there
        ([(0, 0, 1.2), (1, 1, 1.2)], [(0, 0)], (0.5, 1, 2 / 3)),  # a tie: both or none
    ],
)
def test_edges(found: list[tuple[int, int, float]], gold: list[tuple[int, int]], expected: tuple[float, ...]) -> None:
    held, listed_gold = pairs(found), np.array(gold)
    for threshold in (0.0, oracle_threshold(held, listed_gold)):
        result = quality(held, listed_gold, threshold)
        assert (result.precision, result.recall, result.f1) == pytest.approx(expected)


def test_another_floor() -> None:
    given_pairs = [(0, 0, 0.5), (1, 1, -0.5)]
    assert listed(one_to_one(pairs(given_pairs), -np.inf)) == given_pairs
    assert listed(one_to_one(pairs(given_pairs), 0.5)) == []
