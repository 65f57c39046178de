"""Measure phases: what they write, keys and machines, merged adapters, languages, energy, and the tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from support.command_line import call

from adaptstilts import Workspace, expand
from adaptstilts import study as config
from adaptstilts.errors import ConfigError, Interrupted, ResourceError
from adaptstilts.methods.base import MergesIntoEncoder
from adaptstilts.methods.lora import Lora
from adaptstilts.models.encoder import Encoder
from adaptstilts.models.locate import locate
from adaptstilts.phases import measure
from adaptstilts.plan import machine
from adaptstilts.plan.measures import MeasurePhase, measures_of
from adaptstilts.plan.phases import parse
from adaptstilts.runtime import energy
from adaptstilts.runtime.context import Runtime
from adaptstilts.store.entries import MEASURED

STUDY = {
    "name": "m",
    "model": "builtin:nano",
    "targets": ["sample_choice"],
    "methods": ["full", "lora"],
    "languages": ["en", "de"],
    "train": {"epochs": 1, "examples": 32, "dev_examples": 16},
    "evaluate": {"examples": 16},
    "measure": {"rounds": 2, "rows": 6, "seconds": 0.05, "threads": 1},
}


def plan_of(tmp_path: Path, **changed: object) -> tuple[object, list[MeasurePhase]]:
    plan = expand(config.parse(json.dumps({**STUDY, **changed})), Workspace(tmp_path / "store"))
    return plan, [phase for phase in plan.order() if isinstance(phase, MeasurePhase)]


def test_targets_take_turns(tmp_path: Path) -> None:
    _, phases = plan_of(tmp_path)
    assert [(phase.round, phase.method.kind, phase.merged) for phase in phases if phase.method] == [
        (1, "full", False),
        (1, "lora", False),
        (1, "lora", True),
        (2, "full", False),
        (2, "lora", False),
        (2, "lora", True),
    ]
    assert all(phase.language == "en" for phase in phases)


def test_only_the_first_seed_is_measured_and_every_cell_has_its_phases(tmp_path: Path) -> None:
    plan, phases = plan_of(tmp_path, seeds=[1, 2], methods=["full"])
    assert len(phases) == 2
    counts = [len(measures_of(plan, cell)) for cell in plan.cells]  # type: ignore[attr-defined, arg-type]
    assert counts == [2, 0]


def test_the_key_holds_the_machine_and_not_how_often(tmp_path: Path) -> None:
    _, phases = plan_of(tmp_path)
    _, others = plan_of(tmp_path, measure={"rounds": 1, "rows": 6, "seconds": 0.05, "threads": 2})
    _, fewer = plan_of(tmp_path, measure={"rounds": 1, "rows": 6, "seconds": 0.05, "threads": 1})
    assert phases[0].machine["threads"] == "1"
    assert {"device", "processor", "threads", "torch", "adaptstilts"} <= set(phases[0].machine)
    assert phases[0].key == fewer[0].key != others[0].key
    assert parse(phases[2].spec).key == phases[2].key


def test_what_is_measured_changes_no_other_key(tmp_path: Path) -> None:
    plan, phases = plan_of(tmp_path)
    bare, none = plan_of(tmp_path, measure=None)
    keys = set(plan.phases) - {phase.key for phase in phases}  # type: ignore[attr-defined]
    assert (keys, none) == (set(bare.phases), [])  # type: ignore[attr-defined]


def test_a_language_that_is_not_tested(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="language: sample_choice is not tested in tr; expected one of en, de"):
        plan_of(tmp_path, measure={"language": "tr"})


def test_threads_are_those_that_the_environment_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert machine.machine("cpu", None)["threads"] == "3"
    assert machine.machine("cpu", 7)["threads"] == "7"
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert int(machine.machine("cpu", None)["threads"]) >= 1


def test_a_merged_adapter_gives_the_same_states() -> None:
    method = Lora()
    assert isinstance(method, MergesIntoEncoder)
    encoder = Encoder(locate("builtin:nano").folder, "peft")
    encoder.add("a", method, 1)
    for name, parameter in encoder.delta("a").items():
        torch.manual_seed(len(name))
        parameter.data.normal_(0, 0.05)
    encoder.compose(["a"])
    ids, mask = torch.arange(5, 17)[None], torch.ones(1, 12, dtype=torch.long)
    with torch.inference_mode():
        attached = encoder.trunk(input_ids=ids, attention_mask=mask).last_hidden_state
        method.merge_into(encoder.host)
        merged = encoder.trunk(input_ids=ids, attention_mask=mask).last_hidden_state
        encoder.compose([])
    assert torch.allclose(attached, merged, atol=1e-4)


class _Stopping:
    """A runtime that is asked to stop at once."""

    def stop(self) -> bool:
        return True


def test_a_process_that_is_stopped_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "_MODULE", "http.server")
    with pytest.raises(Interrupted):
        measure._in_fresh_process({}, _Stopping(), "t")  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_process_that_fails_says_why(tmp_path: Path) -> None:
    _, phases = plan_of(tmp_path)
    runtime = Runtime(Workspace(tmp_path / "store"), locate("builtin:nano"))
    with pytest.raises(ResourceError, match="the process that measures failed: "):
        measure.measure(phases[0], runtime, tmp_path)
    assert not (tmp_path / "measured.json").exists()


def test_energy_of_processors(tmp_path: Path) -> None:
    zone = tmp_path / "intel-rapl:0"
    (tmp_path / "intel-rapl:0:0").mkdir()  # part of the package, which it counts already
    zone.mkdir()
    (zone / "max_energy_range_uj").write_text("10000000\n")
    (zone / "energy_uj").write_text("9000000\n")
    counter = energy.counter("cpu", tmp_path)
    assert counter is not None
    (zone / "energy_uj").write_text("9500000\n")
    assert counter.joules() == pytest.approx(0.5)
    (zone / "energy_uj").write_text("500000\n")  # it ran over its end
    assert counter.joules() == pytest.approx(1.5)


def test_no_counter_is_no_error(tmp_path: Path) -> None:
    assert energy.counter("cpu", tmp_path) is None
    assert energy.counter("cpu", tmp_path / "missing") is None


@pytest.mark.slow
def test_a_study_that_measures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, store = tmp_path / "m.yaml", tmp_path / "store"
    study = {**STUDY, "methods": ["lora"], "measure": {"rounds": 1, "rows": 6, "seconds": 0.05, "threads": 1}}
    path.write_text(json.dumps(study), encoding="utf-8")
    assert call("run", path, "--store", store) == 0
    assert call("run", path, "--store", store) == 0
    capsys.readouterr()
    _, phases = plan_of(tmp_path, **study)
    attached, merged = (MEASURED.read(Workspace(store).store.entry(phase.key)) for phase in phases)
    assert attached["flops_per_row"] > merged["flops_per_row"] > 0
    assert attached["rows"] == 6
    assert attached["single"]["p50"] <= attached["single"]["p90"] <= attached["single"]["p99"]
    assert attached["load_bytes"] <= attached["peak_bytes"]
    assert call("results", path, "--store", store) == 0
    shown = capsys.readouterr().out
    assert "cost of running each target" in shown
    assert "merged" in shown
    assert call("status", path, "--store", store) == 0
    assert "measure: 2 done" in capsys.readouterr().out
    assert call("verify", "--store", store) == 0
    assert call("gc", "--store", store) == 0
    capsys.readouterr()
    assert call("results", path, "--store", store, "--format", "json") == 0
    records = json.loads(capsys.readouterr().out)["records"]
    assert [one["merged"] for one in records[0]["inference"]] == [False, True]
