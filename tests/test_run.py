"""A whole study: everything is computed once, the second run does nothing, and a failure stops only what needs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pytest
import torch
from pydantic import Field
from support.inputs import STUDY, make_data, write_split
from torch import nn

from adaptstilts import methods, study, tasks
from adaptstilts.errors import ArtifactError, DataError, PhasesFailed
from adaptstilts.methods.base import AdapterMethod, read_json
from adaptstilts.plan import expand
from adaptstilts.plan.expand import Plan
from adaptstilts.plan.phases import Phase
from adaptstilts.run import Listener, Outcome, run_plan
from adaptstilts.store.store import Store
from adaptstilts.tasks import Source, Task
from adaptstilts.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adaptstilts.methods.host import Host, ModuleNames

SEQ: dict[str, Any] = {"kind": "bottleneck", "reduction": 4}
METHODS: list[Any] = ["full", SEQ]
SMALL: dict[str, Any] = {"methods": [SEQ], "intermediates": ["none"], "targets": ["xnli", "udpos"], "swap": "off"}


class Record(Listener):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.failures: dict[str, str] = {}
        self.counts: list[tuple[int, int]] = []

    def begin(self, phase: Phase, number: int, total: int) -> None:
        self.begun.append(phase.key)
        self.counts.append((number, total))

    def end(self, phase: Phase, seconds: float) -> None:
        assert seconds > 0
        self.ended.append(phase.key)

    def failed(self, phase: Phase, error: Exception) -> None:
        self.failures[phase.title] = str(error)


def study_of(tiny: Path, **changed: Any) -> study.Study:
    return study.parse(json.dumps({**STUDY, "model": str(tiny), **changed}))


def run(tiny: Path, data: Path, store: Path, **changed: Any) -> tuple[Plan, Outcome, Record]:
    workspace = Workspace(store, data)
    made, record = expand.expand(study_of(tiny, **changed), workspace), Record()
    return made, run_plan(made, workspace, record, device="cpu"), record


def damaged(store: Path) -> list[str]:
    return [f"{key}: {wrong}" for key, wrong in Store(store).verify() if wrong]


@pytest.fixture(scope="module")
def toy(tiny: Path, data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Outcome, Record, Path]:
    """The toy study with full and bottleneck, every swap, retrieval."""
    store = tmp_path_factory.mktemp("toy") / "store"
    return (*run(tiny, data_root, store, methods=METHODS), store)


@pytest.mark.slow
def test_every_phase_is_there_and_verifies(toy: tuple[Plan, Outcome, Record, Path]) -> None:
    made, outcome, record, folder = toy
    store = Store(folder)
    assert set(store.keys()) == set(made.phases) == set(outcome.done)
    assert damaged(folder) == []
    assert record.begun == record.ended == outcome.done == [phase.key for phase in made.order()]
    assert record.counts == [(i, len(made.phases)) for i in range(1, len(made.phases) + 1)]
    assert (outcome.skipped, outcome.failed, outcome.blocked) == ([], {}, {})
    for key, phase in made.phases.items():
        entry = store.entry(key)
        assert entry.spec == json.loads(json.dumps(phase.spec))
        assert entry.manifest["title"] == phase.title
        assert set(entry.manifest["env"]) >= {"versions", "threads", "device"}


@pytest.mark.slow
def test_parents_come_first(toy: tuple[Plan, Outcome, Record, Path]) -> None:
    made, outcome, _, _ = toy
    place = {key: i for i, key in enumerate(outcome.done)}
    assert all(place[parent] < place[key] for key, phase in made.phases.items() for parent in phase.parents)


@pytest.mark.slow
def test_every_cell_has_scores(toy: tuple[Plan, Outcome, Record, Path]) -> None:
    made, _, _, folder = toy
    store = Store(folder)
    assert len(made.cells) == (3 * 3 + 3) + (3 * 9 + 3)
    assert {cell.task for cell in made.cells} == {"xnli", "udpos", "xcopa", "tatoeba"}
    for cell in made.cells:
        scores = store.entry(cell.phase).json("scores.json")
        assert scores
        assert all(0 <= value <= 100 for score in scores.values() for value in score["values"].values())
        for key in cell.training:
            assert store.entry(key).json("result.json")["steps"] > 0


@pytest.mark.slow
def test_nothing_is_left_over(toy: tuple[Plan, Outcome, Record, Path]) -> None:
    folder = toy[3]
    for name in ("staging", "work", "leases", "quarantine"):
        assert not (folder / name).is_dir() or list((folder / name).iterdir()) == []
    assert [path for path in Store(folder).garbage() if "cache" not in path.parts] == []


@pytest.mark.slow
def test_second_run_does_nothing(toy: tuple[Plan, Outcome, Record, Path], tiny: Path, data_root: Path) -> None:
    made, _, _, folder = toy
    before = {path: path.stat().st_mtime_ns for path in (folder / "entries").rglob("*")}
    again, outcome, record = run(tiny, data_root, folder, methods=METHODS)
    assert again.phases.keys() == made.phases.keys()
    assert outcome.done == []
    assert set(outcome.skipped) == set(made.phases)
    assert record.begun == []
    assert {path: path.stat().st_mtime_ns for path in (folder / "entries").rglob("*")} == before


@pytest.mark.slow
def test_larger_study_computes_only_what_is_new(
    toy: tuple[Plan, Outcome, Record, Path], tiny: Path, data_root: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(toy[3], tmp_path / "store"))
    made, outcome, _ = run(tiny, data_root, folder, **{**SMALL, "targets": ["udpos"]}, seeds=[1, 2])
    new = {key for key, phase in made.phases.items() if "seed 2" in phase.title}
    assert set(outcome.done) == new
    assert len(new) == 2


@pytest.mark.slow
def test_damaged_entry_stops_the_run_and_the_next_one_mends_it(
    toy: tuple[Plan, Outcome, Record, Path], tiny: Path, data_root: Path, tmp_path: Path
) -> None:
    made, _, _, original = toy
    folder = Path(shutil.copytree(original, tmp_path / "store"))
    store = Store(folder)
    phase = next(p for p in made.order() if p.kind == "evaluate" and p.stack)
    path = store.entry_folder(phase.parents[0]) / "adapter" / "adapter_config.json"
    path.write_text(path.read_text(encoding="utf-8").replace("relu", "tanh"), encoding="utf-8")
    shutil.rmtree(store.entry_folder(phase.key))
    with pytest.raises(ArtifactError, match="quarantine") as caught:
        run(tiny, data_root, folder, methods=METHODS)
    assert caught.value.exit_code == 4
    assert len(list((folder / "quarantine").iterdir())) == 1
    _, outcome, _ = run(tiny, data_root, folder, methods=METHODS)
    assert set(outcome.done) == {phase.key, phase.parents[0]}
    assert damaged(folder) == []
    for key in outcome.done:
        there = Store(original).entry_folder(key)
        for name in store.entry(key).manifest["files"]:
            if name != "cost.json":
                assert (store.entry_folder(key) / name).read_bytes() == (there / name).read_bytes()


@pytest.fixture
def bad_tags(tmp_path: Path) -> Path:
    """A data root in which the training rows of udpos have a tag that does not exist."""
    root = make_data(tmp_path / "bad")
    rows = [{"tokens": ["the", "cat"], "pos_tags": [1, 99 if i == 7 else 2]} for i in range(20)]
    write_split(root, "google/xtreme", "udpos.English", "train", rows)
    return root


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run phases whose rows were not checked before, as those of a kind without a check are."""
    monkeypatch.setattr("adaptstilts.run.check_rows", lambda phases, workspace: [])


