"""A study with bitext mining: from files to scores and tables, and every file that is read in the content key."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.inputs import write_split
from support.mining_parts import REPO, write_part

from adaptstilts import study as config
from adaptstilts.errors import DataError
from adaptstilts.plan import expand
from adaptstilts.plan.expand import Plan
from adaptstilts.reports import records as scores
from adaptstilts.reports import tables
from adaptstilts.run import run_plan
from adaptstilts.workspace import Workspace


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for seed, (code, split) in enumerate(itertools.product(("de", "zh"), ("train", "test"))):
        write_part(tmp_path / "hub", code, split, seed)
    return tmp_path / "hub"


@pytest.fixture
def made(tiny: Path, root: Path, tmp_path: Path) -> Callable[..., tuple[Plan, Workspace]]:
    """Expands a small mining study."""

    def expanded(store: str = "store", **changed: Any) -> tuple[Plan, Workspace]:
        held: dict[str, Any] = {
            "name": "m",
            "model": str(tiny),
            "methods": ["full"],
            "targets": ["ntrex_mining"],
            "missing": "skip",
            "retrieve": {"max_length": 48, "precision": "fp32"},
        }
        workspace = Workspace(tmp_path / store, root)
        return expand.expand(config.parse(json.dumps({**held, **changed})), workspace), workspace

    return expanded


def test_a_study_finds_the_copies(made: Callable[..., tuple[Plan, Workspace]]) -> None:
    study, workspace = made()
    run_plan(study, workspace, device="cpu")
    (cell,) = study.cells
    assert cell.missing == ("fr", "ru")
    entry = workspace.store.entry(cell.phase)
    found = entry.json("scores.json")
    assert set(found) == {"de", "zh"}
    for code, score in found.items():
        assert score["values"]["recall"] > 50, "a copy has cosine one"
        assert set(score["values"]) == {"f1", "precision", "recall"}
        assert score["threshold"] > 1
        assert (score["n"], score["rows"], score["sentences"], score["layer"]) == (14, 14, 28, 3)
        stats = entry.json("stats.json")[code]["f1"]
        right, extracted, gold = np.sum(stats["stats"], axis=0)
        assert stats["measure"] == "f1"
        assert gold == 6
        assert score["values"]["f1"] == pytest.approx(200 * right / (extracted + gold))
        predictions = entry.json(f"predictions/{code}.json")["predictions"]
        assert sum(p is not None for p in predictions) == extracted
    (record,) = scores.records(study, workspace.store)
    assert record.mean == pytest.approx(np.mean([score["values"]["f1"] for score in found.values()]))
    assert record.thresholds == {code: score["threshold"] for code, score in found.items()}
    assert record.english is None
    assert not record.subset
    text = tables.render([record], "md")
    assert "### ntrex_mining: f1" in text
    assert "score thresholds from dev, 1." in text
    assert "thresholds" in tables.render([record], "json")


def test_a_set_without_dev_has_oracle_scores_only(made: Callable[..., tuple[Plan, Workspace]], root: Path) -> None:
    write_part(root, "zh", "validation", 5, repo="local/bucc2018-sample")
    study, workspace = made(targets=["bucc_sample", "ntrex_mining"])
    run_plan(study, workspace, device="cpu")
    alone, usual = scores.records(study, workspace.store)
    assert set(alone.metrics) == {"oracle_f1", "oracle_precision", "oracle_recall"}
    assert alone.mean == alone.metrics["oracle_f1"] > 50
    assert alone.thresholds == usual.oracle_thresholds == {}
    assert set(alone.oracle_thresholds) == {"zh"}
    assert alone.missing == ("de", "fr", "ru")
    text = tables.render([alone, usual], "md")
    assert "### bucc_sample: oracle f1" in text
    assert "oracle: score thresholds chosen on the scored rows, 1." in text


def test_where_no_set_is_the_error_says_how_to_get_it(made: Callable[..., tuple[Plan, Workspace]]) -> None:
    with pytest.raises(DataError, match=r"bucc: no test rows .* original files, .* have gold pairs only, so nothing"):
        made(targets=["bucc"])


@pytest.mark.slow
def test_differences_after_intermediates_have_intervals(
    made: Callable[..., tuple[Plan, Workspace]], root: Path, data_root: Path
) -> None:
    (root / "nyu-mll").symlink_to(data_root / "nyu-mll")
    train = {"max_steps": 3, "batch_size": 8, "max_length": 48, "lr": 0.01, "precision": "fp32"}
    methods = ["full", {"kind": "bottleneck", "reduction": 4}]
    study, workspace = made(intermediates=["none", "mnli"], methods=methods, train=train)
    run_plan(study, workspace, device="cpu")
    records = scores.records(study, workspace.store)
    assert len(records) == 4
    over = [r for r in records if r.trained_on == "mnli"]
    assert all(r.vs_none is not None and r.vs_none.low <= r.vs_none.value <= r.vs_none.high for r in over)


@pytest.mark.parametrize(("split", "name"), itertools.product(("train", "test"), ("de", "en", "gold")))
def test_every_file_is_in_the_key(
    made: Callable[..., tuple[Plan, Workspace]], root: Path, split: str, name: str
) -> None:
    before, _ = made("a")
    rows = write_part(root, "de", split, 99)
    other = write_part(root, "de", split, {"train": 0, "test": 1}[split])
    unchanged, _ = made("b")
    assert set(unchanged.phases) == set(before.phases)
    write_split(root, REPO, f"de-en.{name}", split, rows[name] if name != "gold" else other[name][:-1])
    after, _ = made("c")
    assert set(after.phases) != set(before.phases)
    (phase,) = after.phases.values()
    part = {"train": "dev", "test": "test"}[split]
    place = f"de.{part}." + {"de": "foreign", "en": "english", "gold": "gold"}[name]
    (old,) = before.phases.values()
    assert {key for key in phase.data if phase.data[key] != old.data[key]} == {place}
    assert len(phase.data) == 12


@pytest.mark.parametrize("split", ["train", "test"])
def test_files_that_change_after_planning_are_refused(
    made: Callable[..., tuple[Plan, Workspace]], root: Path, split: str, tmp_path: Path
) -> None:
    study, _ = made("a")
    write_part(root, "de", split, 99)
    with pytest.raises(DataError, match="changed since the plan was made"):
        run_plan(study, Workspace(tmp_path / "b", root), device="cpu")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("gold", "de-1\ten-1\nde-2\ten-9\n", "line 2: english: expected the id of a test sentence, found 'en-9'"),
        ("en", "en-1\ta\nen-2\tb\nen-1\tc\n", "line 3: id: expected one that no other row has, found 'en-1' of line 1"),
    ],
)
def test_lines_of_the_original_files_of_bucc_are_counted_from_1(
    root: Path, tiny: Path, tmp_path: Path, name: str, text: str, message: str
) -> None:
    files = {"de": "de-1\tx\nde-2\ty\n", "en": "en-1\ta\nen-2\tb\n", "gold": "de-1\ten-1\n", name: text}
    for part, content in files.items():
        path = root / "bucc2018" / "bucc" / f"de-en.{part}" / "sample.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    options = {"name": "b", "model": str(tiny), "methods": ["full"], "targets": ["bucc_sample"], "languages": ["de"]}
    workspace = Workspace(tmp_path / "store", root)
    study = expand.expand(config.parse(json.dumps({**options, "retrieve": {"max_length": 48}})), workspace)
    with pytest.raises(DataError) as caught:
        run_plan(study, workspace, device="cpu")
    assert f"de-en.{name}/sample.tsv: {message}" in str(caught.value)


def test_a_language_with_a_row_set_missing_is_an_error(made: Callable[..., tuple[Plan, Workspace]], root: Path) -> None:
    (root / REPO / "zh-en.gold" / "train-00000-of-00001.parquet").unlink()
    with pytest.raises(DataError, match=r"no split 'train' of config 'zh-en.gold'"):
        made()


@pytest.mark.parametrize(
    ("name", "rows", "told"),
    [
        ("gold", [{"source_id": "de-000", "target_id": "en-999"}], "row 0: english: expected the id of a test"),
        ("gold", [{"source_id": "de-000", "target_id": None}], "row 0: target_id: expected text, found None"),
        ("gold", [{"source_id": "de-000"}], "no column 'target_id'"),
        ("en", [{"id": "en-000", "sentence": "a"}, {"id": "en-000", "sentence": "b"}], "row 1: id: expected one that"),
        ("de", [{"id": "de-000", "sentence": 3}], "row 0 (id de-000): sentence: expected text, found 3"),
    ],
)
def test_bad_files_are_named(
    made: Callable[..., tuple[Plan, Workspace]], root: Path, name: str, rows: list[dict[str, Any]], told: str
) -> None:
    path = write_split(root, REPO, f"de-en.{name}", "test", rows)
    study, workspace = made()
    with pytest.raises(DataError) as caught:
        run_plan(study, workspace, device="cpu")
    assert str(path) in str(caught.value)
    assert told in str(caught.value)
