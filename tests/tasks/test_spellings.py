"""Languages that a declaration spells as its data do: evaluated under their code, read where the data are."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from support.inputs import STUDY, write_split

from adaptstilts import study, tasks
from adaptstilts.languages import LANGUAGES
from adaptstilts.plan.expand import expand
from adaptstilts.run import run_plan
from adaptstilts.tasks import Source, Task
from adaptstilts.workspace import Workspace

MOODS = {"up": "sun bird tree", "down": "river stone house"}
ROWS = [{"text": text, "mood": mood} for mood, text in MOODS.items()] * 8
TASK = Task(
    name="moods",
    kind="classification",
    languages=("eng", "pt-BR", "German"),
    columns={"text_a": "text", "label": "mood"},
    open_labels=True,
    train=Source("someone/moods", "{code}", "train"),
    dev=Source("someone/moods", "{code}", "validation"),
    test=Source("someone/moods", "{code}", "test"),
    intermediate=True,
)


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.REGISTRY, "_added", {})
    tasks.add(TASK)


def test_codes_are_those_of_the_table() -> None:
    assert TASK.languages == ("en", "pt", "de")
    assert TASK.spellings == {"en": "eng", "pt": "pt-BR", "de": "German"}
    restricted = dataclasses.replace(TASK, name="other")
    assert (restricted.languages, restricted.spellings) == (TASK.languages, TASK.spellings)
    assert tasks.get("xnli").spellings == {}


def test_a_source_is_tried_as_declared_and_then_by_its_code() -> None:
    test = TASK.test
    assert test is not None
    assert TASK.fill(test, "pt") == Source(
        "someone/moods", "pt-BR", "test", mirrors=(Source("someone/moods", "pt", "test"),)
    )
    assert TASK.fill(test, "fr") == Source("someone/moods", "fr", "test")
    assert TASK.reads("test", LANGUAGES["pt"]) == {"pt": TASK.fill(test, "pt")}
    union = dataclasses.replace(test, more=(dataclasses.replace(test, split="more"),))
    assert TASK.fill(union, "de") == Source(
        "someone/moods",
        "German",
        "test",
        mirrors=(Source("someone/moods", "de", "test"),),
        more=(Source("someone/moods", "German", "more", mirrors=(Source("someone/moods", "de", "more"),)),),
    )


@pytest.mark.usefixtures("added")
@pytest.mark.parametrize("folders", [("eng", "pt-BR", "German"), ("en", "pt", "de")])
def test_every_declared_language_is_evaluated(folders: tuple[str, ...], tiny: Path, tmp_path: Path) -> None:
    """Also with open labels, and with ``{code}`` in the training and dev rows."""
    for folder in folders:
        for split in ("train", "validation", "test"):
            write_split(tmp_path / "hub", "someone/moods", folder, split, ROWS)
    changed: dict[str, Any] = {
        "model": str(tiny),
        "intermediates": ["none"],
        "targets": ["moods"],
        "methods": [{"kind": "lora", "rank": 2}],
        "swap": "off",
    }
    workspace = Workspace(tmp_path / "store", tmp_path / "hub")
    plan = expand(study.parse(json.dumps({**STUDY, **changed})), workspace)
    assert not any(cell.missing for cell in plan.cells)
    run_plan(plan, workspace, device="cpu")
    scores = workspace.store.entry(plan.cells[0].phase).json("scores.json")
    assert {code: each["n"] for code, each in scores.items()} == {"en": 16, "pt": 16, "de": 16}


@pytest.mark.usefixtures("added")
def test_a_study_may_use_either_spelling(tiny: Path, tmp_path: Path) -> None:
    for folder in TASK.spellings.values():
        for split in ("train", "validation", "test"):
            write_split(tmp_path / "hub", "someone/moods", folder, split, ROWS)
    changed = {"model": str(tiny), "intermediates": ["none"], "targets": ["moods"], "swap": "off"}
    text = json.dumps({**STUDY, **changed, "languages": ["pt-br", "deu"]})
    plan = expand(study.parse(text), Workspace(tmp_path / "store", tmp_path / "hub"))
    phases = [plan.phases[cell.phase] for cell in plan.cells]
    assert {phase.languages for phase in phases} == {("pt", "de")}  # type: ignore[attr-defined]
