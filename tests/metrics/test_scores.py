"""Metrics against hand-computed values and slow, independent definitions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptstilts.metrics.answer_text import SQUAD, rules
from adaptstilts.metrics.intervals import influence
from adaptstilts.metrics.scores import (
    Metric,
    accuracy,
    answer_f1,
    average_precision,
    binary_f1,
    chunk_f1,
    chunks,
    exact_match,
    matthews,
    measure,
    pair_metrics,
    pearson,
    reciprocal_rank,
    spearman,
    token_accuracy,
)

GOLD = "DET NOUN NOUN VERB SCONJ SCONJ X X".split()
PREDICTED = "DET NOUN VERB VERB SCONJ SCONJ X X".split()


def test_raw_part_of_speech_tags_are_scored_as_chunks() -> None:
    """The pair that tells scorers apart: 2/3 where ``X`` counts, 0.6 where it is dropped, token accuracy 7/8."""
    assert chunk_f1([PREDICTED], [GOLD]).value == pytest.approx(100 * 2 / 3)
    assert token_accuracy([PREDICTED], [GOLD]).value == 87.5


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("", []),
        ("O O", []),
        ("B-PER I-PER O", [("PER", 0, 1)]),
        ("B-PER B-PER", [("PER", 0, 0), ("PER", 1, 1)]),
        ("I-PER I-PER", [("PER", 0, 1)]),
        ("I-PER I-LOC", [("PER", 0, 0), ("LOC", 1, 1)]),
        ("B-PER I-LOC I-LOC", [("PER", 0, 0), ("LOC", 1, 2)]),
        ("O I-LOC", [("LOC", 1, 1)]),
        ("S-LOC S-LOC", [("LOC", 0, 0), ("LOC", 1, 1)]),
        ("B-LOC E-LOC I-LOC", [("LOC", 0, 1), ("LOC", 2, 2)]),
        ("NOUN NOUN VERB", [("NOUN", 0, 1), ("VERB", 2, 2)]),
        ("SCONJ SCONJ SYM", [("SCONJ", 0, 0), ("SCONJ", 1, 1), ("SYM", 2, 2)]),
        ("X X", [("X", 0, 1)]),
        ("INTJ INTJ", [("INTJ", 0, 1)]),
        ("B-a-PER I-b-PER", [("PER", 0, 1)]),
    ],
)
def test_chunks(tags: str, expected: list[tuple[str, int, int]]) -> None:
    assert chunks(tags.split()) == expected


def slow_chunks(tags: list[str]) -> set[tuple[str, int, int]]:
    """The rules of conlleval as boundaries between neighbours, from its published description.

    A chunk ends between two tags, or starts between them, by (position, type) of both; a chunk is a start with
    the first end at or after it.
    """

    def part(i: int) -> tuple[str, str]:
        return (tags[i][:1], tags[i].rpartition("-")[2]) if 0 <= i < len(tags) else ("O", "O")

    def ends(i: int) -> bool:
        (here, kind), (after, next_kind) = part(i), part(i + 1)
        if here in ("E", "S"):
            return True
        if (here, after) in {(a, b) for a in "BI" for b in "BSO"}:
            return True
        return here not in ("O", ".") and kind != next_kind

    def starts(i: int) -> bool:
        (before, previous_kind), (here, kind) = part(i - 1), part(i)
        if i == 0:
            previous_kind = ""
        if here in ("B", "S"):
            return True
        if (before, here) in {(a, b) for a in "ESO" for b in "EI"}:
            return True
        return here not in ("O", ".") and kind != previous_kind

    found = set()
    for last in range(len(tags)):
        if ends(last):
            begin = max((i for i in range(last + 1) if starts(i)), default=0)
            found.add((part(last)[1], begin, last))
    return found


ENTITY = st.sampled_from([f"{p}-{t}" for p in "BIES" for t in ("PER", "LOC")] + ["O"])
UPOS = st.sampled_from("ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X _ O".split())
SEQUENCE = st.lists(ENTITY, max_size=9) | st.lists(UPOS, max_size=9) | st.lists(ENTITY | UPOS, max_size=9)


@settings(max_examples=800, deadline=None)
@given(SEQUENCE)
def test_chunks_are_those_of_the_slow_definition(tags: list[str]) -> None:
    assert set(chunks(tags)) == slow_chunks(tags)
    assert len(chunks(tags)) == len(set(chunks(tags)))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.tuples(ENTITY, ENTITY), max_size=6), min_size=1, max_size=5))
def test_chunk_f1_is_f1_of_the_slow_definition(sentences: list[list[tuple[str, str]]]) -> None:
    predicted = [[p for p, _ in sentence] for sentence in sentences]
    gold = [[g for _, g in sentence] for sentence in sentences]
    have = {(i, c) for i, tags in enumerate(predicted) for c in slow_chunks(tags)}
    want = {(i, c) for i, tags in enumerate(gold) for c in slow_chunks(tags)}
    precision = len(have & want) / len(have) if have else 0.0
    recall = len(have & want) / len(want) if want else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    assert chunk_f1(predicted, gold).value == pytest.approx(100 * f1)


def test_accuracy() -> None:
    assert accuracy([0, 1, 2, 2], [0, 1, 2, 0]).value == 75.0
    assert accuracy(["a"], ["b"]).value == 0.0
    assert accuracy([0, 1], [0, 0]).stats == [(1.0, 1.0), (0.0, 1.0)]


def test_token_accuracy_counts_tokens_not_sentences() -> None:
    metric = token_accuracy([["A"], ["A", "A", "A"]], [["B"], ["A", "A", "A"]])
    assert metric.value == 75.0
    assert metric.stats == [(0.0, 1.0), (3.0, 3.0)]


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="zip"):
        accuracy([1], [1, 2])
    with pytest.raises(ValueError, match="zip"):
        token_accuracy([["A"]], [["A", "B"]])
    with pytest.raises(ValueError, match="zip"):
        chunk_f1([["A"]], [["A"], ["B"]])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Cat.", "cat"),
        ("a  an the", ""),
        ("theatre", "theatre"),
        ("U.S.A.", "usa"),
        ("one-two", "onetwo"),
        ("«été»", "«été»"),
        ("什么。", "什么。"),
        ("", ""),
    ],
)
def test_normalisation_of_answers(text: str, expected: str) -> None:
    assert SQUAD.normalize(text) == expected


@pytest.mark.parametrize(
    ("predicted", "references", "exact", "f1"),
    [
        ("the cat", ["Cat!"], 100.0, 100.0),
        ("red cat", ["cat"], 0.0, 100 * 2 / 3),
        ("cat", ["dog", "a cat"], 100.0, 100.0),
        ("cat cat", ["cat"], 0.0, 100 * 2 / 3),
        ("dog", ["cat"], 0.0, 0.0),
        ("", ["cat"], 0.0, 0.0),
        ("the", ["a"], 100.0, 0.0),
        ("cat", [], 0.0, 0.0),
        ("10 km in a day", ["10 km day", "day"], 0.0, 100 * 6 / 7),
    ],
)
def test_squad(predicted: str, references: list[str], exact: float, f1: float) -> None:
    assert exact_match([predicted], [references]).value == pytest.approx(exact)
    assert answer_f1([predicted], [references]).value == pytest.approx(f1)


def test_squad_is_the_mean_over_questions() -> None:
    assert answer_f1(["cat", "red cat"], [["cat"], ["cat"]]).value == pytest.approx(100 * (1 + 2 / 3) / 2)


SIZES = {"ratio": 2, "f1": 3, "matthews": 4, "pearson": 6}


@pytest.mark.parametrize("name", SIZES)
def test_nothing_counted_is_zero(name: str) -> None:
    assert measure(name, [0.0] * SIZES[name]) == 0.0  # type: ignore[arg-type]
    assert Metric(name, []).value == 0.0  # type: ignore[arg-type]


def test_no_chunk_anywhere() -> None:
    assert chunk_f1([["O", "O"]], [["O", "O"]]).value == 0.0


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1))
def test_metrics_are_sums_of_their_statistics(pairs: list[tuple[int, int]]) -> None:
    metric = accuracy([p for p, _ in pairs], [g for _, g in pairs])
    halves = metric.stats[: len(pairs) // 2], metric.stats[len(pairs) // 2 :]
    sums = [sum(row[i] for half in halves for row in half) for i in range(2)]
    assert (
        measure(metric.measure, sums) == metric.value == pytest.approx(100 * sum(p == g for p, g in pairs) / len(pairs))
    )


def test_pairs_by_hand() -> None:
    """Two of three extracted pairs are right, and two of four gold pairs are found."""
    found = pair_metrics(["a", None, "b", "c", None], [["a"], ["d"], ["x", "b"], [], []])
    assert found["precision"].value == pytest.approx(200 / 3)
    assert found["recall"].value == 50
    assert found["f1"].value == pytest.approx(100 * 4 / 7)
    assert found["f1"].stats == [(1, 1, 1), (0, 0, 1), (1, 1, 2), (0, 1, 0), (0, 0, 0)]
    assert [metric.value for metric in pair_metrics([None], [[]]).values()] == [0, 0, 0]


@pytest.mark.parametrize(
    ("predicted", "references", "exact", "f1"),
    [
        ("", [], 100.0, 100.0),
        ("the", [], 100.0, 100.0),
        ("cat", [], 0.0, 0.0),
        ("", ["cat"], 0.0, 0.0),
        ("cat", ["the cat"], 100.0, 100.0),
        ("", ["the", "cat"], 0.0, 0.0),
        ("", ["the", "!"], 100.0, 100.0),
        ("red cat", ["cat", "dog"], 0.0, 100 * 2 / 3),
    ],
)
def test_squad_with_unanswerable_questions(predicted: str, references: list[str], exact: float, f1: float) -> None:
    """SQuAD 2.0: references that normalise to nothing are none, and without any the empty answer is right."""
    assert exact_match([predicted], [references], unanswerable=True).value == pytest.approx(exact)
    assert answer_f1([predicted], [references], unanswerable=True).value == pytest.approx(f1)


def test_answers_go_by_the_rules_given() -> None:
    german, chinese = rules("mlqa", "de"), rules("mlqa", "zh")
    assert exact_match(["Der Hund"], [["ein Hund"]]).value == 0
    assert exact_match(["Der Hund"], [["ein Hund"]], german).value == 100
    assert answer_f1(["红楼"], [["红楼梦"]]).value == 0
    assert answer_f1(["红楼"], [["红楼梦"]], chinese).value == pytest.approx(100 * 4 / 5)
    assert exact_match(["红 楼"], [["红楼"]], chinese).value == 100


LABELS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=12)


@settings(max_examples=300, deadline=None)
@given(LABELS)
def test_f1_and_matthews_are_those_of_a_table(pairs: list[tuple[str, str]]) -> None:
    """Against precision and recall, and against the correlation of the two sides as zeros and ones."""
    predicted, gold = [p for p, _ in pairs], [g for _, g in pairs]
    right = sum(p == g == "a" for p, g in pairs)
    precision = right / max(predicted.count("a"), 1)
    recall = right / max(gold.count("a"), 1)
    expected = 2 * precision * recall / (precision + recall) if right else 0.0
    assert binary_f1(predicted, gold, "a").value == pytest.approx(100 * expected)
    ones = [float(p == "a") for p in predicted], [float(g == "a") for g in gold]
    assert matthews(predicted, gold, "a").value == pytest.approx(100 * slow_correlation(*ones))


def slow_correlation(x: Sequence[float], y: Sequence[float]) -> float:
    """Pearson's r in exact fractions; 0 where a side is constant."""
    n, first, second = len(x), list(map(Fraction, x)), list(map(Fraction, y))
    x_mean, y_mean = sum(first) / n, sum(second) / n
    across = sum((a - x_mean) ** 2 for a in first)
    down = sum((b - y_mean) ** 2 for b in second)
    if not across or not down:
        return 0.0
    top = sum((a - x_mean) * (b - y_mean) for a, b in zip(first, second, strict=True))
    return math.copysign(math.sqrt(top * top / (across * down)), top)


