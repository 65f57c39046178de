"""Mixtures of tasks and masked text beside a task: whose step it is, what is trained, and the same bits again."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from safetensors.torch import load_file
from support.inputs import STUDY, write_split

from adaptstilts import study as config
from adaptstilts.errors import ConfigError, Interrupted
from adaptstilts.phases.streams import open_streams, shares, turns
from adaptstilts.plan import expand
from adaptstilts.plan.expand import Plan
from adaptstilts.plan.phases import TrainPhase
from adaptstilts.reports import records as scores
from adaptstilts.run import perform, run_plan
from adaptstilts.runtime.context import Runtime
from adaptstilts.store.entries import Entry
from adaptstilts.study import Mixture
from adaptstilts.workspace import Workspace

MULTI: dict[str, Any] = {"task": "multi", "mixture": {"tasks": ["mnli", "squad", "social_i_qa"], "cap": 32}}
TEXT = {"repo": "mine/text", "config": "default", "split": "train"}
MASKED: dict[str, Any] = {"task": "mnli", "masked": {"ratio": 0.25, "text": [TEXT], "column": "text"}}


@pytest.fixture
def workspace(data_root: Path, tmp_path: Path) -> Workspace:
    write_split(data_root, "mine/text", "default", "train", [{"text": "the old dog sees a red bird ."}] * 40)
    return Workspace(tmp_path / "store", data_root)


def planned(tiny: Path, workspace: Workspace, *parts: Any, **changed: Any) -> Plan:
    method: dict[str, Any] = {"kind": "bottleneck", "reduction": 4}
    study = {
        "name": "t",
        "model": str(tiny),
        "methods": [method],
        "intermediates": list(parts),
        "targets": ["xnli", "tatoeba"],
        "missing": "skip",
        "retrieve": STUDY["retrieve"],
        "train": {**STUDY["train"], "precision": "fp32", "max_steps": None, "epochs": 2, "batch_size": 8},
        **changed,
    }
    return expand.expand(config.parse(json.dumps(study)), workspace)


def first(found: Plan, task: str) -> TrainPhase:
    return next(p for p in found.order() if isinstance(p, TrainPhase) and p.task == task)


def runtime(workspace: Workspace, found: Plan, **options: Any) -> Runtime:
    return Runtime(workspace, found.model, device="cpu", **options)


def done(workspace: Workspace, found: Plan, phase: TrainPhase, **options: Any) -> Entry:
    own = runtime(workspace, found, **options)
    perform(phase, own)
    return workspace.store.entry(phase.key)


def test_shares() -> None:
    """Proportional to capped sizes, to their roots, or equal."""
    capped = Mixture(tasks=("a", "b"))
    assert capped.cap == 2**17
    assert shares([100, 300], capped) == [0.25, 0.75]
    assert shares([100, 300], Mixture(tasks=("a", "b"), sampling="uniform")) == [0.5, 0.5]
    rooted = shares([100, 400], Mixture(tasks=("a", "b"), sampling="temperature", temperature=2.0))
    assert rooted == pytest.approx([1 / 3, 2 / 3])


def test_a_mixture_has_the_batches_of_its_tasks(tiny: Path, workspace: Workspace) -> None:
    found = planned(tiny, workspace, MULTI)
    phase = first(found, "multi")
    own = open_streams(phase, runtime(workspace, found))
    assert [stream.name for stream in own] == ["mnli", "squad", "social_i_qa"]
    sizes = [min(len(stream.features.items), 32) for stream in own]
    order = turns(own, phase)
    assert len(order) == 2 * sum(-(-size // 8) for size in sizes)
    counts = Counter(number for number, _ in order)
    for number in counts:
        assert [turn for n, turn in order if n == number] == list(range(counts[number]))
    assert turns(own, phase) == order


@pytest.mark.parametrize("part", [MULTI, "mnli"])
def test_an_exact_number_of_steps(part: Any, tiny: Path, workspace: Workspace) -> None:
    """However few rows there are: they are read again."""
    found = planned(tiny, workspace, part, train={**STUDY["train"], "max_steps": None, "steps": 200, "batch_size": 8})
    phase = first(found, "multi" if part == MULTI else "mnli")
    own = open_streams(phase, runtime(workspace, found))
    order = turns(own, phase)
    assert len(order) == 200 > 2 * sum(stream.per_epoch for stream in own)
    assert len(own[0].rows(order[-1][1])) > 0


def test_many_turns_are_drawn_by_the_shares(tiny: Path, workspace: Workspace) -> None:
    found = planned(tiny, workspace, MULTI, train={**STUDY["train"], "epochs": 400, "max_steps": None, "batch_size": 8})
    phase = first(found, "multi")
    own = open_streams(phase, runtime(workspace, found))
    sizes = [min(len(stream.features.items), 32) for stream in own]
    order = turns(own, phase)
    counts = Counter(number for number, _ in order)
    for number, share in enumerate(shares(sizes, phase.mixture or Mixture(tasks=("", "")))):
        assert counts[number] / len(order) == pytest.approx(share, abs=0.05)


def test_masked_text_takes_steps_of_its_own(tiny: Path, workspace: Workspace) -> None:
    found = planned(tiny, workspace, MASKED, train={**STUDY["train"], "epochs": 40, "max_steps": None, "batch_size": 8})
    phase = first(found, "mnli+masked")
    own = open_streams(phase, runtime(workspace, found))
    order = turns(own, phase)
    tasked = 40 * own[0].per_epoch
    assert len(order) == round(tasked / 0.75)
    counts = Counter(number for number, _ in order)
    assert counts[1] / len(order) == pytest.approx(0.25, abs=0.05)
    assert own[1].dev_features is None


def test_a_task_beside_masked_text_is_not_capped(tiny: Path, workspace: Workspace) -> None:
    """The cap is a mixture's: a task of any size keeps as many steps as it has without the text."""
    phase = first(planned(tiny, workspace, MASKED), "mnli+masked")

    def stream(is_text: bool) -> Any:
        features = SimpleNamespace(items=range(300_000))
        settings = SimpleNamespace(batch_size=1000)
        return SimpleNamespace(is_text=is_text, settings=settings, features=features, per_epoch=300)

    assert len(turns([stream(is_text=False), stream(is_text=True)], phase)) == round(2 * 300 / 0.75)


