"""Tasks whose labels are in the user's own file (CCG supertags): the head has them, and scores are in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.inputs import STUDY, WORDS

from adaptstilts import study as config
from adaptstilts.plan import expand
from adaptstilts.reports import records as scores
from adaptstilts.run import run_plan
from adaptstilts.workspace import Workspace


def write(root: Path, split: str, sentences: list[list[str]]) -> None:
    folder = root / "ccgbank" / "supertags" / "default"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [" ".join(words) + "\t" + " ".join(rf"(S\{word[0].upper()})" for word in words) for words in sentences]
    (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.slow
def test_supertags_from_a_file(tiny: Path, data_root: Path, tmp_path: Path) -> None:
    for split in ("train", "validation", "test"):
        write(data_root, split, [WORDS[i : i + 6] for i in range(0, 18, 3)])
    methods: list[Any] = [{"kind": "bottleneck", "reduction": 4}]
    study = {**STUDY, "model": str(tiny), "intermediates": ["none", "ccg"], "methods": methods, "targets": ["xnli"]}
    study |= {"targets": ["ccg", "xnli"], "languages": ["en", "de"]}
    workspace = Workspace(tmp_path / "store", data_root)
    found = expand.expand(config.parse(json.dumps(study)), workspace)
    run_plan(found, workspace)
    records = {(r.task, r.trained_on, r.over): r for r in scores.records(found, workspace.store)}
    record = records["ccg", "none", "none"]
    assert record.complete
    assert set(record.metrics) == {"f1", "token_accuracy"}
    assert record.mean == record.metrics["token_accuracy"]
    cell = next(c for c in found.cells if c.task == "ccg" and c.over == "none")
    card = json.loads((workspace.store.entry(cell.training[-1]).folder / "head" / "head.json").read_text())
    expected = sorted({rf"(S\{word[0].upper()})" for word in WORDS[:21]})
    assert card["labels"] == expected
