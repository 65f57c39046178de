"""A study that is killed at random moments ends with the same bits as one that never was."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.inputs import STUDY

from adaptstilts import study as config
from adaptstilts.plan import expand
from adaptstilts.plan.phases import Phase
from adaptstilts.run import Listener, run_plan
from adaptstilts.store.store import Store
from adaptstilts.workspace import Workspace

KILLS = int(os.environ.get("ADAPTSTILTS_KILLS", "2"))
TIMEOUT = 300

DRIVER = """
import sys
from adaptstilts import errors, study as config
from adaptstilts.plan import expand as plan
from adaptstilts.runtime import adapter_pool
from adaptstilts.phases import train
from adaptstilts.run import Listener, run_plan
from adaptstilts.workspace import Workspace

class Loud(Listener):
    def begin(self, phase, number, total):
        print("begin", phase.kind, phase.key, flush=True)

    def progress(self, line, done, total):
        print("progress", done, line, flush=True)

study, data, store, every = sys.argv[1:]
try:
    workspace = Workspace(store, data)
    made = plan.expand(config.load(study), workspace)
    print("planned", len(made.phases), flush=True)
    run_plan(made, workspace, Loud(), checkpoint_every=int(every) or None, device="cpu")
except errors.AdaptstiltsError as error:
    print("error", error, flush=True)
    sys.exit(error.exit_code)
"""


@dataclass(frozen=True)
class Bench:
    """A small study, its data, and how to start it on a store."""

    study: Path
    data: Path

    def start(self, store: Path, every: int = 2) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", DRIVER, str(self.study), str(self.data), str(store), str(every)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)

    def finish(self, store: Path) -> list[str]:
        """Run to the end in the process of the tests; return the lines of progress."""
        lines = Lines()
        workspace = Workspace(store, self.data)
        run_plan(expand.expand(config.load(self.study), workspace), workspace, lines, device="cpu")
        return lines.seen


class Lines(Listener):
    """Keeps every line, and that a phase began."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def begin(self, phase: Phase, number: int, total: int) -> None:
        self.seen.append(f"begin {phase.key}")

    def progress(self, line: str, done: int, total: int) -> None:
        self.seen.append(line)


@dataclass(frozen=True)
class Whole:
    """A run that nobody disturbed: its store, and the seconds from its first phase to its end."""

    bench: Bench
    store: Path
    seconds: float


@pytest.fixture(scope="module")
def whole(tiny: Path, data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    small: dict[str, Any] = {
        "model": str(tiny),
        "intermediates": ["none", "mnli"],
        "targets": ["udpos", "tatoeba"],
        "methods": [{"kind": "bottleneck", "reduction": 4}],
    }
    study = folder / "study.yaml"
    study.write_text(json.dumps({**STUDY, **small}), encoding="utf-8")
    bench = Bench(study, data_root)
    process = bench.start(folder / "store")
    begun = next(began(process))
    process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0
    return Whole(bench, folder / "store", time.monotonic() - begun)


def began(process: subprocess.Popen[str]) -> Iterator[float]:
    """The moments at which phases begin."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("begin"):
            yield time.monotonic()


def same(store: Path, expected: Path) -> None:
    """All entries verify and hold the same bits; only what was measured may differ."""
    found, there = Store(store), Store(expected)
    assert {key: wrong for key, wrong in found.verify() if wrong} == {}
    assert found.keys() == there.keys()
    for key in there.keys():  # noqa: SIM118
        one, two = found.entry(key), there.entry(key)
        assert one.spec == two.spec
        assert one.manifest["files"].keys() == two.manifest["files"].keys()
        for name in two.manifest["files"]:
            if name != "cost.json":
                equal = (one.folder / name).read_bytes() == (two.folder / name).read_bytes()
                assert equal, f"{one.manifest['title']}: {name}"


def clean(store: Path) -> None:
    """What killed processes left is garbage and nothing else; nothing was ever taken for damaged."""
    garbage = Store(store).garbage()
    assert {path for name in ("work", "leases") for path in (store / name).glob("*")} <= set(garbage)
    assert not (store / "quarantine").exists()


@pytest.mark.slow
def test_killed_at_random_moments(whole: Whole, tmp_path: Path) -> None:
    number, kills, moments = 0, 0, []
    while kills < KILLS:
        store = tmp_path / f"store{number}"
        number += 1
        while kills < KILLS:
            process = whole.bench.start(store)
            next(began(process), None)
            moments.append(random.uniform(0, 0.8 * whole.seconds))
            print(f"store {number}, kill {kills}: {moments[-1]:.3f} s after the first phase began")
            try:
                process.communicate(timeout=moments[-1])
            except subprocess.TimeoutExpired:
                process.kill()
            process.communicate()
            if process.returncode == 0:
                break
            assert process.returncode == -signal.SIGKILL
            kills += 1
            assert {key: wrong for key, wrong in Store(store).verify() if wrong} == {}
        whole.bench.finish(store)
        same(store, whole.store)
        clean(store)
        assert whole.bench.finish(store) == []


@pytest.mark.slow
def test_terminated_run_leaves_a_checkpoint_and_continues(whole: Whole, tmp_path: Path) -> None:
    store = tmp_path / "store"
    process = whole.bench.start(store, every=0)
    assert process.stdout is not None
    key = ""
    for line in process.stdout:
        if line.startswith("begin train"):
            key = line.split()[2]
        if line.startswith("progress 5 "):
            process.send_signal(signal.SIGTERM)
            break
    printed, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
    assert "checkpoint written" in printed
    (checkpoint,) = (store / "work" / key).glob("step-*")
    step = int(checkpoint.name.removeprefix("step-"))
    assert step >= 5
    assert list((store / "staging").iterdir()) == []
    assert list((store / "leases").iterdir()) == []
    assert not Store(store).has(key)
    lines = whole.bench.finish(store)
    assert any(f"continued from step {step}" in line for line in lines)
    same(store, whole.store)
    clean(store)


@pytest.mark.slow
@pytest.mark.parametrize("point", ["commit:before-rename", "commit:after-rename"])
def test_killed_in_the_middle_of_a_commit(
    whole: Whole, tmp_path: Path, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    monkeypatch.setenv("ADAPTSTILTS_FAILPOINT", point)
    process = whole.bench.start(store, every=0)
    process.communicate(timeout=TIMEOUT)
    assert process.returncode == -signal.SIGKILL
    assert len(Store(store).keys()) == (point == "commit:after-rename")
    assert {key: wrong for key, wrong in Store(store).verify() if wrong} == {}
    monkeypatch.delenv("ADAPTSTILTS_FAILPOINT")
    if point == "commit:after-rename":
        whole.bench.finish(store)
        same(store, whole.store)
        clean(store)