@pytest.mark.usefixtures("unchecked")
def test_independent_phases_go_on_after_a_failure(tiny: Path, bad_tags: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    workspace = Workspace(store, bad_tags)
    made, record = expand.expand(study_of(tiny, **{**SMALL, "targets": ["udpos", "xnli"]}), workspace), Record()
    expected = r"1 phase failed, 1 phase not run because of that, 2 finished.*row 7: pos_tags"
    with pytest.raises(PhasesFailed, match=expected) as told:
        run_plan(made, workspace, record, device="cpu")
    assert told.value.exit_code == 7
    tagging = [phase for phase in made.order() if phase.task == "udpos"]
    assert {phase.key for phase in made.order()} - set(record.ended) == {phase.key for phase in tagging}
    failed, blocked = tagging
    assert "row 7" in record.failures[failed.title]
    assert record.failures[blocked.title] == f"not run, because this failed: {failed.title}"
    assert damaged(store) == []
    assert set(Store(store).keys()) == set(record.ended)
    again = Record()
    with pytest.raises(DataError, match="row 7"):
        run_plan(made, Workspace(store, bad_tags), again, device="cpu")
    assert again.begun == [failed.key]


def test_only_failure_is_raised_as_it_is(tiny: Path, bad_tags: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="row 7") as caught:
        run(tiny, bad_tags, tmp_path / "store", **{**SMALL, "targets": ["udpos"]})
    assert caught.value.exit_code == 3
    assert Store(tmp_path / "store").keys() == []


def test_diverged_phase_does_not_stop_the_others(tiny: Path, data_root: Path, tmp_path: Path) -> None:
    targets = [{"task": "xnli", "train": {"lr": 1e30, "warmup": 0.0}}, "udpos"]
    with pytest.raises(PhasesFailed, match="loss"):
        run(tiny, data_root, tmp_path / "store", **{**SMALL, "targets": targets})
    assert len(Store(tmp_path / "store").keys()) == 2
    assert damaged(tmp_path / "store") == []


DRIVER = """
import json, sys
from adaptstilts import study as config
from adaptstilts.plan import expand as plan
from adaptstilts.run import run_plan
from adaptstilts.workspace import Workspace
study, data, store = sys.argv[1:]
workspace = Workspace(store, data)
made = plan.expand(config.load(study), workspace)
outcome = run_plan(made, workspace, device="cpu")
print(json.dumps({"done": outcome.done, "skipped": outcome.skipped, "all": list(made.phases)}))
"""


@pytest.mark.slow
def test_two_runs_at_the_same_time(study_file: Callable[..., Path], data_root: Path, tmp_path: Path) -> None:
    path = study_file(**{**SMALL, "intermediates": ["none", "mnli"], "swap": "all"})
    command = [sys.executable, "-c", DRIVER, str(path), str(data_root), str(tmp_path / "store")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) for _ in range(2)]
    found = [json.loads(process.communicate(timeout=300)[0]) for process in running]
    assert [process.returncode for process in running] == [0, 0]
    one, two = (set(outcome["done"]) for outcome in found)
    assert not one & two
    assert one | two == set(found[0]["all"]) == set(Store(tmp_path / "store").keys())
    for outcome in found:
        assert not set(outcome["done"]) & set(outcome["skipped"])
    assert damaged(tmp_path / "store") == []
    for name in ("staging", "work", "leases"):
        assert list((tmp_path / "store" / name).glob("*")) == []


