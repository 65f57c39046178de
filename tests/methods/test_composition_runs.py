"""Compositions and language adapters that are really run: what starts, what trains, what is evaluated, and resuming."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.inputs import STUDY, make_data, write_split

from adaptstilts import study as config
from adaptstilts.errors import Interrupted
from adaptstilts.methods import fusion
from adaptstilts.models.encoder import Encoder
from adaptstilts.phases.train import Trainer
from adaptstilts.plan import expand
from adaptstilts.plan.expand import Plan
from adaptstilts.plan.phases import EvaluatePhase, Phase, TrainPhase
from adaptstilts.reports import tables
from adaptstilts.reports.records import Record, records
from adaptstilts.run import perform, run_plan
from adaptstilts.runtime.context import Runtime
from adaptstilts.runtime.loop import Loop
from adaptstilts.store.entries import Entry
from adaptstilts.store.store import Store
from adaptstilts.study import Study
from adaptstilts.workspace import Workspace

SEQ: dict[str, Any] = {"kind": "bottleneck", "reduction": 4}
ON = {**SEQ, "language_adapters": True}
KINDS = ["stack", "continue", "fuse", "merge", "merge_then_stack", "none"]
BUDGET = {**STUDY["train"], "precision": "fp32", "max_steps": 4, "epochs": 2, "eval_every": 2}
SENTENCES = {"en": "the old dog sees a red bird", "de": "a good house of stone not a tree"}


@pytest.fixture(scope="session")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy data with text in two languages."""
    root = make_data(tmp_path_factory.mktemp("runs"))
    for code, text in SENTENCES.items():
        write_split(root, "local/lines", code, "train", [{"text": text}] * 40)
    return root


class Bench:
    """Plans of one target, and their phases performed in one store."""

    def __init__(self, model: str, data: Path, store: Path) -> None:
        self.name, self.workspace = model, Workspace(store, data)

    def study(self, **changed: Any) -> Study:
        text = {code: [{"repo": "local/lines", "config": code}] for code in SENTENCES}
        held = {
            "name": "runs",
            "model": self.name,
            "intermediates": ["mnli", "squad"],
            "targets": ["udpos"],
            "languages": ["en", "de"],
            "methods": [SEQ],
            "train": BUDGET,
            **changed,
        }
        if any("language_adapters" in arm for arm in held["methods"]):
            held.setdefault("language_adapters", {"text": text})
        return config.parse(json.dumps(held))

    def plan(self, **changed: Any) -> Plan:
        return expand.expand(self.study(**changed), self.workspace)

    def runtime(self, **options: Any) -> Runtime:
        return Runtime(self.workspace, self.workspace.model(self.study()), device="cpu", **options)

    def perform(self, phase: Phase, **options: Any) -> Entry:
        runtime = self.runtime(**options)
        perform(phase, runtime)
        return self.workspace.store.entry(phase.key)

    def until(self, made: Plan, task: str) -> TrainPhase:
        """Perform everything that a task's training phase stands on."""
        for phase in made.order():
            if isinstance(phase, TrainPhase) and phase.task == task:
                return phase
            if not self.workspace.store.has(phase.key):
                self.perform(phase)
        raise AssertionError(f"no phase trains {task}")

    def trainer(self, phase: TrainPhase) -> Trainer:
        return Trainer(phase, self.runtime())


@pytest.fixture
def bench(tiny: Path, lines: Path, tmp_path: Path) -> Bench:
    return Bench(str(tiny), lines, tmp_path / "store")


def content(entry: Entry) -> dict[str, bytes]:
    return {name: (entry.folder / name).read_bytes() for name in entry.manifest["files"] if name != "cost.json"}


def stop_after(n: int) -> Callable[[], bool]:
    asked = iter(range(1, 10_000))
    return lambda: next(asked) >= n


def weights(entry: Entry, name: str = "adapter/adapter.safetensors") -> dict[str, torch.Tensor]:
    return load_file(entry.folder / name)