NUMBER = st.integers(-4, 4).map(float) | st.floats(-1e6, 1e6, allow_subnormal=False) | st.just(0.1)
NUMBERS = st.lists(st.tuples(NUMBER, NUMBER), min_size=1, max_size=12)


@settings(max_examples=500, deadline=None)
@given(NUMBERS)
def test_pearson_is_the_slow_definition(pairs: list[tuple[float, float]]) -> None:
    x, y = [a for a, _ in pairs], [b for _, b in pairs]
    assert pearson(x, y).value == pytest.approx(100 * slow_correlation(x, y), abs=1e-5)
    assert pearson(x, x).value == pytest.approx(100.0 if len(set(x)) > 1 else 0.0)


@pytest.mark.parametrize("shift", [0.0, 1e6, 1e9])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_pearson_keeps_its_digits(shift: float, scale: float) -> None:
    x, y = [1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 4.0]
    moved = [shift + scale * value for value in x]
    assert pearson(moved, y).value == pytest.approx(100 * slow_correlation(moved, y), abs=1e-6)
    assert pearson([0.1] * 4, y).value == 0
    assert pearson([shift + 0.1] * 4, y).value == 0


@settings(max_examples=300, deadline=None)
@given(NUMBERS)
def test_spearman_counts_lower_and_equal_values(pairs: list[tuple[float, float]]) -> None:
    def ranks(values: list[float]) -> list[float]:
        return [sum(b < a for b in values) + (1 + sum(b == a for b in values)) / 2 for a in values]

    x, y = [a for a, _ in pairs], [b for _, b in pairs]
    assert spearman(x, y).value == pytest.approx(100 * slow_correlation(ranks(x), ranks(y)), abs=1e-8)
    assert spearman(x, [-value for value in x]).value == pytest.approx(-spearman(x, x).value)


