"""Heads on disk fit the task they were trained for and nothing else."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from adaptstilts import tasks
from adaptstilts.errors import ArtifactError, ConfigError
from adaptstilts.kinds import heads
from adaptstilts.models.encoder import Encoder

NAMES = ["mnli", "social_i_qa", "squad", "udpos"]


@pytest.fixture(scope="module")
def encoder(tiny: Path) -> Encoder:
    return Encoder(tiny)


@pytest.fixture
def saved(encoder: Encoder, tmp_path: Path) -> Path:
    heads.save(heads.new(encoder, tasks.get("mnli"), 1), encoder, tasks.get("mnli"), tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_comes_back_to_the_bit(encoder: Encoder, tmp_path: Path, name: str) -> None:
    task = tasks.get(name)
    head = heads.new(encoder, task, 1)
    with torch.no_grad():
        for value in head.parameters():
            value.add_(torch.randn_like(value))
    heads.save(head, encoder, task, tmp_path)
    again = heads.load(encoder, task, tmp_path).state_dict()
    assert again.keys() == head.state_dict().keys()
    assert all(torch.equal(again[key], value) for key, value in head.state_dict().items())


@pytest.mark.parametrize("name", NAMES)
def test_initial_weights_depend_on_the_seed_alone(encoder: Encoder, name: str) -> None:
    task = tasks.get(name)
    one, two, other = (heads.new(encoder, task, "head", seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(two[key], value) for key, value in one.items())
    assert not torch.equal(other["out.weight"], one["out.weight"])


def test_xnli_takes_the_head_of_mnli_and_xcopa_that_of_copa(encoder: Encoder, saved: Path, tmp_path: Path) -> None:
    heads.load(encoder, tasks.get("xnli"), saved)
    siqa = tasks.get("social_i_qa")
    heads.save(heads.new(encoder, siqa, 1), encoder, siqa, tmp_path / "choice")
    heads.load(encoder, tasks.get("xcopa"), tmp_path / "choice")


def test_retrieval_has_no_head(encoder: Encoder) -> None:
    with pytest.raises(ConfigError, match="no head"):
        heads.new(encoder, tasks.get("tatoeba"), 1)


def test_other_labels_are_refused(encoder: Encoder, saved: Path) -> None:
    task = tasks.get("mnli")
    for labels in (task.labels[::-1], task.labels[:2], (*task.labels, "other")):
        with pytest.raises(ArtifactError, match="labels"):
            heads.load(encoder, dataclasses.replace(task, labels=labels), saved)


def test_another_kind_is_refused(encoder: Encoder, saved: Path) -> None:
    with pytest.raises(ArtifactError, match="kind"):
        heads.load(encoder, tasks.get("udpos"), saved)


@pytest.mark.parametrize("change", ["missing", "unexpected", "shape", "nan", "dtype"])
def test_wrong_tensors_are_refused(encoder: Encoder, saved: Path, change: str) -> None:
    path = saved / "head.safetensors"
    tensors = load_file(path)
    if change == "missing":
        del tensors["out.bias"]
    elif change == "unexpected":
        tensors["more"] = torch.zeros(1)
    elif change == "shape":
        tensors["out.weight"] = tensors["out.weight"].T.contiguous()
    elif change == "nan":
        tensors["out.weight"][0, 0] = float("nan")
    else:
        tensors["out.weight"] = tensors["out.weight"].to(torch.int32)
    save_file(tensors, path)
    with pytest.raises(ArtifactError, match=r"head\.safetensors"):
        heads.load(encoder, tasks.get("mnli"), saved)


@pytest.mark.parametrize("text", [None, "", "{", "[]", "null", json.dumps({"kind": "classification"})])
def test_unreadable_card_is_refused(encoder: Encoder, saved: Path, text: str | None) -> None:
    if text is None:
        (saved / "head.json").unlink()
    else:
        (saved / "head.json").write_text(text, encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"head\.json"):
        heads.load(encoder, tasks.get("mnli"), saved)