@pytest.mark.parametrize(
    "method",
    [SEQ, *(pytest.param(one, marks=pytest.mark.slow) for one in ({"kind": "lora", "rank": 2}, "ia3", "bitfit"))],
    ids=str,
)
def test_continue_starts_from_the_weights_and_not_the_head(bench: Bench, method: Any) -> None:
    made = bench.plan(methods=[method], compositions=["continue"], intermediates=["mnli"], targets=["xnli"])
    phase = bench.until(made, "xnli")
    assert phase.start is not None
    before = bench.workspace.store.entry(phase.start)
    trainer = bench.trainer(phase)
    kept = next(before.folder.glob("adapter/*.safetensors"))
    expected, found = list(load_file(kept).values()), list(trainer.encoder.parameters().values())
    assert len(expected) == len(found)
    for value in found:
        assert any(value.shape == other.shape and torch.equal(value, other) for other in expected)
    head = load_file(before.folder / "head" / "head.safetensors")
    own = trainer.streams[0].head.state_dict()
    assert any(not torch.equal(own[key], value) for key, value in head.items())
    assert trainer.encoder.acting == ("adapter",)


def test_fusion_trains_only_itself_with_the_penalty(bench: Bench) -> None:
    phase = bench.until(bench.plan(compositions=["fuse"]), "udpos")
    trainer = bench.trainer(phase)
    place = tuple(f"entry_{key[:16]}" for key in phase.fuse)
    trunk = {key for key in trainer.parameters if key.startswith("trunk.")}
    assert trunk == {f"trunk.{key}" for key in trainer.encoder.parameters()}
    assert all(".adapter_fusion_layer." in key for key in trunk)
    assert len(trunk) == 4 * 5
    with torch.no_grad():
        for value in fusion.value_matrices(trainer.encoder.delta(place)):
            value.add_(0.3)
    trainer.encoder.trunk.eval()
    trainer.streams[0].head.eval()
    trainer.batch_gradients(*trainer.batch(0))
    held = {key: value.grad.clone() for key, value in trainer.parameters.items() if value.grad is not None}
    trainer.optimizer.zero_grad(set_to_none=True)
    trainer.fusion_values = []  # the same step without the penalty
    trainer.batch_gradients(*trainer.batch(0))
    for key, value in trainer.parameters.items():
        assert value.grad is not None
        more = 0.02 * (value.detach() - torch.eye(32)) if key.endswith(".value.weight") else 0.0
        assert torch.allclose(held[key], value.grad + more, atol=1e-6), key


@pytest.mark.slow
def test_what_is_fused_stays_as_it_is(bench: Bench) -> None:
    phase = bench.until(bench.plan(compositions=["fuse"]), "udpos")
    entry = bench.perform(phase)
    assert {name.split("/")[0] for name in entry.manifest["files"]} >= {"fusion", "head"}
    assert not any(name.startswith("adapter/") for name in entry.manifest["files"])
    found = weights(entry, "fusion/adapter_fusion.safetensors")
    moved = [value for key, value in found.items() if key.endswith("value.weight")]
    assert len(moved) == 4
    assert all(not torch.equal(value, torch.eye(32)) and (value - torch.eye(32)).abs().max() < 0.1 for value in moved)
    assert entry.json("result.json")["trainable"] == phase.trainable(bench.plan().model.shape)


