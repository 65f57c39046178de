"""The mining kind: dev gives the threshold, test is scored; equal texts, dangling gold and ids that are there twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptstilts import kinds, tasks
from adaptstilts.data.examples import Examples
from adaptstilts.kinds.sentence_search import SearchResult, SentenceVectors
from adaptstilts.search.products import normalize
from adaptstilts.study import Retrieve

KIND = kinds.searchable("mining")
Texts = dict[str, list[str]]
Gold = list[tuple[int, int]]


def examples(rows: list[dict[str, Any]]) -> Examples:
    return Examples(rows, list(range(len(rows))), len(rows))


def made(parts: dict[str, tuple[list[str], list[str], Gold]]) -> dict[str, Examples]:
    """Rows of part -> (foreign texts, English texts, gold pairs of rows)."""
    rows: dict[str, Examples] = {}
    for part, (foreign, english, gold) in parts.items():
        rows[f"{part}.foreign"] = examples([{"id": f"de-{i}", "text": text} for i, text in enumerate(foreign)])
        rows[f"{part}.english"] = examples([{"id": f"en-{i}", "text": text} for i, text in enumerate(english)])
        rows[f"{part}.gold"] = examples([{"foreign": f"de-{i}", "english": f"en-{j}"} for i, j in gold])
    return rows


def search(
    parts: dict[str, tuple[list[str], list[str], Gold]], vectors: dict[str, list[float]], **asked: Any
) -> SearchResult:
    """Mine with given vectors of texts; no word is known of those that begin with a question mark."""
    rows = made(parts)
    numbers = {text: i for i, text in enumerate(vectors)}
    held = normalize(np.array(list(vectors.values()), np.float32))
    sides = {}
    for name, texts in KIND.sentences(rows).items():
        places = np.array([numbers[text] for text in texts], np.int64)
        sides[name] = SentenceVectors(
            held, places, np.zeros(len(texts), bool), np.array([text[0] != "?" for text in texts])
        )
    assert KIND.problem(rows) is None
    return KIND.search(rows, sides, Retrieve(**asked))


def values(found: SearchResult) -> dict[str, float]:
    return {
        name: metric.value
        for name, metric in KIND.score(found.predictions, found.gold, tasks.get("ntrex_mining"), "de").items()
    }


VECTORS = {f"{side}{i}": [float(i == j) + 0.3 for j in range(8)] for side in "ab" for i in range(8)}
ALIGNED = ([f"a{i}" for i in range(8)], [f"b{i}" for i in range(8)])


def test_all_right() -> None:
    part = (*ALIGNED, [(i, i) for i in range(8)])
    found = search({"dev": part, "test": part}, VECTORS)
    assert values(found) == {"f1": 100, "precision": 100, "recall": 100}
    assert found.predictions == [f"en-{i}" for i in range(8)]
    assert found.counts["dev_f1"] == 100
    assert found.counts["threshold"] > 1


def test_none_right() -> None:
    wrong = [(i, (i + 1) % 8) for i in range(8)]
    found = search({"dev": (*ALIGNED, wrong), "test": (*ALIGNED, wrong)}, VECTORS)
    assert values(found) == {"f1": 0, "precision": 0, "recall": 0}
    assert found.counts["threshold"] == 0
    assert found.counts["dev_f1"] == 0


def test_without_dev_the_threshold_is_an_oracle_and_called_so() -> None:
    """The best pairs are right and the others wrong, so that the best threshold lies between them."""
    vectors = {"a0": [1, 0, 0.1], "b0": [1, 0, 0.1], "a1": [0, 1, 0.6], "b1": [0, 1, -0.6]}
    found = search({"test": (["a0", "a1"], ["b0", "b1"], [(0, 0)])}, vectors, margin="absolute")
    assert found.predictions == ["en-0", None]
    assert 0.5 < found.counts["oracle_threshold"] < 1
    assert {"threshold", "dev_f1"}.isdisjoint(found.counts)
    scored = KIND.score(found.predictions, found.gold, tasks.get("bucc_sample"), "de")
    assert {name: metric.value for name, metric in scored.items()} == {
        "oracle_f1": 100,
        "oracle_precision": 100,
        "oracle_recall": 100,
    }


def test_one_sentence_on_each_side() -> None:
    part = (["a0"], ["b0"], [(0, 0)])
    found = search({"dev": part, "test": part}, VECTORS)
    assert values(found)["f1"] == 100
    assert found.counts["threshold"] == 1.0


def test_the_threshold_is_that_of_dev() -> None:
    """Every pair of test is right, but most are below the threshold, and the best threshold of test is not used."""
    vectors = {
        "strong": [1, 0, 0, 0.1],
        "weak": [0, 1, 1, 0],
        "weak translation": [0, 1, -0.5, 0.5],
        "other": [0, 0, 1, 1],
    }
    dev = (["strong", "weak"], ["strong", "weak translation", "other"], [(0, 0)])
    test = (["strong", "weak"], ["strong", "weak translation", "other"], [(0, 0), (1, 2)])
    found = search({"dev": dev, "test": test}, vectors)
    assert found.predictions == ["en-0", None]
    assert values(found) == pytest.approx({"f1": 200 / 3, "precision": 100, "recall": 50})
    swapped = search({"dev": test, "test": dev}, vectors)
    assert swapped.predictions == ["en-0", "en-2"]
    assert values(swapped) == pytest.approx({"f1": 200 / 3, "precision": 50, "recall": 100})


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"margin": "absolute", "k": 2, "retrieval": "forward"}, ["en-0", None]),
        ({"margin": "absolute", "k": 2, "retrieval": "backward"}, ["en-0", "en-1"]),
        ({"margin": "absolute", "k": 2, "retrieval": "intersect"}, ["en-0", None]),
        ({"margin": "absolute", "k": 2, "retrieval": "max"}, ["en-0", "en-1"]),
        ({"margin": "ratio", "k": 2, "retrieval": "forward"}, ["en-0", "en-1"]),
        ({"margin": "ratio", "k": 1, "retrieval": "forward"}, ["en-0", None]),
        ({"margin": "distance", "k": 2, "retrieval": "forward"}, ["en-0", "en-1"]),
    ],
)
def test_margin_neighbours_and_choices_are_those_asked_for(asked: dict[str, Any], found: list[str | None]) -> None:
    """Both foreign sentences are nearest to the first English one, which is near to everything."""
    vectors = {"a0": [0.95, 0.3, 0], "a1": [0.8, 0, 0.6], "b0": [1.0, 0, 0], "b1": [0.2, 0, 0.98]}
    part = (["a0", "a1"], ["b0", "b1"], [(0, 0), (1, 1)])
    made = search({"dev": part, "test": part}, vectors, **asked)
    assert made.predictions == found
    assert (made.counts["margin"], made.counts["neighbours"]) == (asked["margin"], asked["k"])


def test_equal_texts_are_one_sentence() -> None:
    """Gold pairs of equal texts count once, whichever of the ids they name."""
    foreign = ["a0", "a1", "a0", "a2"]
    english = ["b1", "b0", "b0", "b2"]
    gold = [(2, 2), (0, 1), (1, 0), (3, 3)]
    found = search({part: (foreign, english, gold) for part in ("dev", "test")}, VECTORS)
    assert found.predictions == ["en-1", "en-0", None, "en-3"]
    assert found.gold == [["en-1"], ["en-0"], [], ["en-3"]]
    assert values(found)["f1"] == 100
    assert found.counts["merged"] == {"foreign": 1, "english": 1, "gold": 1}
    assert found.counts["sentences"] == 8
    assert (found.ids, found.total) == ([0, 1, 2, 3], 4)


def test_a_text_with_two_translations() -> None:
    part = (["a0", "a0", "a1"], ["b0", "b1", "b2"], [(0, 0), (1, 1)])
    found = search({"dev": part, "test": part}, VECTORS)
    assert found.gold == [["en-0", "en-1"], [], []]
    assert found.predictions[0] == "en-0"
    assert values(found)["recall"] == 50


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_statistics_sum_to_what_was_found(data: st.DataObject) -> None:
    """Over random texts with repeats: counts by hand over distinct texts, one-to-one on both sides."""
    texts = st.lists(st.sampled_from(sorted(VECTORS)), min_size=1, max_size=9)
    parts = {}
    for part in ("dev", "test"):
        foreign, english = data.draw(texts), data.draw(texts)
        pair = st.tuples(st.integers(0, len(foreign) - 1), st.integers(0, len(english) - 1))
        parts[part] = (foreign, english, data.draw(st.lists(pair, min_size=1, max_size=6)))
    found = search(parts, VECTORS)
    foreign, english, gold = parts["test"]
    pairs = [(foreign[i], english[int(p[3:])]) for i, p in enumerate(found.predictions) if p is not None]
    assert len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs)
    wanted = {(foreign[i], english[j]) for i, j in gold}
    right = len(wanted & set(pairs))
    expected = {
        "f1": 200 * right / (len(pairs) + len(wanted)),
        "precision": 100 * right / len(pairs) if pairs else 0,
        "recall": 100 * right / len(wanted),
    }
    assert values(found) == pytest.approx(expected)


def test_ids_that_are_there_twice_are_told() -> None:
    part = (*ALIGNED, [(0, 0)])
    rows = made({"dev": part, "test": part})
    rows["test.english"].rows[5]["id"] = "en-2"
    told = "row 5: id: expected one that no other row has, found 'en-2' of row 2"
    assert KIND.problem(rows) == ("test.english", told)
    for row in rows["dev.foreign"].rows:
        row["id"] = "x"
    name, told = KIND.problem(rows) or ("", "")
    assert name == "dev.foreign"
    assert told.endswith("(7 such rows)")


@pytest.mark.parametrize("side", ["foreign", "english"])
def test_gold_pairs_of_unknown_sentences_are_told(side: str) -> None:
    part = (*ALIGNED, [(0, 0), (1, 1)])
    rows = made({"dev": part, "test": part})
    rows["test.gold"].rows[1][side] = "de-99"
    told = f"row 1: {side}: expected the id of a test sentence, found 'de-99'"
    assert KIND.problem(rows) == ("test.gold", told)


@pytest.mark.parametrize("row", [{"id": None, "text": "a"}, {"id": "a", "text": 3}, {"foreign": "a", "english": 1}])
def test_bad_rows_are_told(row: dict[str, Any]) -> None:
    problem = KIND.check(row, tasks.get("ntrex_mining")) or ""
    assert problem.split(":")[0] in row


def test_the_newline_at_the_end_is_taken_off() -> None:
    row = {"id": "a", "text": " b \r\n"}
    assert KIND.check(row, tasks.get("ntrex_mining")) is None
    assert row == {"id": "a", "text": " b "}


@pytest.mark.parametrize("part", ["dev", "test"])
def test_gold_pairs_alone_are_refused(part: str) -> None:
    """As the hub's copies of BUCC are: among them nothing is to be mined."""
    texts = [f"a{i}" for i in range(200)]
    parts = {name: (texts, texts, [(i, i) for i in range(150)]) for name in ("dev", "test")}
    assert KIND.problem(made(parts)) is None
    parts[part] = (texts, texts, [(i, i) for i in range(200)])
    problem = KIND.problem(made(parts))
    assert problem is not None
    assert problem[0] == f"{part}.gold"
    assert "nothing to mine" in problem[1]
    assert "full sets" in problem[1]


