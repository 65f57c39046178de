"""What the benchmarks are made of agrees with the tasks, and their tables mark what is missing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from adaptstilts import tasks
from adaptstilts.metrics import xtreme
from adaptstilts.reports import tables
from adaptstilts.reports.records import Record


@pytest.mark.parametrize("held", xtreme.BENCHMARKS, ids=lambda held: held.name)
def test_tasks_have_the_languages_and_the_metric_of_the_benchmark(held: xtreme.Benchmark) -> None:
    for name, folder in xtreme.FOLDERS.items():
        if name in tasks.known() and folder in held.languages:
            task = tasks.get(name)
            if held.name == "XTREME" and name != "tatoeba_r":
                assert set(task.languages) == set(held.languages[folder]), name
            if held.name == "XTREME-R" and name != "tatoeba":
                assert {*task.languages, *task.more_languages} == set(held.languages[folder]), name
            assert [n.partition("@")[0] for n in xtreme.FORMATS[folder].headline] == list(task.headline)
    assert {folder for folder in held.languages} == {folder for members in held.groups.values() for folder in members}


def test_sizes() -> None:
    first, second = xtreme.BENCHMARKS
    assert (len(first.languages), len(second.languages)) == (9, 10)
    assert len({code for codes in first.languages.values() for code in codes}) == 40
    assert len({code for codes in second.languages.values() for code in codes}) == 50


def record(task: str, languages: dict[str, float], trained_on: str = "none") -> Record:
    given: dict[str, Any] = {"task": task, "method": "full", "trained_on": trained_on, "over": trained_on}
    return Record(**given, seeds=(1,), phases=("x",), complete=True, languages=languages)


def whole(folder: str, value: float, benchmark: int = 0) -> dict[str, float]:
    return dict.fromkeys(xtreme.BENCHMARKS[benchmark].languages[folder], value)


def test_a_whole_benchmark_has_a_total() -> None:
    """By hand: tasks 10, 20, ... 90; groups are means of tasks, the total is the mean of all nine."""
    names = {folder: name for name, folder in xtreme.FOLDERS.items() if name not in ("tatoeba_r",)}
    rows = [
        record(names[folder], whole(folder, 10.0 * (i + 1))) for i, folder in enumerate(xtreme.BENCHMARKS[0].languages)
    ]
    table = next(t for t in tables.tables(rows) if t.title.startswith("XTREME:"))
    assert table.header[2:] == (
        *("xnli", "paws_x", "udpos", "panx", "xquad", "mlqa", "tydiqa", "bucc", "tatoeba"),
        *("sentence pair", "structured", "question answering", "retrieval", "total"),
    )
    assert table.rows[0][2:] == (
        *(f"{10.0 * i:.1f}" for i in range(1, 10)), "15.0", "35.0", "60.0", "85.0", "50.0"
    )  # fmt: skip
    assert table.notes == ()


def test_what_is_missing_is_marked() -> None:
    rows = [
        record("xnli", {"en": 60.0, "de": 40.0}),
        record("udpos", whole("udpos", 30.0)),
        record("tatoeba", whole("tatoeba", 20.0)),
    ]
    found = {t.title.partition(":")[0]: t for t in tables.tables(rows)}
    row = dict(zip(found["XTREME"].header, found["XTREME"].rows[0], strict=True))
    assert row["xnli"] == "50.0*"
    assert row["udpos"] == "30.0"
    assert row["sentence pair"] == "50.0*"
    assert row["question answering"] == row["total"] == "-"
    assert any("xnli 2/15" in note for note in found["XTREME"].notes)
    assert any(note.startswith("no pawsx, panx") for note in found["XTREME"].notes)


def test_tatoeba_counts_where_its_representation_belongs() -> None:
    rows = [record(n, whole("xnli", 1.0)) for n in ("xnli", "xquad", "udpos")]
    rows += [record("tatoeba", whole("tatoeba", 20.0)), record("tatoeba_r", whole("tatoeba", 70.0, 1))]
    found = {t.title.partition(":")[0]: t for t in tables.tables(rows)}
    assert "20.0" in found["XTREME"].rows[0]
    assert "tatoeba_r" not in found["XTREME"].header
    assert "70.0" in found["XTREME-R"].rows[0]


def test_dev_rows_are_named() -> None:
    rows = [
        replace(record(n, whole("xnli", 1.0)), split="dev" if n == "panx" else "test")
        for n in ("xnli", "panx", "udpos")
    ]
    notes = [
        note for table in tables.tables(rows) if table.title.startswith(("XTREME", "panx")) for note in table.notes
    ]
    assert notes.count("not the test rows: panx (dev)") == 2
    assert "the dev rows, not the test rows" in notes


def test_a_task_or_two_is_no_benchmark() -> None:
    rows = [record("xnli", whole("xnli", 1.0)), record("xquad", whole("xquad", 1.0))]
    assert not any("XTREME" in t.title for t in tables.tables(rows))
