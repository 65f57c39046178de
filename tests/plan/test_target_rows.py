"""Targets trained on a few rows of their test languages."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.inputs import make_data, write_split

from adaptstilts import Record, expand, load_study, records, render, row_records, run_plan
from adaptstilts.errors import ConfigError
from adaptstilts.plan.expand import Plan
from adaptstilts.plan.phases import TrainPhase, parse
from adaptstilts.store.entries import SCORES, TRAIN_RESULT
from adaptstilts.workspace import Workspace

ROWS = {"languages": ["de"], "k": [4, 9], "draws": 2, "after": ["english", "none"], "train": {"epochs": 1}}
SMALL: dict[str, Any] = {
    "intermediates": ["none", "social_i_qa"],
    "targets": [{"task": "xnli", "rows": ROWS}],
    "methods": [{"kind": "bottleneck", "reduction": 4}],
    "languages": ["en", "de"],
    "swap": "off",
    "seeds": [1, 2],
    "train": {"epochs": 1, "examples": 8, "batch_size": 4, "max_length": 48, "dev_examples": 6},
}


def phases(plan: Plan) -> list[TrainPhase]:
    return [phase for phase in plan.order() if isinstance(phase, TrainPhase) and phase.shots]


def test_what_is_planned(study_file: Callable[..., Path], data_root: Path, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "s", data_root)
    plan = expand(load_study(study_file(**SMALL)), workspace)
    alone = expand(load_study(study_file(**{**SMALL, "targets": ["xnli"]})), workspace)
    assert plan.cells == alone.cells  # English targets keep their keys, and their table
    trained = phases(plan)
    assert len(trained) == 2 * 2 * 2 * 2 * 2 == len(plan.row_cells)  # seeds, intermediates, k, draws, after
    assert {(p.shots.k, p.shots.draw, p.shots.language) for p in trained if p.shots} == {
        (k, draw, "de") for k in (4, 9) for draw in (1, 2)
    }
    assert all(parse(phase.spec).key == phase.key for phase in trained)
    english = {cell.training[-1] for cell in alone.cells}
    assert {phase.init for phase in trained} == {None, *english}
    assert {phase.settings.epochs for phase in trained} == {1}
    assert {phase.settings.examples for phase in trained} == {None}
    assert {plan.phases[cell.phase].spec["languages"][0] for cell in plan.row_cells} == {"de"}
    assert plan.uses()[next(iter(english))] == 1 + 2 * 2


@pytest.mark.slow
def test_what_is_trained_and_told(
    study_file: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_data(tmp_path / "hub")
    path = root / "google/xtreme/XNLI"
    import pyarrow.parquet as pq

    (file,) = path.glob("validation*")
    german = [row for row in pq.read_table(file).to_pylist() if row["language"] == "de"]
    (file,) = path.glob("test*")
    others = [row for row in pq.read_table(file).to_pylist() if row["language"] != "de"]
    write_split(root, "google/xtreme", "XNLI", "test", [*others, *german])  # every German test row is a training row
    workspace = Workspace(tmp_path / "s", root)
    plan = expand(load_study(study_file(**{**SMALL, "seeds": [1], "intermediates": ["none"]})), workspace)
    run_plan(plan, workspace)
    ids: dict[tuple[int, int, str], list[int]] = {}
    for cell in plan.row_cells:
        assert cell.shots is not None
        result = TRAIN_RESULT.read(workspace.store.entry(cell.training[-1]))
        assert result["language"] == "de"
        assert len(result["rows"]) == cell.shots.k == result["examples"]
        ids[cell.shots.k, cell.shots.draw, cell.after] = result["rows"]
        assert SCORES.read(workspace.store.entry(cell.phase))["de"]["in_training"] == cell.shots.k
    for draw in (1, 2):
        assert set(ids[4, draw, "none"]) < set(ids[9, draw, "none"])
        assert ids[4, draw, "none"] == ids[4, draw, "english"]
    assert ids[9, 1, "none"] != ids[9, 2, "none"]
    found = row_records(plan, workspace.store)
    assert [(one.language, one.k, one.after, one.draws, one.in_training) for one in found] == [
        ("de", 4, "english", (1, 2), 8),
        ("de", 4, "none", (1, 2), 8),
        ("de", 9, "english", (1, 2), 18),
        ("de", 9, "none", (1, 2), 18),
    ]
    every = [*records(plan, workspace.store), *found]
    text = render(every, "md")
    assert "### xnli on rows of the test language: accuracy" in text
    assert "de: up to 18 test rows over all runs equal to a training row" in text
    rows = list(csv.DictReader(io.StringIO(render(every, "csv"))))
    assert [(row["language"], row["k"], row["after"]) for row in rows][:3] == [
        ("", "", ""),
        ("de", "4", "english"),
        ("de", "4", "none"),
    ]
    assert json.loads(render(every, "json"))["records"][1]["k"] == 4


@pytest.mark.slow
def test_differences_are_within_one_number_of_rows(
    study_file: Callable[..., Path], data_root: Path, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path / "s", data_root)
    rows = {**ROWS, "k": [4], "after": "none"}
    study = {**SMALL, "seeds": [1], "targets": [{"task": "xnli", "rows": rows}]}
    plan = expand(load_study(study_file(**study)), workspace)
    run_plan(plan, workspace)
    none, over = row_records(plan, workspace.store)

    def accuracy(one: Record) -> float:
        assert one.mean is not None
        return one.mean

    assert none.vs_none is None
    assert over.vs_none is not None
    assert over.vs_none.value == pytest.approx(accuracy(over) - accuracy(none))


REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"targets": [{"task": "xnli", "rows": {**ROWS, "k": [4, 99]}}]},
        "targets.0.rows.k.1: 99 rows wanted, but xnli has 18 in de",
    ),
    (
        {"targets": [{"task": "xnli", "rows": {**ROWS, "languages": ["fi"]}}]},
        "targets.0.rows.languages.0: xnli has no test rows in fi",
    ),
    (
        {"targets": [{"task": "xnli", "rows": ROWS, "evaluate": {"split": "dev"}}]},
        "targets.0.rows: xnli: it is trained on its dev rows, so evaluate on other rows",
    ),
    ({"targets": [{"task": "tatoeba", "rows": ROWS}]}, "targets.0.rows: tatoeba is only searched and never trained"),
    ({"targets": [{"task": "xquad", "rows": ROWS}]}, "targets.0.rows: xquad has training rows in English only"),
    ({"intermediates": [{"task": "mnli", "rows": ROWS}]}, "intermediates.0.rows: only a target can have it"),
    ({"targets": [{"task": "xnli", "rows": {**ROWS, "after": "en"}}]}, "targets.0.rows.after.0: "),
    (
        {"targets": [{"task": "xnli", "rows": {**ROWS, "train": {"epoch": 1}}}]},
        "targets.0.rows.train.epoch: unknown key",
    ),
    (
        {"compositions": ["merge"]},
        "targets.0.rows: cannot be combined with the composition merge",
    ),
]


@pytest.mark.parametrize(("changed", "expected"), REFUSED, ids=[expected for _, expected in REFUSED])
def test_what_is_refused(
    study_file: Callable[..., Path], data_root: Path, tmp_path: Path, changed: dict[str, Any], expected: str
) -> None:
    path = study_file(**{**SMALL, **changed})
    with pytest.raises(ConfigError) as raised:
        expand(load_study(path), Workspace(tmp_path / "s", data_root))
    (line,) = str(raised.value).splitlines()
    assert line.startswith(f"{path}:")
    assert expected in line
