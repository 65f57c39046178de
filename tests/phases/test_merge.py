"""Merging: damaged or foreign parents are refused, the head is the target's, and the entry can be used at once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from support.inputs import STUDY, make_encoder

from adaptstilts import study as config
from adaptstilts.errors import ArtifactError
from adaptstilts.io import hashing
from adaptstilts.kinds import heads
from adaptstilts.methods import Method
from adaptstilts.methods.bottleneck import Bottleneck
from adaptstilts.methods.full import Full
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.seeds import generator
from adaptstilts.phases.merge import merge
from adaptstilts.plan import expand
from adaptstilts.plan.phases import MergePhase, TrainPhase
from adaptstilts.run import perform
from adaptstilts.runtime.context import Runtime
from adaptstilts.store.entries import Entry
from adaptstilts.study import Train
from adaptstilts.workspace import Workspace

SEQ = Bottleneck(reduction=4)


class Bench:
    """A store with entries made by hand, and merges of them."""

    def __init__(self, model: Path, data: Path, folder: Path) -> None:
        self.workspace = Workspace(folder, data)
        study = {**STUDY, "model": str(model), "methods": ["full"], "swap": "off"}
        self.model = self.workspace.model(config.parse(json.dumps(study)))
        self.runtime = Runtime(self.workspace, self.model, device="cpu")

    def entry(self, task: str, method: Method = SEQ, head: bool = True, **changed: Any) -> str:
        """An entry as a training phase leaves it, its weights drawn from the task's name."""
        phase = TrainPhase(
            task=task,
            rows=task,
            data={},
            model=self.model.fingerprint,
            method=method,
            settings=Train(),
            seed=1,
            **changed,
        )
        spec, key = phase.spec, phase.key
        encoder = Encoder(self.model.folder, getattr(method, "backend", "plain"))
        with self.workspace.store.stage(key) as staging, generator(task):
            if isinstance(method, Full):
                with torch.no_grad():
                    for value in encoder.trunk.parameters():
                        value.add_(0.01 * torch.randn(value.shape))
                encoder.save_trunk(staging / "encoder")
            else:
                encoder.add("x", method, task)
                encoder.save("x", staging / "adapter")
            if head:
                declared = self.runtime.task(task)
                heads.save(heads.new(encoder, declared, task), encoder, declared, staging / "head")
            self.workspace.store.commit(key, spec, staging)
        return key

    def merged(self, *of: str, task: str = "soup", method: Method = SEQ) -> Entry:
        phase = self.phase(*of, task=task, method=method)
        perform(phase, self.runtime)
        return self.workspace.store.entry(phase.key)

    def phase(self, *of: str, task: str = "soup", method: Method = SEQ) -> MergePhase:
        weights = (0.5,) * len(of)
        return MergePhase(task=task, data={}, model=self.model.fingerprint, method=method, of=of, weights=weights)


@pytest.fixture
def bench(tiny: Path, data_root: Path, tmp_path: Path) -> Bench:
    return Bench(tiny, data_root, tmp_path / "store")


def head_of(entry: Entry) -> bytes:
    return (entry.folder / "head" / "head.safetensors").read_bytes()


@pytest.mark.parametrize("method", [SEQ, Full()], ids=["bottleneck", "full"])
def test_the_head_is_kept_for_a_target_alone(bench: Bench, method: Method) -> None:
    lower, upper = bench.entry("mnli", method), bench.entry("xnli", method)
    assert not any(name.startswith("head") for name in bench.merged(lower, upper, method=method).manifest["files"])
    target = bench.merged(lower, upper, task="xnli", method=method)
    assert head_of(target) == head_of(bench.workspace.store.entry(upper))
    assert head_of(target) != head_of(bench.workspace.store.entry(lower))
    first = bench.merged(upper, lower, task="xnli", method=method)  # the target is the last, or there is none
    assert not any(name.startswith("head") for name in first.manifest["files"])
    kept = "encoder/model.safetensors" if isinstance(method, Full) else "adapter/adapter.safetensors"
    assert {kept, "result.json", "cost.json"} <= set(target.manifest["files"])
    assert target.json("result.json") == {"trainable": 0, "head": 0, "weights": [0.5, 0.5]}
    assert target.json("cost.json")["seconds"] > 0