def test_sentences_without_a_known_word_are_left_out_and_counted() -> None:
    """They are equal to the model, and would be the best pair of all."""
    vectors = {**VECTORS, "?a": [9.0, 0, 0, 0, 0, 0, 0, 9.0], "?b": [9.0, 0, 0, 0, 0, 0, 0, 9.0]}
    part = ([*ALIGNED[0], "?a"], ["?b", *ALIGNED[1]], [(i, i + 1) for i in range(8)])
    found = search({"dev": part, "test": part}, vectors)
    assert values(found) == {"f1": 100, "precision": 100, "recall": 100}
    assert found.predictions == [*(f"en-{i + 1}" for i in range(8)), None]
    assert found.counts["unknown_sentences"] == 2


def test_gold_pairs_without_a_known_word_are_not_found() -> None:
    part = (["a0", "?a"], ["b0", "?b"], [(0, 0), (1, 1)])
    found = search({"dev": part, "test": part}, {**VECTORS, "?a": [1.0] * 8, "?b": [1.0] * 8})
    assert found.predictions == ["en-0", None]
    assert values(found)["recall"] == 50


def test_a_side_without_a_known_word_has_no_pairs() -> None:
    part = (["?a"], ["b0", "b1"], [(0, 0)])
    found = search({"dev": part, "test": part}, {**VECTORS, "?a": [1.0] * 8})
    assert found.predictions == [None]
    assert values(found) == {"f1": 0, "precision": 0, "recall": 0}
