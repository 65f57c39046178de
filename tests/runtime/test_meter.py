"""The cost of a phase: what it took itself, whatever ran before it in the process."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path

import pytest
import torch
from support.inputs import STUDY

from adaptstilts import study as config
from adaptstilts.plan import expand
from adaptstilts.plan.phases import TrainPhase
from adaptstilts.run import perform
from adaptstilts.runtime.context import Runtime
from adaptstilts.runtime.meter import Meter, ProcessMemory, Work, tensor_bytes
from adaptstilts.store.entries import COST
from adaptstilts.workspace import Workspace

CPU = torch.device("cpu")
MIB = 2**20
STEP = Work("step")
ORDERS = {"plan": (0, 1, 2), "none first": (1, 0, 2), "none last": (0, 2, 1)}  # intermediate, over none, over it


def peaks(model: Path, data: Path, store: Path, order: tuple[int, ...]) -> dict[str, int]:
    """Title -> peak bytes of a study's training phases, performed in some order in this process."""
    workspace = Workspace(store, data)
    held = {"name": "t", "model": str(model), "methods": ["full"], "intermediates": ["none", "social_i_qa"]}
    study = config.parse(json.dumps({**held, "targets": ["xnli"], "missing": "skip", "train": STUDY["train"]}))
    phases = [phase for phase in expand.expand(study, workspace).order() if isinstance(phase, TrainPhase)]
    assert [bool(phase.base) for phase in phases] == [False, False, True]
    runtime = Runtime(workspace, workspace.model(study), device="cpu")
    found = {}
    for number in order:
        phase = phases[number]
        perform(phase, runtime)
        found[phase.title] = COST.read(workspace.store.entry(phase.key))["peak_bytes"]
    return found


@pytest.mark.slow
def test_memory_does_not_depend_on_what_ran_before(tiny: Path, data_root: Path, tmp_path: Path) -> None:
    found = [peaks(tiny, data_root, tmp_path / name, order) for name, order in ORDERS.items()]
    assert found[0] == found[1] == found[2]
    intermediate, over_none, over_it = found[0].values()
    assert over_none == over_it != intermediate  # the same job, from other weights of the same size
    assert over_none > 4 * sum(path.stat().st_size for path in tiny.glob("model.safetensors"))  # and Adam's state


def test_allocations_are_counted_to_the_byte() -> None:
    meter, held = Meter(CPU), torch.zeros(MIB)
    earlier = [torch.zeros(4 * MIB) for _ in range(3)]
    del earlier
    with meter.watch(STEP, lambda: [held, held[:10]]):
        one = torch.zeros(2 * MIB)
        del one
        two = torch.ones(3 * MIB, dtype=torch.int8)
    assert meter.peak == 4 * MIB + 8 * MIB
    assert tensor_bytes([held, held[:10], two]) == 7 * MIB


def test_only_the_heaviest_work_is_recorded() -> None:
    meter = Meter(CPU)
    for size, load, expected in ((2, (2, 9), 2), (5, (2, 8), 2), (4, (3, 1), 4), (9, (1, 9), 4)):
        with meter.watch(Work("step", load), tuple):
            torch.zeros(size * MIB, dtype=torch.int8)
        assert meter.peak == expected * MIB
    with meter.watch(Work("evaluation", (1, 1)), tuple):
        torch.zeros(6 * MIB, dtype=torch.int8)
    assert meter.peak == 6 * MIB
    held = torch.zeros(1)
    with meter.watch(Work("step", (1, 1)), lambda: [held]):  # what stays has changed: everything is measured again
        torch.zeros(8 * MIB, dtype=torch.int8)
    assert meter.peak == 8 * MIB + 4


def test_recording_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    with Meter(CPU).watch(STEP, tuple):
        torch.zeros(10)
    assert capfd.readouterr() == ("", "")


def test_an_error_passes_through() -> None:
    meter = Meter(CPU)
    with pytest.raises(KeyError), meter.watch(STEP, tuple):
        raise KeyError
    with meter.watch(STEP, tuple):
        pass
    assert meter.peak == 0


def test_clocks() -> None:
    meter = Meter(CPU)
    time.sleep(0.3)
    assert meter.seconds > 0.29
    assert meter.cpu_seconds < 0.2  # asleep
    meter.carry(10.0, 5.0, 77)
    meter.start()
    end = time.process_time() + 0.05
    next(n for n in itertools.count() if time.process_time() > end)
    assert 10.05 < meter.seconds < 20.0
    assert 5.05 < meter.cpu_seconds < 6.0
    assert meter.peak == 77


def test_memory_of_the_process() -> None:
    memory = ProcessMemory(CPU)
    block = torch.ones(16 * MIB)
    del block
    assert memory.peak > 60 * MIB
