"""Methods in studies: what stands on what, what is refused before anything is spent, and one small study run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.inputs import STUDY

from adaptstilts import methods
from adaptstilts import study as config
from adaptstilts.errors import ConfigError
from adaptstilts.plan import expand
from adaptstilts.plan.expand import Plan
from adaptstilts.plan.phases import TrainPhase
from adaptstilts.reports.records import records
from adaptstilts.run import run_plan
from adaptstilts.workspace import Workspace

SEQ: dict[str, Any] = {"kind": "bottleneck", "reduction": 4}
PROBE: dict[str, Any] = {"kind": "head", "over": SEQ}
FROZEN: dict[str, Any] = {"kind": "full", "freeze_embeddings": True, "freeze_layers": 2}


@pytest.fixture
def make(tiny: Path, data_root: Path, tmp_path: Path) -> Callable[..., Plan]:
    """Expands the toy study, one target and one intermediate of it, with some keys changed."""

    def expanded(**changed: Any) -> Plan:
        small = {"model": str(tiny), "intermediates": ["none", "mnli"], "targets": ["udpos"], "swap": "off"}
        study = config.parse(json.dumps({**STUDY, **small, **changed}))
        return expand.expand(study, Workspace(tmp_path / "store", data_root))

    return expanded


def trained(made: Plan) -> dict[str, TrainPhase]:
    return {phase.title: phase for phase in made.phases.values() if isinstance(phase, TrainPhase)}


def test_a_probe_shares_the_intermediate_phases_of_its_method(make: Callable[..., Plan]) -> None:
    probe = {**PROBE, "train": {"lr": 0.01}}
    made = make(methods=[{**SEQ, "train": {"lr": 0.002}}, probe])
    assert set(trained(made)) == {
        "train mnli (bottleneck reduction=4), seed 1",
        "train udpos (bottleneck reduction=4), seed 1",
        "train udpos (bottleneck reduction=4) over mnli, seed 1",
        "train udpos (head over bottleneck reduction=4), seed 1",
        "train udpos (head over bottleneck reduction=4) over mnli, seed 1",
    }
    lower = trained(made)["train mnli (bottleneck reduction=4), seed 1"]
    upper = trained(made)["train udpos (head over bottleneck reduction=4) over mnli, seed 1"]
    assert upper.stack == (lower.key,)
    assert upper.spec["method"] == {"kind": "head"}
    assert upper.settings.lr == 0.01


def test_a_probe_of_a_fine_tuned_encoder_starts_on_it(make: Callable[..., Plan]) -> None:
    made = trained(make(methods=[{"kind": "head", "over": "full"}]))
    assert made["train udpos (head over full) over mnli, seed 1"].base == made["train mnli (full), seed 1"].key


def test_retrieval_with_a_probe_is_that_of_the_intermediate(make: Callable[..., Plan]) -> None:
    made = make(methods=[SEQ, PROBE], targets=["tatoeba"])
    assert sum(phase.kind == "retrieve" for phase in made.phases.values()) == 2


def test_defaults_leave_keys_as_they_were(make: Callable[..., Plan]) -> None:
    plain = make(methods=["full", SEQ, {"kind": "lora", "rank": 2}])
    told = make(
        methods=[
            {"kind": "full", "freeze_embeddings": False, "freeze_layers": 0},
            {**SEQ, "placement": "seq"},
            {"kind": "lora", "rank": 2, "rank_stabilized": False, "dora": False, "targets": ["value", "query"]},
        ]
    )
    assert set(told.phases) == set(plain.phases)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("head", r"method head: an intermediate task would change nothing, .*\(over: bottleneck\)"),
        ({"kind": "head", "over": "head"}, "an intermediate task would change nothing"),
        ({"kind": "head", "over": {**SEQ, "leave_out": [9]}}, "the model has no layer 9"),
        ({"kind": "head", "over": {"kind": "lora", "rank": 0}}, "rank"),
        ({"kind": "head", "over": "loar"}, "unknown method 'loar'; did you mean lora"),
        ({"kind": "full", "freeze_layers": 4}, "leaves no layer to train"),
        ({"kind": "lora", "dora": True}, "cannot be trained over mnli: DoRA rescales whole weights"),
        (
            {"kind": "bottleneck", "placement": "parallel"},
            "cannot be trained over mnli: the library runs only the top one",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(make: Callable[..., Plan], method: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        make(methods=[method])
    assert len(str(refused.value).splitlines()) == 1


def test_what_cannot_be_stacked_is_trained_alone(make: Callable[..., Plan]) -> None:
    dora = {"kind": "lora", "rank": 2, "dora": True}
    assert len(trained(make(methods=[dora], intermediates=["none"]))) == 1
    assert len(trained(make(methods=[dora], targets=["tatoeba"]))) == 1
    assert len(trained(make(methods=[dora], compositions=["none"]))) == 2
    assert len(trained(make(methods=[{"kind": "head", "over": dora}]))) == 3


@pytest.mark.slow
def test_a_study_of_every_new_kind(make: Callable[..., Plan], tiny: Path, data_root: Path, tmp_path: Path) -> None:
    methods = [FROZEN, PROBE, {"kind": "head", "over": FROZEN}, "ia3", "bitfit", "layernorm"]
    methods.append({"kind": "prefix", "length": 2, "inner": 4})
    made = make(methods=methods, swap="all", train={**STUDY["train"], "max_steps": 2})
    workspace = Workspace(tmp_path / "store", data_root)
    run_plan(made, workspace, device="cpu")
    assert made.missing(workspace.store) == []
    found = {(r.method, r.trained_on, r.over): r for r in records(made, workspace.store)}
    assert len(found) == 7 * 2 + 5 * 2
    counts = {method: record.trainable for (method, _, _), record in found.items()}
    assert counts["head over bottleneck reduction=4"] == 0
    assert all(counts[method] for method in counts if not method.startswith("head"))
    for phase in trained(made).values():
        result = json.loads((workspace.store.entry(phase.key).folder / "result.json").read_text(encoding="utf-8"))
        assert result["trainable"] == phase.method.trainable(made.model.shape)


def test_a_method_that_attaches_modules_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Derived from ``Method`` alone it would train nothing, without a word."""

    class Outside(methods.Method):
        kind: str = "outside"

        def activate(self, trunk: object, names: object) -> None:
            """Do nothing."""

    monkeypatch.setattr(methods.REGISTRY, "_added", {})
    with pytest.raises(ConfigError, match=r"^method 'outside' attaches modules: derive Outside from AdapterMethod$"):
        methods.add(Outside)
