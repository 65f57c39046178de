"""Pretraining: it learns, it continues to the same bits, and what it leaves loads everywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.aligned_text import RECIPE, make_text, write_recipe

from adaptstilts import pretrain as recipes
from adaptstilts import run
from adaptstilts.errors import ConfigError, DivergedError, Interrupted
from adaptstilts.models.locate import locate
from adaptstilts.pretrain import PretrainPlan, export
from adaptstilts.runtime.context import Runtime
from adaptstilts.workspace import Workspace


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pretrain")
    make_text(folder / "hub")
    return folder


def prepare(world: Path, store: str, *overrides: str, **changed: Any) -> tuple[PretrainPlan, Workspace]:
    workspace = Workspace(world / store, world / "hub")
    return recipes.expand(recipes.load(write_recipe(world, **changed), overrides), workspace), workspace


@pytest.fixture(scope="module")
def finished(world: Path) -> tuple[PretrainPlan, Workspace]:
    plan, workspace = prepare(world, "store")
    outcome = run.run_plan(plan, workspace, device="cpu")
    assert len(outcome.done) == 2
    return plan, workspace


def test_second_run_does_nothing(finished: tuple[PretrainPlan, Workspace]) -> None:
    outcome = run.run_plan(*finished, device="cpu")
    assert outcome.done == []
    assert len(outcome.skipped) == 2


def test_losses_fall_and_translations_are_found(finished: tuple[PretrainPlan, Workspace]) -> None:
    plan, workspace = finished
    entry = workspace.store.entry(plan.encoders["wee"].key)
    log = [json.loads(line) for line in (entry.folder / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == list(range(100))
    for name in ("mlm", "tlm", "ranking"):
        losses = [line[name] for line in log if name in line]
        half = len(losses) // 2
        assert np.mean(losses[half:]) < np.mean(losses[:half]), name
    result = entry.json("result.json")
    assert result["held_out"]["mean"][result["held_out"]["layer"]] == max(result["held_out"]["mean"]) > 0.8
    assert len(result["held_out"]["mean"]) == 4
    assert sum(result["tokens"].values()) > 100 * 200


@pytest.mark.slow
def test_interrupted_phase_continues_to_the_same_bits(finished: tuple[PretrainPlan, Workspace], world: Path) -> None:
    plan, workspace = finished
    other = Workspace(world / "interrupted", world / "hub")
    corpus, phase = plan.order()
    asked = {"n": 0}

    def stop() -> bool:
        asked["n"] += 1
        return asked["n"] > 23

    run.perform(corpus, Runtime(other, None, device="cpu"))
    with pytest.raises(Interrupted, match="stopped at step 24 of 100"):
        run.perform(phase, Runtime(other, None, stop=stop, device="cpu"))
    run.perform(phase, Runtime(other, None, device="cpu"))
    ours, theirs = (space.store.entry(phase.key).folder for space in (workspace, other))
    for name in ("encoder/model.safetensors", "log.jsonl"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name


def test_encoder_loads_here_and_in_transformers(finished: tuple[PretrainPlan, Workspace]) -> None:
    from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

    from adaptstilts.models.encoder import Encoder

    plan, workspace = finished
    folder = workspace.store.entry(plan.encoders["wee"].key).folder / "encoder"
    model, info = AutoModelForMaskedLM.from_pretrained(str(folder), output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    batch = AutoTokenizer.from_pretrained(str(folder))(["the cat sees a dog"], return_tensors="pt")
    model.eval()
    with torch.inference_mode():
        logits = model(**batch).logits
        states = AutoModel.from_pretrained(str(folder)).eval()(**batch).last_hidden_state
        ours = Encoder(folder).states(batch["input_ids"], batch["attention_mask"])
    assert logits.shape[-1] == 100
    torch.testing.assert_close(ours, states)
    assert locate(str(folder)).shape["positions"] == 66


def test_an_encoder_starts_from_another(finished: tuple[PretrainPlan, Workspace], world: Path, tmp_path: Path) -> None:
    shape = RECIPE["encoders"]["wee"]
    both = {"wee": shape, "more": {**shape, "start": "wee", "steps": 2, "lr": 1e-9}}
    plan, workspace = prepare(world, "store", encoders=both)
    assert plan.encoders["wee"].key == finished[0].encoders["wee"].key
    plan.encoders.pop("wee")
    assert len(run.run_plan(plan, workspace, device="cpu").done) == 1
    ours, first = (workspace.store.entry(phase.key) for phase in plan.order()[:0:-1])
    held = load_file(str(first.folder / "encoder" / "model.safetensors"))
    for key, value in load_file(str(ours.folder / "encoder" / "model.safetensors")).items():
        torch.testing.assert_close(value, held[key], rtol=0, atol=1e-6)
    assert ours.json("result.json")["start"]["steps"] == 100
    (folder,) = export.export(plan, workspace.store, tmp_path)
    assert "100 steps (" in (folder / "README.md").read_text(encoding="utf-8")


def test_export_is_half_precision_with_a_card(finished: tuple[PretrainPlan, Workspace], tmp_path: Path) -> None:
    plan, workspace = finished
    for _ in range(2):  # the second time it replaces what is there
        (folder,) = export.export(plan, workspace.store, tmp_path / "out")
    assert {path.name for path in folder.iterdir()} >= {"config.json", "README.md", "tokenizer.json"}
    assert {value.dtype for value in load_file(str(folder / "model.safetensors")).values()} == {torch.float16}
    card = (folder / "README.md").read_text(encoding="utf-8")
    for words in ("made here", "German (de)", "removed because", "ranking 0.5", "| mean |", "## Limits"):
        assert words in card
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["wee"]


def test_export_replaces_exports_only(finished: tuple[PretrainPlan, Workspace], tmp_path: Path) -> None:
    plan, workspace = finished
    (tmp_path / "wee").mkdir()
    (tmp_path / "wee" / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is not replaced; export elsewhere"):
        list(export.export(plan, workspace.store, tmp_path))
    assert (tmp_path / "wee" / "thesis.txt").read_text() == "mine"


def test_divergence_is_told(world: Path) -> None:
    plan, workspace = prepare(world, "diverged", "encoders.wee.lr=1e30")
    run.perform(plan.corpus, Runtime(workspace, None, device="cpu"))
    with pytest.raises(DivergedError, match=r"lower encoders\.wee\.lr"):
        run.run_plan(plan, workspace, device="cpu")
    assert not workspace.store.has(plan.encoders["wee"].key)


def test_without_singular_vectors_and_ranking(world: Path) -> None:
    plan, workspace = prepare(
        world, "store", "encoders.wee.svd=false", "encoders.wee.steps=3", "encoders.wee.objectives={ranking: 0.0}"
    )
    run.run_plan(plan, workspace, device="cpu")
    tokens = workspace.store.entry(plan.encoders["wee"].key).json("result.json")["tokens"]
    assert "ranking" not in tokens