PHASES = {
    "fuse": ({"compositions": ["fuse"]}, "udpos"),
    "continue": ({"compositions": ["continue"], "intermediates": ["mnli"]}, "udpos"),
    "chain": ({"intermediates": [{"task": "x", "chain": {"tasks": ["mnli", "squad"]}}]}, "squad"),
    "language": ({"methods": [ON]}, "language-en"),
    "fuse on language": ({"methods": [ON], "compositions": ["fuse"]}, "udpos"),
    "language of a base with a head": ({"methods": [ON], "model": "builtin:nano"}, "language-de"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PHASES)
def test_continuing_gives_the_same_bits(tiny: Path, lines: Path, tmp_path: Path, name: str) -> None:
    changed, task = PHASES[name]
    changed = dict(changed)
    model = changed.pop("model", str(tiny))
    whole = Bench(model, lines, tmp_path / "whole")
    phase = whole.until(whole.plan(**changed), task)
    shutil.copytree(tmp_path / "whole", tmp_path / "parts", dirs_exist_ok=True)
    parts = Bench(model, lines, tmp_path / "parts")
    expected = content(whole.perform(phase))
    for n in (1, 2):
        with pytest.raises(Interrupted, match="checkpoint written"):
            parts.perform(phase, stop=stop_after(n))
    assert content(parts.perform(phase)) == expected
    assert json.loads(expected["result.json"])["steps"] == 4


def test_a_language_adapter_trains_alone_under_the_bases_own_head(lines: Path, tmp_path: Path) -> None:
    """The last weights are kept: there is nothing to select on."""
    bench = Bench("builtin:nano", lines, tmp_path / "store")
    phase = bench.until(bench.plan(methods=[ON]), "language-en")
    trainer = bench.trainer(phase)
    assert all(key.startswith("trunk.") for key in trainer.parameters)
    assert any("invertible_adapters." in key for key in trainer.parameters)
    head = {key: value.clone() for key, value in trainer.streams[0].head.state_dict().items()}
    pretrained = Encoder(bench.runtime().model.folder).language_model_weights()
    assert all(torch.equal(value, pretrained[key]) for key, value in head.items())
    loop = Loop(trainer)
    for _ in range(4):
        loop.step()
    assert all(torch.equal(value, head[key]) for key, value in trainer.streams[0].head.state_dict().items())
    assert all(value.grad is None for value in trainer.streams[0].head.parameters())
    result = bench.perform(phase)
    assert (result.json("result.json")["best_step"], result.json("result.json")["dev"]) == (4, {})
    assert result.json("result.json")["head"] == 0
    saved = {key.replace(".language-en.", ".x."): value for key, value in weights(result).items()}
    now = {key.removeprefix("trunk.").replace(".language-en.", ".x."): v for key, v in trainer.parameters.items()}
    assert saved.keys() == now.keys()
    assert all(torch.equal(value, now[key]) for key, value in saved.items())


def test_the_language_models_states_go_through_the_inverse(lines: Path, tmp_path: Path) -> None:
    bench = Bench("builtin:nano", lines, tmp_path / "store")
    trainer = bench.trainer(bench.until(bench.plan(methods=[ON]), "language-en"))
    encoder, stream = trainer.encoder, trainer.streams[0]
    with torch.no_grad():
        for value in encoder.parameters().values():
            value.add_(0.1 * torch.randn(value.shape))
    states = torch.randn(2, 3, encoder.hidden)
    changed = encoder.trunk.invertible_adapters_forward(states)
    assert not torch.allclose(changed, states, atol=1e-2)
    assert torch.allclose(stream.head_states(encoder, changed), states, atol=1e-4)
    trainer.batch_gradients(*trainer.batch(0))
    inverse = [value.grad for key, value in trainer.parameters.items() if "invertible_adapters" in key]
    assert all(grad is not None and grad.abs().sum() > 0 for grad in inverse)


@pytest.mark.slow
def test_each_language_is_evaluated_over_its_own_adapter(bench: Bench) -> None:
    made = bench.plan(methods=[ON], intermediates=["mnli"])
    (phase,) = [phase for phase in made.order() if isinstance(phase, EvaluatePhase)]
    for other in made.order():
        bench.perform(other)
    before = bench.workspace.store.entry(phase.key)
    store = bench.workspace.store
    for code in ("en", "de"):
        key = phase.below[code]
        other = Bench(bench.name, bench.workspace.sources.root or Path(), store.folder.parent / f"other-{code}")
        shutil.copytree(store.folder, other.workspace.store.folder)
        shutil.rmtree(other.workspace.store.entry_folder(phase.key))
        change(other.workspace.store, key)
        after = other.perform(phase)
        for language in ("en", "de"):
            name = f"predictions/{language}.json"
            assert (before.json(name) != after.json(name)) == (language == code)


def change(store: Store, key: str) -> None:
    """Move an adapter's weights far, and seal its entry again under the same key."""
    entry = store.entry(key)
    path = entry.folder / "adapter" / "adapter.safetensors"
    held = {name: value + 0.5 * torch.randn(value.shape) for name, value in load_file(path).items()}
    manifest = dict(entry.manifest)
    with store.stage(key) as staging:
        shutil.copytree(entry.folder, staging, dirs_exist_ok=True)
        (staging / "manifest.json").unlink()
        save_file(held, staging / "adapter" / "adapter.safetensors", metadata={"format": "pt"})
        shutil.rmtree(entry.folder)
        store._verified.clear()
        store.commit(key, manifest["spec"], staging)


SOUP = {"task": "soup", "merge": {"of": ["mnli", "squad"], "weights": [1.0, -0.5], "leave_out": [0]}, "swap_only": True}
CHAINS = [
    {"task": "seq", "chain": {"tasks": ["mnli", "squad"]}},
    {"task": "two", "chain": {"tasks": ["mnli", "squad"], "composition": "stack"}},
]
HELD: list[Any] = [
    "stack",
    {"kind": "continue", "of": ["mnli", "two"]},
    {"kind": "fuse", "of": ["mnli", "squad"]},
    {"kind": "merge", "of": ["mnli"]},
    {"kind": "merge_then_stack", "of": ["mnli", "squad"]},
]


@pytest.mark.slow
def test_a_study_of_everything(bench: Bench) -> None:
    made = bench.plan(
        intermediates=["none", "mnli", "squad", *CHAINS, SOUP],
        methods=[ON, SEQ, {"kind": "lora", "rank": 2, "compositions": [*HELD[:2], *HELD[3:], "none"]}],
        compositions=HELD,
        swap="all",
        train={**BUDGET, "max_steps": 2},
    )
    run_plan(made, bench.workspace, device="cpu")
    store = bench.workspace.store
    assert made.missing(store) == []
    found = records(made, store)
    assert all(record.complete and record.mean is not None for record in found)
    text = tables.render(found, "md")
    check_tables(text, found)
    check_costs(made, store, found)
    check_csv(tables.render(found, "csv"), found)
    for phase in made.phases.values():
        if isinstance(phase, TrainPhase):
            assert store.entry(phase.key).json("result.json")["trainable"] == phase.trainable(made.model.shape)
    assert run_plan(made, bench.workspace, device="cpu").done == []


def check_costs(made: Plan, store: Store, found: list[Record]) -> None:
    """What a merge is of counts as well as what is under a target."""
    spent = {
        p.key: store.entry(p.key).json("cost.json")["seconds"] for p in made.phases.values() if p.kind != "evaluate"
    }
    first = next(key for key, phase in made.phases.items() if phase.title == "train mnli (lora rank=2), seed 1")
    lora = {r.trained_on: r for r in found if r.method == "lora rank=2" and r.over == r.trained_on}
    assert lora["none"].intermediate_seconds == 0
    assert lora["mnli"].intermediate_seconds == pytest.approx(spent[first])
    assert lora["mnli (continue)"].intermediate_seconds == pytest.approx(spent[first])
    (merged,) = [p.key for p in made.phases.values() if p.title == "merge mnli (merge) (lora rank=2)"]
    assert lora["mnli (merge)"].intermediate_seconds == pytest.approx(spent[first])
    assert spent[merged] > 0


def check_tables(text: str, found: list[Record]) -> None:
    """One table of pairs and one swap matrix for each method, with everything that is trained or swapped in."""
    names = ["none", "mnli", "squad", "seq", "two", "mnli (continue)", "two (continue)", "mnli+squad (fuse)"]
    names += ["mnli (merge)", "mnli+squad (merge_then_stack)"]
    for method in ("bottleneck reduction=4", "bottleneck reduction=4 on language adapters"):
        own = [r for r in found if r.method == method and r.over == r.trained_on]
        assert [r.trained_on for r in own] == names
        assert all(set(r.vs_others) == {*names} - {r.trained_on} for r in own)
        one, other = own[1], own[5]
        assert one.vs_others[other.trained_on].value == pytest.approx(one.mean - other.mean)
        pairs = text.split(f"### compositions under udpos ({method})")[1].split("###")[0]
        rows = [line.split("|")[1].strip() for line in pairs.splitlines() if line.startswith("|")]
        assert rows[2:] == names
        swaps = text.split(f"### swap of intermediate adapters under udpos ({method})")[1].split("###")[0]
        cells = [[part.strip() for part in line.split("|")[1:-1]] for line in swaps.splitlines() if line[:1] == "|"]
        assert set(cells[0]) == {"trained on", *names[:5], "soup", names[-1]}
        assert [row[0] for row in cells[2:]] == [*names[:5], names[-1]]
        column = cells[0].index("soup")
        assert all(row[column][:1].isdigit() for row in cells[2:])


def check_csv(text: str, found: list[Record]) -> None:
    header, *rows = [line.split(",") for line in text.splitlines()]
    at = header.index("composition")
    assert header[:5] == ["task", "method", "composition", "trained_on", "over"]
    assert [row[at] for row in rows] == [record.composition for record in found]
    assert {row[at] for row in rows} == {*KINDS}