def test_the_same_merge_twice_gives_the_same_bits(bench: Bench, tiny: Path, data_root: Path, tmp_path: Path) -> None:
    other = Bench(tiny, data_root, tmp_path / "other")
    found = []
    for here in (bench, other):
        entry = here.merged(here.entry("mnli"), here.entry("squad"))
        found.append((entry.key, (entry.folder / "adapter" / "adapter.safetensors").read_bytes()))
    assert found[0] == found[1]


@pytest.mark.parametrize("method", [SEQ, Full()], ids=["bottleneck", "full"])
def test_a_damaged_parent_is_refused_and_moved_away(bench: Bench, method: Method) -> None:
    one, two = bench.entry("mnli", method), bench.entry("squad", method)
    folder = bench.workspace.store.entry_folder(two)
    path = next(folder.rglob("*adapter*.safetensors" if method == SEQ else "model.safetensors"))
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    bench.workspace.store._verified.clear()
    with pytest.raises(ArtifactError, match=r"does not have the sha256 of the manifest.*quarantine") as refused:
        bench.merged(one, two, method=method)
    assert len(str(refused.value).splitlines()) == 1
    assert not bench.workspace.store.has(two)
    assert not bench.workspace.store.has(bench.phase(one, two, method=method).key)
    assert list((bench.workspace.store.folder / "staging").iterdir()) == []


def test_a_parent_of_another_base_model_is_refused(bench: Bench, data_root: Path, tmp_path: Path) -> None:
    other = Bench(make_encoder(tmp_path / "other", seed=2), data_root, bench.workspace.store.folder)
    with pytest.raises(ArtifactError, match=r"entry [0-9a-f]{12}"):
        bench.merged(bench.entry("mnli"), other.entry("squad"))


def test_a_parent_on_another_encoder_is_refused(bench: Bench) -> None:
    base = bench.entry("mnli", Full())
    with pytest.raises(ArtifactError, match="was trained on another encoder than the base model"):
        bench.merged(bench.entry("squad"), bench.entry("xnli", base=base))
    moved = bench.entry("xnli", Full(), base=base)  # of a whole encoder it says only where it started
    assert bench.merged(base, moved, method=Full())


def test_an_adapter_that_is_not_what_its_spec_says_is_refused(bench: Bench, tmp_path: Path) -> None:
    one = bench.entry("mnli")
    two = bench.entry("squad", Bottleneck(reduction=8))
    spec = {**bench.workspace.store.entry(two).spec, "method": SEQ.identity()}
    with bench.workspace.store.stage(hashing.of(spec)) as staging:
        shutil.copytree(bench.workspace.store.entry_folder(two) / "adapter", staging / "adapter")
        lying = bench.workspace.store.commit(hashing.of(spec), spec, staging).key
    with pytest.raises(ArtifactError, match="holds bottleneck reduction=8, expected bottleneck reduction=4"):
        bench.merged(one, lying)


def test_the_files_are_written_where_they_are_asked_for(bench: Bench, tmp_path: Path) -> None:
    merge(bench.phase(bench.entry("mnli"), bench.entry("squad")), bench.runtime, tmp_path)
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.json")}
    assert {"adapter/adapter_config.json", "result.json", "cost.json"} <= found


@pytest.mark.slow
def test_a_merged_adapter_is_a_parent_like_any_other(tiny: Path, data_root: Path, tmp_path: Path) -> None:
    """Of a merge there can be a merge, and both stand under a target and are swapped."""
    study = {
        **STUDY,
        "model": str(tiny),
        "targets": ["udpos"],
        "intermediates": [
            {"task": "twice", "merge": {"of": ["mnli"], "weights": [2.0]}},
            {"task": "soup", "merge": {"of": ["twice", "social_i_qa"], "leave_out": [3]}},
            "mnli",
            "social_i_qa",
        ],
        "methods": [{"kind": "lora", "rank": 2}],
        "train": {**STUDY["train"], "max_steps": 1},
    }
    workspace = Workspace(tmp_path / "store", data_root)
    made = expand.expand(config.parse(json.dumps(study)), workspace)
    runtime = Runtime(workspace, made.model, device="cpu")
    for phase in made.order():
        perform(phase, runtime)
    (soup,) = [phase for phase in made.phases.values() if phase.title == "merge soup (lora rank=2)"]
    assert soup.method.label == "lora rank=4 alpha=4.0 leave_out=[3]"
    assert len(made.cells) == 16
