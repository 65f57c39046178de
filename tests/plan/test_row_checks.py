"""Rows that cannot be used are found while planning, all of them at once, and right ones are read only once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.command_line import call
from support.inputs import write_split

from adaptstilts import tasks
from adaptstilts.errors import DataError
from adaptstilts.plan import row_checks
from adaptstilts.plan.readings import Reading
from adaptstilts.workspace import Workspace

StudyFile = Callable[..., Path]
MNLI = "nyu-mll/glue", "mnli"
XNLI = "google/xtreme", "XNLI"
SMALL: dict[str, Any] = {
    "intermediates": ["none", "mnli"],
    "targets": ["xnli"],
    "methods": [{"kind": "bottleneck", "reduction": 4}],
    "swap": "off",
}


@pytest.fixture
def root(data_root: Path, tmp_path: Path) -> Path:
    """A data root that a test may change."""
    return Path(shutil.copytree(data_root, tmp_path / "hub"))


def change(root: Path, place: tuple[str, str], split: str, number: int, **values: Any) -> None:
    """Change a row of a split."""
    path = next((root / place[0] / place[1]).glob(f"{split}-*"))
    rows = pq.read_table(path).to_pylist()
    rows[number].update(values)
    write_split(root, *place, split, rows)


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_all_splits_with_unusable_rows_are_named_before_anything_runs(
    verb: str, root: Path, study_file: StudyFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(root, MNLI, "train", 3, label=7)
    change(root, MNLI, "train", 5, premise=None)
    change(root, XNLI, "test", 20, gold_label="perhaps")
    store = tmp_path / "store"
    assert call(verb, study_file(**SMALL), "--store", store, "--data-root", root) == 3
    lines = [line for line in capsys.readouterr().err.splitlines() if "test-" in line or "train-" in line]
    assert len(lines) == 2
    assert "train-00000-of-00001.parquet: row 3: label: expected one of entailment" in lines[0]
    assert "; row 5: premise: expected text, found None; " in lines[0]
    assert "test-00000-of-00001.parquet: row 20: gold_label: expected one of" in lines[1]
    assert not (store / "entries").exists()


def test_withheld_labels_are_found_while_planning(
    root: Path, study_file: StudyFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"language": "de", "sentence1": "a", "sentence2": "b", "gold_label": "neutral"}
    rows = [{**row, "language": code} for code in ("en", "de") for _ in range(60)]
    rows[0]["gold_label"] = "entailment"
    write_split(root, *XNLI, "test", rows)
    arguments = "plan", study_file(**SMALL), "--store", tmp_path / "store", "--data-root", root
    assert call(*arguments) == 3
    assert "XNLI test: de: every gold label is 'neutral'; the labels look withheld" in capsys.readouterr().err
    assert call(*arguments, "evaluate={examples: 20}") == 0  # as the evaluation of so few rows would not mind


def test_right_rows_are_not_read_again_and_their_number_is_compared(
    root: Path,
    study_file: StudyFile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scanned: list[str] = []
    original = row_checks.scan

    def counted(split: Any, task: Any, check: Any) -> Any:
        scanned.append(str(split.source))
        return original(split, task, check)

    monkeypatch.setattr(row_checks, "scan", counted)
    study, store = study_file(**SMALL, train={"max_steps": 1, "batch_size": 4, "max_length": 48}), tmp_path / "store"
    assert call("run", study, "--store", store, "--data-root", root) == 0
    assert len(scanned) == 6  # training and dev rows of MNLI, dev rows of XNLI, and its test rows in three languages
    few = ["mnli: 60 training rows in the data, 392,702 published"]
    few += ["xnli: 18 test rows of de, en and zh in the data, 5,010 published in each"]
    printed = capsys.readouterr()
    assert [printed.err.count(line) for line in few] == [1, 1]
    assert [printed.out.count(line) for line in few] == [1, 1]  # below the table
    assert call("plan", study, "--store", store, "--data-root", root, "seeds=[7]") == 0
    assert len(scanned) == 6
    printed = capsys.readouterr()
    assert [line for line in printed.out.splitlines() if line in few] == few
    change(root, MNLI, "train", 0, label=1)
    shutil.rmtree(store / "pins")
    assert call("plan", study, "--store", store, "--data-root", root, "seeds=[7]") == 0
    assert len(scanned) == 7


def test_an_outline_reads_no_rows(root: Path, study_file: StudyFile, tmp_path: Path) -> None:
    change(root, MNLI, "train", 3, label=7)
    assert call("plan", study_file(**SMALL), "--store", tmp_path / "store", "--outline") == 0


def test_labels_that_the_training_rows_lack_are_found(
    root: Path, study_file: StudyFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """CCG takes its labels from the training and dev rows; the head has no output for others."""
    folder = root / "ccgbank/supertags/default"
    folder.mkdir(parents=True)
    for split, tags in (("train", "NP S"), ("validation", "NP N"), ("test", "N S")):
        (folder / f"{split}.tsv").write_text(f"the cat\t{tags}\n" * 4, encoding="utf-8")
    study = study_file(**{**SMALL, "intermediates": ["none"], "targets": ["ccg"]})
    arguments = "plan", study, "--store", tmp_path / "store", "--data-root", root
    assert call(*arguments) == 0
    with open(folder / "test.tsv", "a", encoding="utf-8") as file:
        file.write("the cat\tNP X\n")
    capsys.readouterr()
    assert call(*arguments) == 3
    assert "test.tsv: line 5: tags: expected one of N, NP, S, found 'X'" in capsys.readouterr().err


def test_rows_that_are_left_out_do_not_count_as_rows_of_a_language(root: Path, tmp_path: Path) -> None:
    task = replace(tasks.get("xnli"), no_gold=("neutral",))
    assert task.test is not None
    reading = Reading(task, task.fill(task.test, "de"), needed=13)
    checks = row_checks.RowChecks(Workspace(tmp_path / "store", root))
    with pytest.raises(DataError, match=r"expected 13 usable rows or more \(rows.k of xnli\), found 12; lower k"):
        checks.count(reading)
    count = checks.count(replace(reading, needed=12))
    assert count is not None
    assert (count.usable, count.left_out) == (12, 6)
