"""Named entities in plain text: words and tags, entities out of tags, and how XTREME-UP counts them."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from adaptstilts import tasks
from adaptstilts.kinds import entities
from adaptstilts.kinds.entities import KIND
from adaptstilts.metrics.scores import span_f1
from adaptstilts.models.batching import IGNORE
from adaptstilts.models.tokenizer import Tokenizer

TASK = tasks.get("masakhaner_x")  # PER, ORG, LOC, DATE


def row(text: str, *spans: tuple[int, int, int]) -> dict[str, Any]:
    """An example with entities as (start, end, label)."""
    return {
        "text": text,
        "starts": [span[0] for span in spans],
        "ends": [span[1] for span in spans],
        "labels": [span[2] for span in spans],
    }


def decoded(example: dict[str, Any]) -> list[Any]:
    """The entities of the example's own tags."""
    tags = [entities.tag_names(TASK.labels)[tag] for tag in entities._tags(example, entities.words(example["text"]))]
    return entities._entities(example["text"], tags)


@pytest.mark.parametrize(
    ("example", "expected"),
    [
        (row("Ni mtoto wa 7."), []),
        (row("Waliokuwa Addis Ababa, 1976", (10, 21, 2), (23, 27, 3)), [["LOC", "Addis Ababa"], ["DATE", "1976"]]),
        (row("Ada Obi", (0, 3, 0), (4, 7, 0)), [["PER", "Ada"], ["PER", "Obi"]]),  # next to each other
        (row("  አዲስ  አበባ።", (2, 10, 2)), [["LOC", "አዲስ  አበባ"]]),
        (row("U.S.-based", (0, 4, 2)), [["LOC", "U.S."]]),
        (row("Nairobians", (0, 7, 2)), [["LOC", "Nairobians"]]),  # within a word: the whole word
    ],
)
def test_tags_give_back_the_entities_that_they_were_made_of(example: dict[str, Any], expected: list[Any]) -> None:
    assert KIND.check(example, TASK) is None
    assert decoded(example) == expected


def test_features_have_a_tag_for_each_word_and_a_sentence_may_be_split(tiny: Path) -> None:
    tokenizer = Tokenizer(tiny)
    example = row("the cat sees the old river", (4, 7, 0), (17, 26, 2))
    whole = KIND.features([example], tokenizer, TASK, 64)
    assert [tag for tag in whole.items[0].target if tag != IGNORE] == [0, 1, 0, 0, 5, 6]
    split = KIND.features([example], tokenizer, TASK, 8)
    assert len(split.items) > 1
    tags = [tag for item in split.items for tag in item.target if tag != IGNORE]
    outputs = [[tag for tag in item.target if tag != IGNORE] for item in split.items]
    assert tags == [0, 1, 0, 0, 5, 6]
    assert KIND.decode(outputs, split, [example], TASK) == KIND.gold([example], TASK)


def test_the_place_of_an_entity_does_not_count_and_two_equal_ones_count_twice() -> None:
    gold = [[["LOC", "Jos"], ["LOC", "Jos"], ["PER", "Ada"]]]
    predicted = [[["LOC", " Jos"], ["ORG", "Ada"], ["PER", "Ada"], ["DATE", "12:30"]]]
    metric = KIND.score(predicted, gold, TASK, "ha")["span_f1"]
    assert metric.stats == [(2.0, 3.0, 3.0)]  # of the first, "12:30" is not counted: its string has a colon
    assert metric.value == pytest.approx(200 * 2 / 6)


def test_span_f1_equals_the_counts_of_matched_and_unmatched_entities() -> None:
    generator = random.Random(7)
    names, labels = ["Ada", "Jos", "Oyo", "1976", "a:b"], TASK.labels
    gold, predicted = [], []
    for _ in range(200):
        gold.append([[generator.choice(labels), generator.choice(names)] for _ in range(generator.randrange(4))])
        predicted.append([[generator.choice(labels), generator.choice(names)] for _ in range(generator.randrange(4))])
    right = wrong = missed = 0
    for want, have in zip(gold, predicted, strict=True):
        remaining = Counter((label, name) for label, name in want if ":" not in name)
        for label, name in have:
            if ":" in name:
                continue
            if remaining[label, name]:
                remaining[label, name] -= 1
                right += 1
            else:
                wrong += 1
        missed += sum(remaining.values())
    precision, recall = right / (right + wrong), right / (right + missed)
    expected = 100 * 2 * precision * recall / (precision + recall)
    assert KIND.score(predicted, gold, TASK, "ha")["span_f1"].value == pytest.approx(expected)


def test_no_entities_on_either_side_are_no_error() -> None:
    assert span_f1([[]], [[]]).value == 0.0


@pytest.mark.parametrize(
    ("example", "problem"),
    [
        (row(" "), "text: expected text, found ' '"),
        (
            row("Jos", (0, 4, 2)),
            "starts: expected entities apart from each other within the text, found one from 0 to 4",
        ),
        (
            row("Ada Obi", (0, 5, 0), (4, 7, 0)),
            "starts: expected entities apart from each other within the text, found one from 4 to 7",
        ),
        (
            row("Jos", (1, 1, 2)),
            "starts: expected entities apart from each other within the text, found one from 1 to 1",
        ),
        ({**row("Jos"), "labels": [2]}, "starts: expected as many as ends and labels, found 0, 0 and 1"),
        (
            {"text": "Jos", "starts": [None], "ends": [3], "labels": [2]},
            "starts: expected whole numbers as starts and ends, found [None] and [3]",
        ),
    ],
)
def test_bad_rows(example: dict[str, Any], problem: str) -> None:
    assert KIND.check(example, TASK) == problem
