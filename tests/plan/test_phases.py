"""Phases are read back from their specs exactly, and kinds of phases are an open set."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from support.shipped import GOLDEN, phases_of

from adaptstilts import study
from adaptstilts.errors import ArtifactError, ConfigError
from adaptstilts.plan import phases
from adaptstilts.plan.expand import Plan, expand
from adaptstilts.plan.phases import EvaluatePhase, Phase, RetrievePhase, TrainPhase, parse
from adaptstilts.run import run_plan
from adaptstilts.runtime.context import Runtime
from adaptstilts.store.entries import parents
from adaptstilts.study import Retrieve
from adaptstilts.workspace import Workspace

EARLIER = Path(__file__).resolve().parents[1] / "store" / "earlier" / "store"
MANIFESTS = sorted(EARLIER.rglob("manifest.json"))


def read_back(phase: Phase) -> Phase:
    """Read a phase from its spec as a manifest has it."""
    return parse(json.loads(json.dumps(phase.spec)))


@pytest.mark.slow
@pytest.mark.parametrize("case", GOLDEN)
def test_every_shipped_phase_is_read_back(case: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    for phase in phases_of(case, tmp_path, request):
        again = read_back(phase)
        assert type(again) is type(phase)
        assert again.spec == phase.spec
        assert again.key == phase.key
        assert again.parents == phase.parents


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.parent.name[:12])
def test_every_entry_of_an_earlier_store_is_read_back(manifest: Path) -> None:
    written = json.loads(manifest.read_text(encoding="utf-8"))
    phase = parse(written["spec"])
    assert phase.spec == written["spec"]
    assert phase.key == written["key"]
    assert phase.parents == parents(written["spec"])


def test_there_are_entries_of_an_earlier_store() -> None:
    assert len(MANIFESTS) == 29


def spec_of(kind: str) -> dict[str, Any]:
    """Return the spec of one entry of the earlier store."""
    specs = (json.loads(path.read_text(encoding="utf-8"))["spec"] for path in MANIFESTS)
    return next(spec for spec in specs if spec["kind"] == kind)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "dream"}, "unknown kind of phase 'dream'"),
        ({"kind": "trian"}, "did you mean train"),
        ({"kind": None}, "unknown kind of phase"),
        ({"version": 2}, "a train phase of version 2; this package reads version 1"),
        ({"colour": "red"}, "unknown field colour"),
        ({"seed": None}, "seed is missing"),
        ({"seed": "1"}, "seed: expected a value of type int, found '1'"),
        ({"seed": True}, "seed: expected a value of type int, found True"),
        ({"stack": "abc"}, "stack: expected a list, found 'abc'"),
        ({"data": []}, "data: expected a mapping"),
        ({"model": {"architecture": "x"}}, "shape is missing"),
        ({"method": {"kind": "dream"}}, "unknown method 'dream'"),
        ({"method": {"kind": "lora", "rank": "x"}}, "rank"),
        ({"method": "lora"}, "expected a method"),
        ({"train": {"epohcs": 3}}, "epohcs"),
        ({"masked": 0.0}, "it would be written differently"),
    ],
)
def test_a_spec_that_is_none_is_refused(changes: dict[str, Any], message: str) -> None:
    changed = {**spec_of("train"), **changes}
    with pytest.raises(ArtifactError, match=message):
        parse({name: value for name, value in changed.items() if value is not None})


@pytest.mark.parametrize(
    "settings",
    [
        Retrieve(layer=3, layers=(1, 2), max_length=32, centering=True, margin="distance", k=2),
        Retrieve(layers="all", precision="fp32", pooling="idf", retrieval="forward"),
        Retrieve(),
    ],
)
def test_settings_are_read_back(settings: Retrieve) -> None:
    phase = parse(spec_of("evaluate"))
    assert isinstance(phase, EvaluatePhase)
    retrieval = RetrievePhase(
        task="tatoeba", data={}, model=phase.model, method=None, languages=("de", "fr"), settings=settings
    )
    assert read_back(retrieval) == retrieval


def test_titles_are_not_part_of_a_phase() -> None:
    phase = parse(spec_of("evaluate"))
    assert isinstance(phase, EvaluatePhase)
    assert replace(phase, title="another") == phase
    assert replace(phase, title="another").key == phase.key


# A kind of phase from outside the package


@dataclass(frozen=True, kw_only=True)
class CountPhase(Phase):
    """Count the weights that a training phase left, and write the number."""

    kind: ClassVar[str] = "count_weights"
    performer: ClassVar[str] = f"{__name__}:count"
    of: tuple[str, ...]
    unit: str = "bytes"


def count(phase: CountPhase, runtime: Runtime, staging: Path) -> None:
    """Do the work of a :class:`CountPhase`."""
    total = 0
    for key in phase.of:
        files: Mapping[str, tuple[int, str]] = runtime.workspace.store.entry(key).manifest["files"]
        total += sum(size for name, (size, _) in files.items() if name.endswith(".safetensors"))
    (staging / "count.json").write_text(json.dumps({phase.unit: total}), encoding="utf-8")


@pytest.fixture
def earlier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Plan, Workspace]:
    """The study of the earlier store, all of whose entries are there, and a registry of its own."""
    monkeypatch.setattr(phases.REGISTRY, "_added", {})
    shutil.copytree(EARLIER, tmp_path / "store")
    workspace = Workspace(tmp_path / "store", offline=True)
    return expand(study.load(EARLIER.parent / "study.yaml"), workspace), workspace


def test_a_kind_of_phase_from_outside(earlier: tuple[Plan, Workspace]) -> None:
    plan, workspace = earlier
    trained = next(phase for phase in plan.order() if isinstance(phase, TrainPhase) and phase.parents)
    counting = CountPhase(of=(trained.key,), title="count the weights")
    plan.phases = {counting.key: counting, **plan.phases}
    order = [phase.key for phase in plan.order()]
    assert sorted(order) == sorted(plan.phases)
    assert order.index(trained.key) < order.index(counting.key)
    assert run_plan(plan, workspace, device="cpu").done == [counting.key]
    entry = workspace.store.entry(counting.key)
    assert entry.json("count.json")["bytes"] > 1000
    assert entry.manifest["title"] == "count the weights"
    with pytest.raises(ArtifactError, match="unknown kind of phase 'count_weights'"):
        parse(entry.spec)
    phases.add(CountPhase)
    assert parse(entry.spec) == counting
    assert parse(entry.spec).parents == (trained.key,)


@pytest.mark.parametrize(
    ("performer", "reason"),
    [
        ("support.absent:count", r"cannot be imported \(ModuleNotFoundError: "),
        ("json:absent", r"cannot be imported \(AttributeError: "),
        ("json:__name__", "expected a function, found str"),
    ],
)
def test_a_performer_that_cannot_work(
    earlier: tuple[Plan, Workspace], monkeypatch: pytest.MonkeyPatch, performer: str, reason: str
) -> None:
    plan, workspace = earlier
    trained = next(phase for phase in plan.order() if isinstance(phase, TrainPhase) and phase.parents)
    monkeypatch.setattr(CountPhase, "performer", performer)
    counting = CountPhase(of=(trained.key,), title="count the weights")
    plan.phases = {counting.key: counting, **plan.phases}
    with pytest.raises(ConfigError, match=f"phase count_weights: performer {performer}: {reason}"):
        run_plan(plan, workspace, device="cpu")
    assert not workspace.store.has(counting.key)


def test_a_class_that_is_no_phase_is_refused(earlier: tuple[Plan, Workspace]) -> None:
    class Bare(Phase):  # without the decorator
        kind = "bare"
        performer = "json:dumps"
        of: tuple[str, ...] = ()

    class Aimless(CountPhase):
        kind = "aimless"
        performer = "json"

    with pytest.raises(ConfigError, match=r"'aimless': performer: expected module:function, found 'json'"):
        phases.add(Aimless)
    with pytest.raises(
        ConfigError, match=r"^kind of phase 'bare': the field of is not part of the key; add @dataclass"
    ):
        phases.add(Bare)