def test_correlations_by_hand() -> None:
    assert pearson([1, 2, 3], [2, 4, 6]).value == pytest.approx(100)
    assert pearson([1, 2, 3], [3, 2, 1]).value == pytest.approx(-100)
    assert pearson([1], [2]).value == 0
    assert spearman([1, 2, 2, 9], [1, 5, 5, 6]).value == pytest.approx(100)
    assert matthews([1, 1, 0, 0], [1, 0, 0, 0], 1).value == pytest.approx(100 / math.sqrt(3))
    assert [metric([], []).value for metric in (pearson, spearman)] == [0, 0]


@pytest.mark.parametrize(
    ("ranking", "targets", "k", "precision", "rank"),
    [
        ("abc", "a", 20, 1, 1),
        ("abc", "c", 20, 1 / 3, 1 / 3),
        ("abc", "c", 2, 0, 0),
        ("abc", "ac", 20, (1 + 2 / 3) / 2, 1),
        ("abc", "acd", 20, (1 + 2 / 3) / 3, 1),
        ("abc", "acd", 2, 1 / 2, 1),
        ("aab", "ab", 20, (1 + 2 / 3) / 2, 1),
        ("", "a", 20, 0, 0),
        ("ab", "", 20, 0, 0),
    ],
)
def test_rankings_by_hand(ranking: str, targets: str, k: int, precision: float, rank: float) -> None:
    assert average_precision([ranking], [targets], k).value == pytest.approx(100 * precision)
    assert reciprocal_rank([ranking], [targets], k).value == pytest.approx(100 * rank)
    assert average_precision([ranking, "z"], [targets, "z"], k).value == pytest.approx(50 * precision + 50)