@pytest.mark.slow
def test_an_entry_of_a_mixture(tiny: Path, workspace: Workspace) -> None:
    """A head for each task, realised steps, dev scores under the tasks' names."""
    found = planned(tiny, workspace, MULTI)
    entry = done(workspace, found, first(found, "multi"))
    result = entry.json("result.json")
    assert sum(own["steps"] for own in result["streams"].values()) == result["steps"]
    assert {name.partition(".")[0] for name in result["dev"]} == {"mnli", "squad", "social_i_qa"}
    assert sorted(path.name for path in (entry.folder / "heads").iterdir()) == ["mnli", "social_i_qa", "squad"]
    assert not (entry.folder / "head").exists()
    log = [json.loads(line) for line in (entry.folder / "log.jsonl").read_text().splitlines()]
    steps = Counter(line["task"] for line in log if "loss" in line)
    assert steps == {name: own["steps"] for name, own in result["streams"].items() if own["steps"]}


@pytest.mark.slow
def test_masked_text_trains_and_its_task_keeps_the_head(tiny: Path, workspace: Workspace) -> None:
    found = planned(tiny, workspace, MASKED)
    entry = done(workspace, found, first(found, "mnli+masked"))
    assert (entry.folder / "head" / "head.safetensors").is_file()
    assert (entry.folder / "heads" / "masked" / "head.safetensors").is_file()
    assert entry.json("result.json")["streams"]["masked"]["examples"] == 40


@pytest.mark.slow
@pytest.mark.parametrize("part", [MULTI, MASKED], ids=["mixture", "masked"])
def test_the_same_bits_after_an_interruption(tiny: Path, data_root: Path, tmp_path: Path, part: Any) -> None:
    write_split(data_root, "mine/text", "default", "train", [{"text": "the old dog sees a red bird ."}] * 40)
    weights = []
    for name, after in (("a", 10**9), ("b", 4)):
        workspace = Workspace(tmp_path / name, data_root)
        found = planned(tiny, workspace, part)
        phase = next(p for p in found.order() if isinstance(p, TrainPhase))
        asked = iter(range(10**6))
        if after < 10**9:
            with pytest.raises(Interrupted):
                done(workspace, found, phase, stop=lambda asked=asked, after=after: next(asked) == after)
        entry = done(workspace, found, phase)
        weights.append({str(p.relative_to(entry.folder)): load_file(p) for p in entry.folder.rglob("*.safetensors")})
    assert weights[0].keys() == weights[1].keys()
    for name, tensors in weights[0].items():
        assert all(tensor.equal(weights[1][name][key]) for key, tensor in tensors.items()), name


@pytest.mark.slow
def test_a_study_over_mixtures(tiny: Path, workspace: Workspace) -> None:
    found = planned(tiny, workspace, "none", MULTI, MASKED, languages=["en", "de"], swap="all")
    run_plan(found, workspace)
    records = scores.records(found, workspace.store)
    assert all(record.complete for record in records)
    assert {record.trained_on for record in records} == {"none", "multi", "mnli+masked"}
    assert any(record.over == "multi" != record.trained_on for record in records)


def test_plain_phases_keep_their_keys(tiny: Path, workspace: Workspace) -> None:
    """A task alone says nothing of streams."""
    phase = first(planned(tiny, workspace, "mnli"), "mnli")
    assert not {"streams", "mixture", "masked"} & set(phase.spec)


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ({"task": "mnli", "mixture": {"tasks": ["mnli", "squad"]}}, "mnli is a task; give the mixture a name"),
        ({"task": "m", "mixture": {"tasks": ["mnli", "mnli"]}}, "has the same task twice"),
        ({"task": "m", "mixture": {"tasks": ["mnli"]}}, "needs 2 members or more"),
        ({"task": "m", "mixture": {"tasks": ["mnli", "none"]}}, "none is not a task to mix"),
        ({"task": "m", "mixture": {"tasks": ["mnli", "tatoeba"]}}, "cannot be an intermediate task"),
        ({"task": "m", "mixture": {"tasks": ["mnli", "sqad"]}}, "did you mean squad"),
        ({"task": "none", "masked": {"text": [TEXT]}}, "only an intermediate task can have it"),
        ({"task": "mnli", "masked": {"ratio": 1.5, "text": [TEXT]}}, "less than 1"),
        ({"task": "mnli", "evaluate": {"split": "dev"}}, "only a target can have it"),
    ],
)
def test_what_cannot_be_meant(part: Any, told: str) -> None:
    study = {"name": "t", "model": "m", "methods": ["full"], "targets": ["xnli"], "intermediates": [part]}
    with pytest.raises(ConfigError, match=told):
        config.parse(json.dumps(study))


def test_a_target_cannot_be_a_mixture() -> None:
    study = {"name": "t", "model": "m", "methods": ["full"], "targets": [MULTI]}
    with pytest.raises(ConfigError, match="only an intermediate task can have it"):
        config.parse(json.dumps(study))