# A task and a method from outside the package.


class Offset(nn.Module):
    """A learned vector."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.vector = nn.Parameter(0.1 * torch.randn(hidden))


class Offsets(AdapterMethod):
    """Adds one learned vector to the output of every layer."""

    kind: Literal["offsets"] = "offsets"
    leave_out: tuple[int, ...] = Field((), strict=False)
    backend: ClassVar[str] = "outside"
    default_lr: ClassVar[float] = 1e-2

    def trainable(self, shape: Mapping[str, int]) -> int:
        return len(self.layers(shape["layers"])) * shape["hidden"]

    def prepare(self, host: Host) -> None:
        for layer in host.layers:
            layer.output.offsets = nn.ModuleDict()
            layer.output.acting = []
            layer.output.register_forward_hook(
                lambda module, _, output: output + sum((module.offsets[n].vector for n in module.acting), 0.0)
            )

    def add(self, host: Host, name: str) -> None:
        for i in self.layers(host.depth):
            host.layers[i].output.offsets[name] = Offset(host.hidden)

    def activate(self, host: Host, names: Sequence[str]) -> None:
        for layer in host.layers:
            layer.output.acting = [name for name in names if name in layer.output.offsets]

    def remove(self, host: Host, name: str) -> None:
        for layer in host.layers:
            if name in layer.output.offsets:
                del layer.output.offsets[name]

    def tensors(self, host: Host, name: str) -> dict[str, nn.Parameter]:
        return {k.replace(f".{name}.", "."): v for k, v in host.model.named_parameters() if f".offsets.{name}." in k}

    def attached_layers(self, host: Host, name: str) -> set[int]:
        return {i for i, layer in enumerate(host.layers) if name in layer.output.offsets}

    def active(self, host: Host, names: Sequence[str]) -> tuple[str, ...]:
        for layer in host.layers:
            if layer.output.acting != [name for name in names if name in layer.output.offsets]:
                return tuple(layer.output.acting)
        return tuple(names)

    def save(self, host: Host, name: str, folder: Path) -> None:
        from safetensors.torch import save_file

        folder.mkdir(parents=True)
        save_file({k: v.detach() for k, v in self.tensors(host, name).items()}, folder / "adapter.safetensors")
        (folder / "adapter_config.json").write_text(json.dumps(self.identity()), encoding="utf-8")

    @classmethod
    def read_config(cls, folder: Path, depth: int, names: ModuleNames) -> Offsets:
        return cls.model_validate(read_json(folder / "adapter_config.json"))


@pytest.mark.slow
def test_task_and_method_from_outside(
    tiny: Path, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks.REGISTRY, "_added", {})
    monkeypatch.setattr(methods.REGISTRY, "_added", {})
    data = Path(shutil.copytree(data_root, tmp_path / "hub"))
    words = {"up": "sun bird tree", "down": "river stone house"}
    for split in ("train", "validation", "test"):
        for code in ("en", "de"):
            rows = [{"text": words[label], "mood": label} for label in ("up", "down")] * 12
            write_split(data, "someone/moods", code, split, rows)
    moods = Task(
        name="moods",
        kind="classification",
        languages=("en", "de"),
        columns={"text_a": "text", "label": "mood"},
        labels=("up", "down"),
        train=Source("someone/moods", "en", "train"),
        dev=Source("someone/moods", "{code}", "validation"),
        test=Source("someone/moods", "{code}", "test"),
        intermediate=True,
    )
    with pytest.raises(Exception, match="unknown task 'moods'"):
        study_of(tiny, targets=["moods"])
    tasks.add(moods)
    methods.add(Offsets)
    changed = {
        "targets": ["moods", "tatoeba"],
        "intermediates": ["none", {"task": "mnli", "train": {"max_steps": 8}}],
        "methods": ["offsets", {"kind": "offsets", "leave_out": [0]}],
        "train": {**STUDY["train"], "epochs": 30, "lr": 0.02, "precision": "fp32"},
    }
    made, outcome, _ = run(tiny, data, tmp_path / "store", **changed)
    assert set(outcome.done) == set(made.phases)
    assert damaged(tmp_path / "store") == []
    store = Store(tmp_path / "store")
    cells = [cell for cell in made.cells if cell.task == "moods"]
    assert len(cells) == 2 * 4
    assert {cell.swapped for cell in cells} == {True, False}
    for cell in cells:
        scores = store.entry(cell.phase).json("scores.json")
        assert set(scores) == {"en", "de"}
        if not cell.swapped:
            assert scores["de"]["values"]["accuracy"] > 75
    trained = [store.entry(cell.training[-1]) for cell in cells]
    assert {entry.json("result.json")["trainable"] for entry in trained} == {4 * 32, 3 * 32}
    _, again, _ = run(tiny, data, tmp_path / "store", **changed)
    assert again.done == []
