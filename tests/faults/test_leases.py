"""Leases that are wrong in five ways, with four processes on one store: work may be repeated, and no process dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from adaptstilts.store.store import Store

SITUATIONS = ["a killed process that nobody reaped", "heartbeats of the future", "other process namespaces",
              "locks that do nothing", "a clock 60 s ahead"]  # fmt: skip

DRIVER = """
import json, os, signal, sys, time, types
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from adaptstilts import run
from adaptstilts.io import leases
from adaptstilts.plan import phases
from adaptstilts.run import run_plan
from adaptstilts.runtime.checkpoints import Checkpoints
from adaptstilts.workspace import Workspace

leases.HEARTBEAT, run.POLL = 0.5, 0.02


@dataclass(frozen=True, kw_only=True)
class StepPhase(phases.Phase):
    kind: ClassVar[str] = "step"
    performer: ClassVar[str] = "__main__:step"
    name: str
    of: tuple[str, ...] = ()


def step(phase, runtime, staging):
    checkpoints = Checkpoints(runtime.workspace.store.work(phase.key))
    tensors, state = checkpoints.load() or ({}, {"text": phase.name})
    while len(state["text"]) < 8:
        time.sleep(0.01)
        state = {"text": state["text"] + phase.name}
        checkpoints.save(len(state["text"]), tensors, state)
    (staging / "file").write_text(state["text"])


class Plan:
    model = None

    def order(self):
        first = [StepPhase(name=name, title=name) for name in "abc"]
        return [*first, StepPhase(name="d", of=tuple(phase.key for phase in first), title="d")]


def work(folder, number, situation):
    if situation == "other process namespaces":
        leases._namespace = lambda: f"pid:[{number}]"
    if situation == "locks that do nothing":
        leases._take = lambda path, token: True
    if situation == "a clock 60 s ahead" and number == 0:
        leases.platform = types.SimpleNamespace(node=lambda: "another-host")
        leases.time = types.SimpleNamespace(time=lambda: time.time() + 60, monotonic=time.monotonic)
    run_plan(Plan(), Workspace(folder), device="cpu")


def forked(task):
    pid = os.fork()
    if pid:
        return pid
    try:
        task()
        os._exit(0)
    except BaseException as error:
        print(type(error).__name__, error, file=sys.stderr, flush=True)
        os._exit(1)


def prepare(folder, situation):
    keys = [phase.key for phase in Plan().order()]
    if situation == "a killed process that nobody reaped":
        def linger():
            with Workspace(folder).store.lease(keys[0]):
                time.sleep(60)
        pid = forked(linger)
        while not (folder / "leases" / keys[0]).is_file() or not leases._read(folder / "leases" / keys[0]):
            time.sleep(0.01)
        os.kill(pid, signal.SIGKILL)
    if situation == "heartbeats of the future":
        with Workspace(folder).store.lease(keys[0]):
            text = (folder / "leases" / keys[0]).read_text()
        year = {**json.loads(text), "host": "elsewhere", "heartbeat": time.time() + 365 * 86400}
        minute = {**year, "heartbeat": time.time() + 60}
        (folder / "leases" / keys[0]).write_text(json.dumps(year))
        (folder / "leases" / keys[1]).touch()
        os.utime(folder / "leases" / keys[1], (time.time() + 365 * 86400,) * 2)
        (folder / "leases" / keys[2]).write_text(json.dumps(minute))


folder, situation = Path(sys.argv[1]), sys.argv[2]
if situation == "none":
    work(folder, 0, situation)
else:
    prepare(folder, situation)
    workers = [forked(lambda: work(folder, number, situation)) for number in range(4)]
    print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in workers]))
"""


def drive(folder: Path, situation: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(folder), situation], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def contents(folder: Path) -> dict[str, object]:
    store = Store(folder)
    assert [problem for _, problem in store.verify() if problem] == []
    return {key: store.entry(key).manifest["files"] for key in sorted(store.keys())}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("undisturbed")
    drive(folder, "none")
    return contents(folder)


@pytest.mark.slow
@pytest.mark.parametrize("situation", SITUATIONS)
def test_no_process_dies_of_a_lease(tmp_path: Path, undisturbed: dict[str, object], situation: str) -> None:
    assert json.loads(drive(tmp_path, situation)) == [0, 0, 0, 0]
    assert contents(tmp_path) == undisturbed
    assert len(undisturbed) == 4
    assert not list((tmp_path / "staging").iterdir())


def test_a_killed_process_that_nobody_reaped_holds_nothing(tmp_path: Path) -> None:
    """As in a container without an init process: it has a number, and is dead."""
    store = Store(tmp_path)
    pid = os.fork()
    if pid == 0:
        with store.lease("a" * 64):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    try:
        assert (tmp_path / "leases" / ("a" * 64)).is_file()
        assert store.holder("a" * 64) is None
        assert store.garbage() == [tmp_path / "leases" / ("a" * 64)]
        with store.lease("a" * 64) as is_ours:
            assert is_ours
    finally:
        os.waitpid(pid, 0)
