"""Placebo intermediates: permuted labels, in every kind that has any; what is refused; keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adaptstilts import expand, load_study, run_plan, tasks
from adaptstilts.data.examples import Example, Examples
from adaptstilts.data.placebo import permute_labels
from adaptstilts.errors import ConfigError
from adaptstilts.plan.phases import TrainPhase, parse
from adaptstilts.store.entries import TRAIN_RESULT
from adaptstilts.workspace import Workspace


def examples(rows: list[Example]) -> Examples:
    return Examples(rows, [*range(len(rows))], len(rows))


def test_labels_are_permuted_and_all_are_kept() -> None:
    rows = [{"text_a": f"text {i}", "label": i % 3} for i in range(60)]
    original = examples([dict(row) for row in rows])
    changed = permute_labels(original, tasks.get("mnli"), seed=1)
    assert original.rows == rows  # other phases use them too
    assert [row["text_a"] for row in changed.rows] == [row["text_a"] for row in rows]
    labels = [row["label"] for row in changed.rows]
    assert Counter(labels) == {0: 20, 1: 20, 2: 20}
    assert labels != [row["label"] for row in rows]
    assert [row["label"] for row in permute_labels(original, tasks.get("mnli"), seed=1).rows] == labels
    assert [row["label"] for row in permute_labels(original, tasks.get("mnli"), seed=2).rows] != labels


def test_tags_move_between_words_and_rows_keep_their_length() -> None:
    rows = [{"tokens": ["w"] * n, "tags": [n] * n} for n in range(1, 9)]
    changed = permute_labels(examples(rows), tasks.get("udpos"), seed=1)
    assert [len(row["tags"]) for row in changed.rows] == [*range(1, 9)]
    tags = [tag for row in changed.rows for tag in row["tags"]]
    assert Counter(tags) == {n: n for n in range(1, 9)}
    assert any(len(set(row["tags"])) > 1 for row in changed.rows)


def test_labels_of_choices_stay_in_range() -> None:
    rows = [{"context": "c", "choices": ["x"] * (2 + i % 3), "label": (2 + i % 3) - 1} for i in range(30)]
    for row in permute_labels(examples(rows), tasks.get("social_i_qa"), seed=1).rows:
        assert row["label"] == len(row["choices"]) - 1


SMALL: dict[str, Any] = {
    "intermediates": ["social_i_qa", {"task": "social_i_qa", "placebo": True}],
    "targets": ["xcopa"],
    "methods": ["full"],
    "swap": "off",
    "train": {"epochs": 1, "examples": 8, "batch_size": 4, "max_length": 48, "dev_examples": 6},
}


def test_a_placebo_is_another_phase(study_file: Callable[..., Path], data_root: Path, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "s", data_root)
    plan = expand(load_study(study_file(**SMALL)), workspace)
    assert {cell.trained_on for cell in plan.cells if cell.task == "xcopa"} == {"social_i_qa", "social_i_qa+placebo"}
    trained = [each for each in plan.order() if isinstance(each, TrainPhase) and not each.base and not each.init]
    plain, placebo = (each for each in trained if each.task == "social_i_qa")
    assert (plain.placebo, placebo.placebo) == (False, True)
    assert "placebo" not in plain.spec
    assert parse(placebo.spec) == placebo
    assert plain.key != placebo.key
    run_plan(plan, workspace)
    results = [TRAIN_RESULT.read(workspace.store.entry(each.key)) for each in (plain, placebo)]
    assert results[0]["examples"] == results[1]["examples"] == 8
    logs = [(workspace.store.entry(each.key).folder / "log.jsonl").read_text("utf-8") for each in (plain, placebo)]
    assert logs[0] != logs[1]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"intermediates": [{"task": "squad", "placebo": True}]}, "squad (span) has no labels to permute"),
        ({"targets": [{"task": "xcopa", "placebo": True}]}, "placebo: only an intermediate task can have it"),
        (
            {"intermediates": [{"task": "both", "mixture": {"tasks": ["mnli", "social_i_qa"]}, "placebo": True}]},
            "placebo: cannot be combined with mixture",
        ),
    ],
)
def test_what_is_refused(
    study_file: Callable[..., Path], data_root: Path, tmp_path: Path, change: dict[str, Any], line: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_study(study_file(**{**SMALL, **change}))
    assert line in str(caught.value)
