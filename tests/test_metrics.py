"""Metrics against hand-computed values and slow, independent definitions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptstilts.metrics import (
    Metric,
    accuracy,
    answer_f1,
    chunk_f1,
    chunks,
    exact_match,
    measure,
    normalize_answer,
    pair_metrics,
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
    assert normalize_answer(text) == expected


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


@pytest.mark.parametrize("name", ["ratio", "f1"])
def test_nothing_counted_is_zero(name: str) -> None:
    assert measure(name, [0.0, 0.0, 0.0]) == 0.0  # type: ignore[arg-type]
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