@settings(max_examples=300, deadline=None)
@given(st.permutations("abcdef"), st.sets(st.sampled_from("abcdefgh"), min_size=1), st.integers(1, 7))
def test_rankings_are_those_of_the_slow_definition(ranking: list[str], targets: set[str], k: int) -> None:
    top = ranking[:k]
    precisions = [len(targets & set(top[: i + 1])) / (i + 1) for i, item in enumerate(top) if item in targets]
    expected = sum(precisions) / min(len(targets), k)
    assert average_precision([ranking], [targets], k).value == pytest.approx(100 * expected)
    first = min((top.index(item) + 1 for item in targets & set(top)), default=math.inf)
    assert reciprocal_rank([ranking], [targets], k).value == pytest.approx(100 / first)
    only = [min(targets)]
    assert average_precision([ranking], [only], k) == reciprocal_rank([ranking], [only], k)


def every_measure(generator: np.random.Generator, n: int) -> dict[str, Metric]:
    x, labels = generator.normal(5, 2, n).tolist(), generator.integers(0, 2, n).tolist()
    y = [a + b for a, b in zip(x, generator.normal(0, 2, n), strict=True)]
    noisy = [a if generator.random() < 0.7 else 1 - a for a in labels]
    return {
        "accuracy": accuracy(noisy, labels),
        "f1": binary_f1(noisy, labels, 1),
        "matthews": matthews(noisy, labels, 1),
        "pearson": pearson(x, y),
        "spearman": spearman(x, y),
    }


@pytest.mark.parametrize("n", [1, 2, 5, 60])
def test_values_of_arrays_are_those_of_plain_sums(n: int) -> None:
    """The measures of arrays against the plain ones, over drawn examples; also where draws are all alike."""
    generator = np.random.default_rng(n)
    metrics = every_measure(generator, n)
    draws = [np.arange(n), np.zeros(n, int), *(generator.integers(0, n, n) for _ in range(40))]
    for name, metric in metrics.items():
        stats = np.asarray(metric.stats, float)
        found = [influence(metric.measure, stats[draw]).mean() for draw in draws]
        expected = [Metric(metric.measure, [metric.stats[i] for i in draw]).value for draw in draws]
        assert found == pytest.approx(expected, abs=1e-6), name
        assert found[1] == pytest.approx(100 if metric.stats[0] == (1, 1) or metric.stats[0] == (1, 1, 1) else 0)


def test_every_subset_of_a_few_examples_has_its_own_correlation() -> None:
    """Centring on the mean of the whole set changes the correlation of no part of it."""
    x, y = [1.0, 2.0, 4.0, 8.0, 8.0], [3.0, 1.0, 4.0, 1.0, 5.0]
    whole = pearson(x, y)
    for kept in itertools.chain.from_iterable(itertools.combinations(range(5), r) for r in range(1, 6)):
        expected = slow_correlation([x[i] for i in kept], [y[i] for i in kept])
        assert Metric("pearson", [whole.stats[i] for i in kept]).value == pytest.approx(100 * expected, abs=1e-6)


def test_spearman_of_a_resample_keeps_the_ranks_of_the_whole_set() -> None:
    x, y = [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 4.0, 3.0]
    part = Metric("pearson", spearman(x, y).stats[1:]).value
    assert part == pytest.approx(100 * slow_correlation([2, 3, 4], [2, 4, 3]))
