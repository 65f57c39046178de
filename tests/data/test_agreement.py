"""Parallel test sets in which a language says something else than the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.command_line import call
from support.inputs import write_split

from adaptstilts import tasks
from adaptstilts.data.agreement import Disagreements, disagreements, sentences
from adaptstilts.data.sources import Sources
from adaptstilts.reports.data_inventory import inventories
from adaptstilts.tasks import Source
from adaptstilts.tasks.declaration import check
from adaptstilts.workspace import Workspace

XCOPA = tasks.get("xcopa")


def found(root: Path, **values: list[Any]) -> Disagreements:
    """Disagreements of languages in the column ``label``, which has these values."""
    task = replace(XCOPA, equal_columns=("label",))
    for code, column in values.items():
        write_split(root, "o/n", code, "test", [{"label": value, "text": code} for value in column])
    sources = Sources(root)
    return disagreements(task, {code: sources.get(Source("o/n", code, "test")) for code in values})


def test_the_language_that_differs_is_named(tmp_path: Path) -> None:
    assert found(tmp_path, et=[0, 1, 1], th=[0, 0, 0], vi=[0, 1, 1]) == {"label": {"th": 2}}
    told = list(sentences({"label": {"th": 2, "vi": 1}}))
    assert told == ["label is not what most languages have for the same item: 2 rows of th, 1 row of vi"]


def test_equal_languages_say_nothing(tmp_path: Path) -> None:
    assert found(tmp_path, et=[0, 1], th=[0, 1]) == {}
    assert found(tmp_path / "one", et=[0, 1]) == {}
    assert found(tmp_path / "lists", et=[[0], [1]], th=[[0], [1]]) == {}


def test_without_a_majority_all_of_them_differ(tmp_path: Path) -> None:
    assert found(tmp_path, et=[0, 1], th=[0, 0]) == {"label": {"et": 1, "th": 1}}


def test_languages_of_other_lengths_are_not_compared(tmp_path: Path) -> None:
    assert found(tmp_path, et=[0, 1], th=[0, 1], vi=[1]) == {}


def test_class_names_count_and_not_their_numbers(tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset, Features

    splits = {}
    for code, names, values in (("et", ["a", "b"], [0, 1]), ("th", ["b", "a"], [1, 0])):
        path = tmp_path / f"o/n/{code}/test-00000-of-00001.parquet"
        path.parent.mkdir(parents=True)
        rows = [{"label": value} for value in values]
        Dataset.from_list(rows, features=Features({"label": ClassLabel(names=names)})).to_parquet(str(path))
        splits[code] = Sources(tmp_path).get(Source("o/n", code, "test"))
    assert disagreements(replace(XCOPA, equal_columns=("label",)), splits) == {}


def test_only_parallel_rows_can_be_compared() -> None:
    check(XCOPA, tasks.known())
    with pytest.raises(Exception, match="equal_columns: expected only for parallel rows"):
        check(replace(XCOPA, parallel=False), tasks.known())


def test_a_note_stands_below_the_results(
    data_root: Path, study_file: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    root = Path(shutil.copytree(data_root, tmp_path / "hub"))
    rows = pq.read_table(next((root / "cambridgeltl/xcopa/id").glob("test-*"))).to_pylist()
    for code in ("id", "zh", "th"):
        changed = [{**row, "question": "effect"} for row in rows] if code == "th" else rows
        write_split(root, "cambridgeltl/xcopa", code, "test", changed)
    study = study_file(
        intermediates=["none"],
        targets=["xcopa"],
        methods=[{"kind": "bottleneck", "reduction": 4}],
        swap="off",
        train={"max_steps": 2, "batch_size": 4, "max_length": 48, "dev_examples": 12},
    )
    note = "question is not what most languages have for the same item: 6 rows of th"
    options = "--store", tmp_path / "store", "--data-root", root
    assert call("run", study, *options) == 0
    assert capsys.readouterr().out.count(note) == 1
    assert call("results", study, *options, "--format", "json") == 0
    printed = capsys.readouterr().out
    assert '"th": 6' in printed
    assert '"published": 500' in printed
    page = tmp_path / "page.html"
    assert call("report", study, *options, "-o", page) == 0
    assert note in page.read_text(encoding="utf-8")
    (inventory,) = inventories(Workspace(tmp_path / "none", root, create=False), ["xcopa"])
    assert inventory.differs == {"question": {"th": 6}}


def test_thai_of_the_real_xcopa(shared: Path) -> None:
    """All its rows ask for the effect."""
    (inventory,) = inventories(Workspace(shared / "none", shared / "hub", offline=True, create=False), ["xcopa"])
    assert set(inventory.differs) == {"question"}
    assert inventory.differs["question"]["th"] > 200
