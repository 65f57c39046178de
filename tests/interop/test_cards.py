"""Cards of exported adapters: their head stays YAML, their scores are those of the store, their code runs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from support.command_line import call
from support.foreign_adapters import CASES as CASES
from support.foreign_adapters import IDS, MASK, write

from adaptstilts import run, study
from adaptstilts.interop import adapters, cards
from adaptstilts.interop.cards import CardFacts, LanguageScore
from adaptstilts.plan.expand import expand
from adaptstilts.plan.phases import TrainPhase, parse
from adaptstilts.runtime.adapter_pool import AdapterPool
from adaptstilts.workspace import Workspace

EVIL = "x\"'|`<b>\n---\nlicense: mine\n```\n| y | z |\u2028# h\\"
TRAIN = {"max_steps": 3, "batch_size": 8, "max_length": 48, "lr": 0.01, "dev_examples": 12}


def front(text: str) -> dict[str, Any]:
    """The YAML between the first two lines of dashes."""
    first, head, _ = re.split(r"^---$", text, maxsplit=2, flags=re.MULTILINE)
    assert first == ""
    return dict(yaml.safe_load(head))


def facts(spec: dict[str, Any] | None = None, **changed: Any) -> CardFacts:
    whole = {
        "kind": "train",
        "version": 1,
        "task": "xnli",
        "rows": "mnli",
        "data": {"train": "a" * 64, "dev": "b" * 64},
        "model": {"architecture": "xlm-roberta", "shape": "{}", "tokenizer": "c" * 64, "weights": "d" * 64},
        "method": {"kind": "bottleneck"},
        "train": {"lr": 1e-4},
        "seed": 1,
        **(spec or {}),
    }
    phase = parse({name: value for name, value in whole.items() if value is not None})
    assert isinstance(phase, TrainPhase)
    others = {"key": "e" * 64, "format_name": "adapterhub", "model": "owner/model", "result": {}}
    return CardFacts(**{**others, "phase": phase, "sources": cards.sources(phase), **changed})


def test_the_head_of_a_card() -> None:
    scores = [LanguageScore("en", {"accuracy": 80.0}, 5), LanguageScore("sw", {"accuracy": 60.0}, 4)]
    found = front(cards.card(facts(scores=scores)))
    assert found == {
        "library_name": "adapter-transformers",
        "base_model": "owner/model",
        "tags": ["adaptstilts", "xlm-roberta", "bottleneck", "adapter-transformers"],
        "datasets": ["nyu-mll/glue"],
        "language": ["en", "sw"],
        "license": "other",
        "license_name": "of-the-training-data",
    }
    plain = front(cards.card(facts(spec={"task": "squad", "rows": None}, format_name="peft", model="a folder")))
    assert plain["license"] == "cc-by-sa-4.0"
    assert plain["library_name"] == "peft"
    assert "base_model" not in plain
    assert "license_name" not in plain


@pytest.mark.parametrize("form", ["adapterhub", "peft", "own"])
def test_no_value_breaks_a_card(form: str) -> None:
    """Names of folders, tasks, settings and languages that try to end the head, a table or the code."""
    odd = facts(
        format_name=form,
        model=EVIL,
        spec={"task": EVIL, "data": {EVIL: EVIL}, "mixture": {"tasks": [EVIL, "mnli"]}},
        result={"dev": {EVIL: 1.0}, "trainable": EVIL, "format": EVIL},
        scores=[LanguageScore(EVIL, {EVIL: 1.0}, 3)],
        over=EVIL,
        below=[EVIL],
    )
    text = cards.card(odd)
    plain = cards.card(facts(format_name=form, scores=[LanguageScore("xx", {"accuracy": 1.0}, 3)]))
    assert set(front(text)) <= set(front(plain))
    assert front(text).get("license") != "mine"
    lines = text.split("\n")
    assert lines.count("---") == 2
    assert "license: mine" not in lines
    assert sum(line.startswith("```") for line in lines) == 2
    assert not any(line.startswith("| y |") or line.startswith("# h") for line in lines)
    assert "<b>" not in re.sub(
        r"\\<b\\>", "", "\n".join(line for line in lines if not line.startswith(("model", "names", "adaptstilts")))
    )
    widths = [len(re.findall(r"(?<!\\)\|", line)) for line in lines if line.startswith("|")]
    assert set(widths) == {3, 4}


@pytest.fixture(scope="module", params=["bottleneck", pytest.param("lora", marks=pytest.mark.slow)])
def finished(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny: Path, data_root: Path
) -> tuple[str, Path, Path, Path]:
    """A study with an imported intermediate, run; returns the format, its file, store and data."""
    folder = tmp_path_factory.mktemp("cards")
    case = next(case for case in CASES if case.name == ("seq" if request.param == "bottleneck" else "lora"))
    write(case, tiny, folder / "theirs")
    part = {"task": "my-mnli", "adapter": str(folder / "theirs")}
    held = {"name": "toy", "model": str(tiny), "targets": ["xnli"], "missing": "skip", "train": TRAIN}
    path = folder / "study.yaml"
    path.write_text(json.dumps({**held, "methods": [case.method], "intermediates": ["none", part]}))
    workspace = Workspace(folder / "store", data_root)
    run.run_plan(expand(study.load(path), workspace), workspace)
    return ("adapterhub" if request.param == "bottleneck" else "peft"), path, folder / "store", data_root


def test_the_command_line(
    finished: tuple[str, Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    form, path, store, data = finished
    options = ("--store", store, "--data-root", data, "--offline")
    arguments = ("export-adapter", path, "--task", "xnli", "--trained-on", "my-mnli", "--format", form)
    assert call(*arguments, "--out", tmp_path / "out", *options) == 0
    assert "README.md, adapter" in capsys.readouterr().out
    assert call(*arguments, "--out", tmp_path / "out", *options) == 2
    assert "exists and is not empty" in capsys.readouterr().err
    assert call("export-adapter", path, "--format", form, "--out", tmp_path / "x", *options) == 2
    assert "give --task or --intermediate" in capsys.readouterr().err
    assert call(*arguments[:4], "--format", form, "--out", tmp_path / "x", *options) == 2
    assert "2 adapters of this study fit; say which" in capsys.readouterr().err
    assert (
        call("export-adapter", path, "--intermediate", "my-mnli", "--format", form, "--out", tmp_path / "i", *options)
        == 0
    )
    text = (tmp_path / "i" / "README.md").read_text()
    assert "It was imported from" in text
    assert "This adapter has no scores of its own" in text
    assert call("swap", path, "--trained-on", "none", "--over", path.parent / "theirs", *options) == 0
    told = capsys.readouterr().out
    assert "0 training phases, 1 evaluate phase done now, 1 done before, 1 adapter imported" in told
    assert call("swap", path, "--over", "no-such-thing", *options) == 2
    assert "or the folder or hub id of an adapter" in capsys.readouterr().err


def test_a_card_tells_what_was_measured_and_its_code_runs(
    finished: tuple[str, Path, Path, Path], tiny: Path, tmp_path: Path
) -> None:
    form, path, store, data = finished
    workspace = Workspace(store, data)
    plan = expand(study.load(path), workspace)
    adapters.export_adapter(
        plan, workspace, adapters.AdapterFilter(task="xnli", trained_on="my-mnli"), form, tmp_path / "out"
    )
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    cell = next(cell for cell in plan.cells if cell.trained_on == "my-mnli")
    scores = workspace.store.entry(cell.phase).json("scores.json")
    assert set(scores) >= {"en", "de"}
    for name, code in (("English", "en"), ("German", "de"), ("Chinese", "zh")):
        assert f"| {name} ({code}) | {scores[code]['values']['accuracy']:.2f} | {scores[code]['n']} |" in text
    target = workspace.store.entry(cell.training[-1])
    for value in (*target.spec["model"].values(), *target.spec["data"].values(), target.key, "nyu-mll/glue"):
        assert str(value).replace("[", "\\[").replace("]", "\\]") in text
    found = run_code(text, tmp_path / "out", tiny)
    resident = AdapterPool(workspace.store, plan.model, torch.device("cpu"))
    with torch.no_grad():
        expected = resident.encoder(None, (*target.spec["stack"], target.key)).states(IDS, MASK)[MASK.bool()]
    assert float((found - expected).abs().max()) <= 1e-6


def run_code(text: str, folder: Path, tiny: Path) -> torch.Tensor:
    """What the card says to do, with the folders filled in; returns the states of the model it gives."""
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    code = code.replace("FOLDER", str(folder)).replace('"tiny"', repr(str(tiny)))
    space: dict[str, Any] = {}
    exec(code, space)
    with torch.no_grad():
        return space["model"].eval()(input_ids=IDS, attention_mask=MASK).last_hidden_state[MASK.bool()]
